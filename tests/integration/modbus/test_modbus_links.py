"""Modbus over TLS and UDP, against pymodbus and against peers that do everything wrong."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.core.errors import NotConnectedError
from gateway.core.model import Quality

LOST = Quality.COMMS_LOST
REGISTERS = {1: list(range(8))}


def units() -> list[SimDevice]:
    return [SimDevice(1, [SimData(0, values=[100 + a for a in range(16)], datatype=DataType.REGISTERS)])]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, an instrument's certificate for the name `instrument`, the gateway's, and a stranger's."""
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("openssl is needed and CI has it not")
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*words: str) -> None:
        subprocess.run([program, *words], cwd=folder, check=True, capture_output=True, timeout=60)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for authority in ("ca", "other"):
        openssl("req", "-x509", *new, "-keyout", f"{authority}.key", "-out", f"{authority}.crt", "-subj", f"/CN={authority}", "-days", "2")  # fmt: skip  # noqa: E501 - a command line
    for name, authority in (("instrument", "ca"), ("gateway", "ca"), ("stranger", "other")):
        (folder / "names").write_text(f"subjectAltName=DNS:{name}")
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.crt")  # fmt: skip  # noqa: E501 - a command line
        (folder / f"{name}.key").chmod(0o600)
    return folder


@pytest.fixture
async def tls_port(certificates: Path) -> AsyncIterator[int]:
    """A pymodbus server that asks for a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "instrument.crt", certificates / "instrument.key")
    context.load_verify_locations(certificates / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    port = free_port()
    # Its own framing of TLS leaves the header out; Modbus/TCP Security (MB-TCP-Security-v21) keeps it.
    server = ModbusTlsServer(units(), framer=FramerType.SOCKET, address=("127.0.0.1", port), sslctx=context)
    await server.serve_forever(background=True)
    yield port
    await server.shutdown()


def files(folder: Path, own: str = "gateway", authority: str = "ca") -> dict[str, str]:
    return {
        "tls_ca_file": str(folder / f"{authority}.crt"),
        "tls_cert_file": str(folder / f"{own}.crt"),
        "tls_key_file": str(folder / f"{own}.key"),
        "tls_server_name": "instrument",
    }


async def test_a_tls_instrument_is_read_with_certificates_on_both_sides(
    tls_port: int, certificates: Path, bench: Any
) -> None:
    made = await bench(f"tls://127.0.0.1:{tls_port}", REGISTERS, timeout_s=2.0, **files(certificates))
    for _ in range(5):
        batch = await made.read()
        assert batch.value.tolist() == [100.0 + a for a in range(8)]
    assert made.driver.latency_s(0) > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tls_server_name": "somebody-else"}, "somebody-else"),
        ({"authority": "other"}, "certificate"),
    ],
)
async def test_an_instrument_that_cannot_prove_its_name_is_not_connected(
    changes: dict[str, str], said: str, tls_port: int, certificates: Path, bench: Any
) -> None:
    options = files(certificates, authority=changes.pop("authority", "ca")) | changes
    made = await bench(f"tls://127.0.0.1:{tls_port}", REGISTERS, connect=False, timeout_s=2.0, **options)
    with pytest.raises(NotConnectedError, match=said):
        await made.driver.connect()


async def test_a_gateway_with_a_strangers_certificate_gets_nothing(
    tls_port: int, certificates: Path, bench: Any
) -> None:
    made = await bench(
        f"tls://127.0.0.1:{tls_port}", REGISTERS, connect=False, timeout_s=0.5, **files(certificates, own="stranger")
    )
    # With TLS 1.3 the refusal comes when the client takes the connection for made: with the first request.
    await refused(made)


async def refused(bench: Any) -> None:
    with suppress(NotConnectedError):
        await bench.driver.connect()
        await bench.read_for(0.7)
    assert {int(q) for _, batch in bench.log for q in batch.quality} <= {LOST}


async def test_a_renewed_certificate_is_taken_at_the_next_connection(
    tls_port: int, certificates: Path, tmp_path: Path, bench: Any
) -> None:
    own = {name: tmp_path / f"own.{name}" for name in ("crt", "key")}
    for name, path in own.items():
        shutil.copy(certificates / f"stranger.{name}", path)
    options = files(certificates) | {"tls_cert_file": str(own["crt"]), "tls_key_file": str(own["key"])}
    made = await bench(f"tls://127.0.0.1:{tls_port}", REGISTERS, connect=False, timeout_s=1.0, **options)
    await refused(made)
    for name, path in own.items():
        shutil.copy(certificates / f"gateway.{name}", path)
    await made.driver.connect()
    await made.read_for(0.3)
    assert made.qualities(1)[-1] == Quality.GOOD


async def test_a_peer_that_speaks_no_tls_is_not_connected(tcp_instrument: Any, certificates: Path, bench: Any) -> None:
    async def behave(asked: Any) -> None:
        asked.send(bytes.fromhex("000100000003018302"))

    server = await tcp_instrument(behave)
    made = await bench(f"tls://127.0.0.1:{server.port}", REGISTERS, connect=False, **files(certificates))
    with pytest.raises(NotConnectedError, match="TLS"):
        await made.driver.connect()


# --- UDP ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def udp_port() -> AsyncIterator[int]:
    port = free_port(socket.SOCK_DGRAM)
    server = ModbusUdpServer(units(), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    yield port
    await server.shutdown()


async def test_pymodbus_is_read_over_udp(udp_port: int, bench: Any) -> None:
    made = await bench(f"udp://127.0.0.1:{udp_port}", REGISTERS, timeout_s=1.0)
    for _ in range(5):
        assert (await made.read()).value.tolist() == [100.0 + a for a in range(8)]


class UdpInstrument(asyncio.DatagramProtocol):
    """Does with each datagram what a test says."""

    def __init__(self, behave: Callable[[bytes, Callable[[bytes], None]], Awaitable[None]]) -> None:
        self.behave = behave
        self.asked = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked += 1
        task = asyncio.ensure_future(self.behave(data, lambda reply: self.transport.sendto(reply, addr)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.transport.close()


@pytest.fixture
async def udp_instrument() -> AsyncIterator[Any]:
    made: list[UdpInstrument] = []

    async def make(behave: Any) -> tuple[UdpInstrument, int]:
        loop = asyncio.get_running_loop()
        _, instrument = await loop.create_datagram_endpoint(lambda: UdpInstrument(behave), local_addr=("127.0.0.1", 0))
        made.append(instrument)
        return instrument, instrument.transport.get_extra_info("sockname")[1]

    yield make
    for instrument in made:
        await instrument.stop()


def right(request: bytes, wire: Any) -> bytes:
    unit, address, count = request[6], int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")
    data = b"".join(wire.value(unit, address + i).to_bytes(2, "big") for i in range(count))
    body = bytes((unit, request[7], len(data))) + data
    return request[:4] + len(body).to_bytes(2, "big") + body


async def test_lost_late_repeated_and_foreign_datagrams_bring_no_wrong_value(
    udp_instrument: Any, bench: Any, wire: Any
) -> None:
    number = 0

    async def behave(request: bytes, send: Callable[[bytes], None]) -> None:
        nonlocal number
        number += 1
        good = right(request, wire)
        match number % 8:
            case 0:
                return  # lost
            case 1:
                await asyncio.sleep(0.06)  # later than the time-out: after other questions have been asked
                send(good)
            case 2:
                send(good)
                send(good)
            case 3:
                send(good[:-1])
                send(good + b"\0")
                send(b"")
                send(good[:2] + b"\0\1" + good[4:])
                send(good)
            case 4:
                send((int.from_bytes(good[:2], "big") ^ 3).to_bytes(2, "big") + good[2:])
                send(b"\0\0" + good[2:])
                send(good[:6] + bytes((good[6] + 1,)) + good[7:])
                send(good)
            case _:
                send(good)

    instrument, port = await udp_instrument(behave)
    made = await bench(
        f"udp://127.0.0.1:{port}", {1: [0, 1, 500, 501], 2: [0, 1]}, 0.002, timeout_s=0.03, backoff_max_s=0.02
    )
    async with asyncio.timeout(20):
        while instrument.asked < 250:
            await made.read()
    valued, wrong = made.count(wire.value)
    assert wrong == 0
    assert valued > 250
    assert {int(q) for _, b in made.log for q in b.quality} == {Quality.GOOD, LOST}


async def test_a_port_where_nobody_listens_is_silent_and_found_when_somebody_does(
    bench: Any, udp_instrument: Any, wire: Any
) -> None:
    port = free_port(socket.SOCK_DGRAM)
    made = await bench(f"udp://127.0.0.1:{port}", {1: [0]}, 0.05, timeout_s=0.1)
    await made.read_for(0.5)
    assert set(made.qualities(1)) == {LOST}

    async def behave(request: bytes, send: Callable[[bytes], None]) -> None:
        send(right(request, wire))

    loop = asyncio.get_running_loop()
    _, instrument = await loop.create_datagram_endpoint(lambda: UdpInstrument(behave), local_addr=("127.0.0.1", port))
    await made.read_for(1.0)
    await instrument.stop()
    assert Quality.GOOD in made.qualities(1)
    assert made.count(wire.value)[1] == 0
