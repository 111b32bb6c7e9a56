"""A Mosquitto of a test's own, and what tests say to a driver that reads from it."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers import mqtt
from drivers.mqtt.driver import MqttDriver
from gateway.core.clock import SystemClock
from gateway.core.model import Batch, Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
VERSIONS = ("3.1.1", "5")


def must_be_installed() -> None:
    """Skip the test where Mosquitto is absent; on the continuous integration's machine that is a failure."""
    if not Path(MOSQUITTO).exists() or shutil.which("mosquitto_pub") is None:
        message = "mosquitto and mosquitto_pub are not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Broker:
    """A Mosquitto of the test's own."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.port = free_port()
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        lines = f"listener {self.port} 127.0.0.1\n"
        if "allow_anonymous" not in self._settings:
            lines += "allow_anonymous true\n"
        path = self.folder / "mosquitto.conf"
        path.write_text(lines + self._settings)
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2):
                return
            time.sleep(0.02)
        raise AssertionError("Mosquitto does not start")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait()

    async def publish(self, topic: str, payload: bytes, *more: str, qos: int = 0) -> None:
        process = await asyncio.create_subprocess_exec(
            *("mosquitto_pub", "-p", str(self.port), "-t", topic, "-q", str(qos), "-s" if payload else "-n", *more),
            stdin=subprocess.PIPE,
        )
        await process.communicate(payload)
        assert process.returncode == 0

    async def publish_lines(self, topic: str, lines: list[str], qos: int = 1) -> None:
        process = await asyncio.create_subprocess_exec(
            "mosquitto_pub", "-p", str(self.port), "-t", topic, "-q", str(qos), "-l", stdin=subprocess.PIPE
        )
        await process.communicate("\n".join(lines).encode() + b"\n")
        assert process.returncode == 0


def instrument(topic: str, *channels: dict[str, Any], first_row: int = 0, **options: Any) -> InstrumentPlan:
    return InstrumentPlan(
        f"gd-{first_row}",
        1.0,
        mqtt.InstrumentOptions(topic=topic, **options),
        tuple(
            ChannelPlan(Channel(first_row + i, f"gd-{first_row}.c{i}", "gd", "co"), mqtt.ChannelOptions(**where))
            for i, where in enumerate(channels)
        ),
    )


@contextlib.asynccontextmanager
async def opened(broker: Broker, *plans: InstrumentPlan, **options: Any) -> AsyncIterator[MqttDriver]:
    driver = make(broker, *plans, **options)
    try:
        await driver.connect()
        yield driver
    finally:
        await driver.close()


def make(broker: Broker, *plans: InstrumentPlan, **options: Any) -> MqttDriver:
    made = mqtt.create(mqtt.Options(port=broker.port, **options), plans, SystemClock())
    assert isinstance(made, MqttDriver)
    return made


async def read(driver: MqttDriver, within_s: float = 5.0) -> Batch:
    return await asyncio.wait_for(driver.read(), within_s)


async def read_values(driver: MqttDriver, count: int) -> list[float]:
    found: list[float] = []
    while len(found) < count:
        found += (await read(driver)).value.tolist()
    return found


async def nothing_comes(driver: MqttDriver, for_s: float = 0.3) -> bool:
    try:
        await asyncio.wait_for(driver.read(), for_s)
    except TimeoutError:
        return True
    return False


def certificates(folder: Path, stranger: str = "") -> None:
    """Make an authority `ca` and the certificates `server` and `client`; or one that nobody has signed but itself."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    if stranger:
        names = ("-keyout", f"{stranger}.key", "-out", f"{stranger}.crt", "-subj", f"/CN={stranger}", "-days", "2")
        openssl("req", "-x509", *new, *names)
        return
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.crt")
