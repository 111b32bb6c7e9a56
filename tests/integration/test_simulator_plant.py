"""A simulated plant as others see it: with mbpoll, pymodbus and mosquitto_sub, which share no code with it."""

import asyncio
import json
import os
import shutil
import signal
import struct
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from pymodbus.client import AsyncModbusTcpClient, ModbusSerialClient

from gateway.core.clock import SystemClock
from simulators.broker import broker, free_port, mosquitto_path
from simulators.fleet import Fleet
from simulators.loading import checked, load_scenario
from simulators.mqtt import Publisher
from simulators.plant import Plant, run_scenario
from simulators.scenario import Scenario

SCENARIOS = Path(__file__).parents[2] / "config" / "scenarios"


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        if "CI" in os.environ:
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


async def output(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text, _ = await asyncio.wait_for(process.communicate(), 10)
    return text.decode(errors="replace")


async def answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return True


@asynccontextmanager
async def running(plant: Plant):
    await plant.start()
    task = asyncio.create_task(plant.run())
    try:
        yield {endpoint.bus: endpoint for endpoint in plant.endpoints}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await plant.stop()


@pytest.fixture
def demo():
    return load_scenario(SCENARIOS / "demo.yaml")


def steady(**buses: dict[str, Any]):
    """A plant whose values are known beforehand: clean air without noise."""
    exact = {"noise": 0, "walk_per_h": 0, "daily": 0, "resolution": 0}
    tcp = {"bus": "tcp", "at": "room"}
    return checked(
        {
            "name": "steady",
            "ambient": {"swing_k": 0, "weather_k": 0, "temperature_c": 20},
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {"tcp": {"type": "modbus-tcp"}, "line": {"type": "modbus-rtu", "baud": 115200}, **buses},
            "instruments": {
                "t-be": {
                    **tcp,
                    "unit": 1,
                    "channels": {
                        "temperature": {"address": 0, "type": "int16", "scale": 0.1, **exact},
                        "o2": {"address": 1, "type": "float32", **exact},
                    },
                },
                "t-le": {
                    **tcp,
                    "unit": 2,
                    "channels": {"o2": {"table": "input", "address": 10, "type": "float32", "order": "CDAB", **exact}},
                },
                "c-01": {
                    **tcp,
                    "unit": 3,
                    "channels": {
                        "o2": {"table": "discrete", "address": 0, "type": "bit", "above": 10},
                        "co": {"table": "discrete", "address": 1, "type": "bit", "above": 10},
                    },
                },
                "r-01": {
                    "bus": "line",
                    "at": "room",
                    "unit": 5,
                    "status": {"address": 2},
                    "channels": {"o2": {"address": 0, "type": "float32", **exact}},
                },
                "r-02": {
                    "bus": "line",
                    "at": "room",
                    "unit": 6,
                    "channels": {"temperature": {"address": 0, "scale": 0.1, **exact}},
                },
            },
        }
    )


async def test_mbpoll_reads_integers_and_floats_in_both_word_orders_over_tcp():
    async with running(Plant(steady())) as endpoints:
        _, host, port = endpoints["tcp"].address.replace("//", "").split(":")
        call = [program("mbpoll"), "-m", "tcp", "-p", port, "-1", "-q", "-0"]
        assert "[0]: \t200" in await output(*call, "-a", "1", "-r", "0", "-t", "4", host)
        # mbpoll's -B takes the most significant register first.
        assert "[1]: \t20.9" in await output(*call, "-a", "1", "-r", "1", "-t", "4:float", "-B", host)
        assert "[10]: \t20.9" in await output(*call, "-a", "2", "-r", "10", "-t", "3:float", host)
        contacts = await output(*call, "-a", "3", "-r", "0", "-c", "2", "-t", "1", host)
        assert "[0]: \t1" in contacts
        assert "[1]: \t0" in contacts


async def test_pymodbus_sees_refusals_as_modbus_exceptions_over_tcp():
    async with running(Plant(steady())) as endpoints:
        _, host, port = endpoints["tcp"].address.replace("//", "").split(":")
        client = AsyncModbusTcpClient(host, port=int(port), timeout=1, retries=0)
        await client.connect()
        try:
            unmapped = await client.read_holding_registers(100, count=1, device_id=1)
            assert unmapped.exception_code == 2
            across = await client.read_holding_registers(2, count=2, device_id=1)
            assert across.exception_code == 2
            stranger = await client.read_holding_registers(0, count=1, device_id=99)
            assert stranger.exception_code == 11
            written = await client.write_register(0, 1, device_id=1)
            assert written.exception_code == 1
        finally:
            client.close()


async def test_mbpoll_reads_the_serial_line_through_its_link(tmp_path: Path):
    link = str(tmp_path / "line")
    plant = steady(line={"type": "modbus-rtu", "baud": 115200, "link": link})
    async with running(Plant(plant)) as endpoints:
        assert (tmp_path / "line").is_symlink()
        assert endpoints["line"].address == f"rtu://{link}"
        call = [program("mbpoll"), "-m", "rtu", "-b", "115200", "-P", "none", "-1", "-q", "-0"]
        assert "[0]: \t20.9" in await output(*call, "-a", "5", "-r", "0", "-t", "4:float", "-B", link)
        assert "[0]: \t200" in await output(*call, "-a", "6", "-r", "0", "-t", "4", link)
    assert not (tmp_path / "line").is_symlink()


def read_serial(path: str, unit: int, count: int) -> list[int]:
    client = ModbusSerialClient(path, baudrate=115200, timeout=2, retries=3)
    assert client.connect()
    try:
        return client.read_holding_registers(0, count=count, device_id=unit).registers
    finally:
        client.close()


async def test_pymodbus_reads_two_units_on_one_serial_line():
    async with running(Plant(steady())) as endpoints:
        path = endpoints["line"].address.removeprefix("rtu://")
        high, low, status = await asyncio.to_thread(read_serial, path, 5, 3)
        assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == pytest.approx(20.9)
        assert status == 0
        assert await asyncio.to_thread(read_serial, path, 6, 1) == [200]


async def test_the_serial_line_takes_the_time_its_baud_rate_takes():
    slow = steady(line={"type": "modbus-rtu", "baud": 1200, "turnaround_ms": 0})
    loop = asyncio.get_running_loop()
    async with running(Plant(slow)) as endpoints:
        path = endpoints["line"].address.removeprefix("rtu://")
        began = loop.time()
        await asyncio.to_thread(read_serial, path, 5, 3)
        # 8 characters there, 3.5 of silence, 11 back, of 10 bits each.
        assert loop.time() - began >= (8 + 3.5 + 11) * 10 / 1200


async def test_mosquitto_sub_receives_what_heads_publish(demo: Scenario):
    sub = program("mosquitto_sub")
    async with running(Plant(demo, free_ports=True, speed=5)) as endpoints:
        port = endpoints["heads"].address.rpartition(":")[2]
        text = await output(
            sub, "-h", "127.0.0.1", "-p", port, "-t", "plant/heads/#", "-F", "%t %p", "-C", "4", "-W", "9"
        )
    lines = [line.split(" ", 1) for line in text.splitlines()]
    heard = {topic: json.loads(payload) for topic, payload in lines}
    assert set(heard) == {"plant/heads/hd-21", "plant/heads/hd-22"}
    assert heard["plant/heads/hd-22"]["climate"]["temperature"] == pytest.approx(21, abs=2)
    assert heard["plant/heads/hd-22"]["status"] == "normal"


async def test_a_silent_instrument_leaves_its_neighbours_alone(demo: Scenario):
    quiet = demo.model_copy(update={"events": []})
    plant = Plant(quiet, free_ports=True)
    plant.world.behaviours["gd-11"].silent = True
    async with running(plant) as endpoints:
        _, host, port = endpoints["plc"].address.replace("//", "").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for number, unit in ((1, 1), (2, 2)):
            writer.write(struct.pack(">HHHBBHH", number, 0, 6, unit, 4, 0, 2))
        answer = await asyncio.wait_for(reader.readexactly(13), 2)
        assert answer[:2] == b"\x00\x02"
        assert answer[6] == 2
        writer.close()
        await writer.wait_closed()


async def test_a_bus_that_goes_down_refuses_connections_and_comes_back_on_its_port():
    scenario = checked(
        {
            "name": "cut",
            "rooms": {"room": {"volume_m3": 50}},
            "buses": {"tcp": {"type": "modbus-tcp"}},
            "instruments": {"g": {"bus": "tcp", "unit": 1, "at": "room", "channels": {"co": {"address": 0}}}},
            "events": [{"at_s": 1, "what": "bus-down", "where": "tcp", "for_s": 20}],
        }
    )
    async with running(Plant(scenario, speed=20)) as endpoints:
        _, host, port = endpoints["tcp"].address.replace("//", "").split(":")

        async def until(wanted: bool) -> None:
            while await answers(host, int(port)) is not wanted:
                await asyncio.sleep(0.02)

        await asyncio.wait_for(until(False), 5)
        await asyncio.wait_for(until(True), 5)


async def test_the_same_seed_gives_the_same_truth_and_another_seed_another(demo: Scenario, tmp_path: Path):
    async def truth(name: str, seed: int) -> list[str]:
        path = tmp_path / name
        scenario = demo.model_copy(update={"duration_s": 20.0})
        plant = Plant(scenario, truth=path, seed=seed, speed=100, free_ports=True)
        await plant.start()
        try:
            await plant.run()
        finally:
            await plant.stop()
        header, *lines = path.read_text().splitlines()
        assert json.loads(header)["seed"] == seed
        return lines

    first, again, other = await truth("a", 1), await truth("b", 1), await truth("c", 2)
    assert first == again
    assert first != other
    assert sum('"event":"leak_started"' in line for line in first) == 1
    assert any('"label":"crossed 10 %LEL"' in line for line in first)


async def test_a_cancelled_scenario_is_gone_within_a_second(tmp_path: Path):
    link = tmp_path / "line"
    text = (SCENARIOS / "plants" / "demo.yaml").read_text().replace("/tmp/hazgate-demo-line1", str(link))
    (tmp_path / "plant.yaml").write_text(text.replace("port: 15020", "port: 0").replace("port: 18830", "port: 0"))
    (tmp_path / "scenario.yaml").write_text("plant: plant.yaml\n")
    lines: list[str] = []
    plant = asyncio.create_task(run_scenario(tmp_path / "scenario.yaml", announce=lines.append))
    loop = asyncio.get_running_loop()
    while len(lines) < 3:
        assert not plant.done(), plant.exception()
        await asyncio.sleep(0.02)
    assert link.is_symlink()
    before = loop.time()
    plant.cancel()
    await asyncio.gather(plant, return_exceptions=True)
    assert loop.time() - before < 1.0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not link.is_symlink()


async def test_a_fleet_answers_with_the_values_it_says_and_moves_them():
    fleet = Fleet(20, channels=3, endpoints=2, rate_hz=50)
    await fleet.start()
    moving = asyncio.create_task(fleet.run())
    clients = []
    try:
        for endpoint in fleet.endpoints:
            _, host, port = endpoint.address.replace("//", "").split(":")
            clients.append(AsyncModbusTcpClient(host, port=int(port), timeout=1, retries=0))
            await clients[-1].connect()
        for number in (0, 1, 13, 19):
            answer = await clients[number % 2].read_holding_registers(0, count=7, device_id=number // 2 + 1)
            *words, update = answer.registers
            shown = struct.unpack(">3f", struct.pack(">6H", *words))
            assert shown == pytest.approx(fleet.values(update)[number].tolist())
        before = fleet.updates
        await asyncio.sleep(0.2)
        assert fleet.updates > before
    finally:
        moving.cancel()
        await asyncio.gather(moving, return_exceptions=True)
        for client in clients:
            client.close()
        await fleet.stop()


def test_a_fleet_answers_on_uvloop_too():
    uvloop = pytest.importorskip("uvloop")

    async def read() -> list[int]:
        fleet = Fleet(1, channels=1, endpoints=1)
        await fleet.start()
        _, host, port = fleet.endpoints[0].address.replace("//", "").split(":")
        client = AsyncModbusTcpClient(host, port=int(port), timeout=1, retries=0)
        await client.connect()
        try:
            return (await client.read_holding_registers(2, count=1, device_id=1)).registers
        finally:
            client.close()
            await fleet.stop()

    assert uvloop.run(read()) == [1]


@pytest.mark.parametrize(("instruments", "channels", "endpoints"), [(500, 4, 2), (5, 63, 1), (2, 4, 3)])
def test_a_fleet_that_does_not_fit_is_refused(instruments: int, channels: int, endpoints: int):
    with pytest.raises(ValueError, match=r"must be|do not fit"):
        Fleet(instruments, channels, endpoints)


async def test_the_module_prints_its_endpoints_as_json_and_ends_on_sigterm(tmp_path: Path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "rooms: {r: {volume_m3: 20}}\nbuses: {b: {type: modbus-tcp}}\n"
        "instruments: {g: {bus: b, unit: 1, at: r, channels: {ch4: {address: 0, scale: 0.1}}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.plant", str(scenario), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    (endpoint,) = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    assert endpoint["instruments"] == {"g": 1}
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 5) == 0


async def test_no_broker_outlives_a_plant_that_is_killed(tmp_path: Path):
    program("mosquitto") if mosquitto_path() is None else program("setpriv")
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "rooms: {r: {volume_m3: 20}}\nbuses: {b: {type: mqtt}}\n"
        "instruments: {g: {bus: b, topic: t, at: r, channels: {ch4: {}}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.plant", str(scenario), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    (endpoint,) = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
    _, host, port = endpoint["address"].replace("//", "").split(":")
    process.kill()
    await process.wait()
    async with asyncio.timeout(5):
        while await answers(host, int(port)):
            await asyncio.sleep(0.02)


async def test_what_was_put_while_the_broker_was_away_is_published_when_it_comes():
    sub, port = program("mosquitto_sub"), free_port()
    publisher = Publisher("127.0.0.1", port, SystemClock())
    await publisher.start()
    try:
        publisher.put("plant/early", b"1")
        await asyncio.sleep(0.1)
        async with broker(port):
            heard = asyncio.create_task(
                output(sub, "-h", "127.0.0.1", "-p", str(port), "-t", "#", "-C", "1", "-W", "9")
            )
            # The message may pass before the subscription; another one follows it.
            while not heard.done():
                publisher.put("plant/late", b"2")
                await asyncio.sleep(0.1)
            assert (await heard).strip() in {"1", "2"}
            assert publisher.published >= 1
            assert publisher.dropped == 0
    finally:
        await publisher.stop()


async def test_a_publisher_stops_also_where_the_end_meets_the_brokers_answer(monkeypatch: pytest.MonkeyPatch):
    begun = asyncio.Event()

    async def answered_when_cancelled(*_: object, **__: object) -> None:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    monkeypatch.setattr(aiomqtt.Client, "publish", answered_when_cancelled)
    async with broker() as port:
        publisher = Publisher("127.0.0.1", port, SystemClock())
        await publisher.start()
        publisher.put("plant/one", b"1")
        await begun.wait()
        stopping = asyncio.create_task(publisher.stop())
        done, _ = await asyncio.wait([stopping], timeout=4)
        stopping.cancel()
        assert done == {stopping}


@pytest.mark.parametrize("embedded", [False, True])
async def test_both_brokers_pass_on_a_message(embedded: bool):
    if embedded:
        pytest.importorskip("amqtt")
    elif mosquitto_path() is None:
        program("mosquitto")
    sub, pub = program("mosquitto_sub"), program("mosquitto_pub")
    async with broker(embedded=embedded) as port:
        common = ("-h", "127.0.0.1", "-p", str(port), "-t", "a/b")
        heard = asyncio.create_task(output(sub, *common, "-C", "1", "-W", "8"))
        while not heard.done():
            await output(pub, *common, "-m", "hello")
            await asyncio.sleep(0.05)
        assert (await heard).strip() == "hello"
