"""The InfluxDB store against a real influxd 1.x and a real VictoriaMetrics, with the faults that real ones have."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
import numpy as np
import pytest

from gateway.core.clock import SystemClock
from gateway.core.errors import RejectedError, UnavailableError
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import SiteInfo
from gateway.outbox import READING_PACE, Outbox
from gateway.store.influxdb import InfluxStore, Options, create
from gateway.store.logs import ReadingLog
from gateway.store.table import Table

CHANNELS = [
    Channel(row=row, id=f"gd-{row:02}.ch4", instrument=f"gd-{row:02}", quantity="ch4", unit="%LEL", area="tank farm")
    for row in range(10)
]
SITE = SiteInfo("park-1", "gw-1", "e1", CHANNELS)
START_NS = 1_700_000_000_000_000_000


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A database in a folder of its own, on ports of its own, that can be stopped, killed and started again."""

    def __init__(self, command: Sequence[str], folder: Path, port: int, environment: dict[str, str]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._command = command
        self._environment = {**os.environ, "HOME": str(folder), **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ping", trust_env=False).status_code == 204:
                    return
            time.sleep(0.05)
        raise AssertionError(f"{self._command[0]} did not answer")

    def end(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def query(self, path: str, **params: str) -> Any:
        answer = httpx.get(f"{self.url}{path}", params=params, trust_env=False, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def order(self, statement: str) -> None:
        httpx.post(f"{self.url}/query", data={"q": statement}, trust_env=False).raise_for_status()

    def write_line(self, database: str, line: str) -> int:
        params = {"db": database}
        return httpx.post(f"{self.url}/write", params=params, content=line, trust_env=False).status_code

    def count(self, field: str = "value", database: str = "hazgate") -> int:
        found = self.query("/query", db=database, q=f'SELECT count("{field}") FROM reading')
        series = found["results"][0].get("series")
        return int(series[0]["values"][0][1]) if series else 0


def influxd(folder: Path) -> Server:
    port, rpc = free_port(), free_port()
    return Server(
        [program("influxd"), "run", "-config", "/dev/null"],
        folder,
        port,
        {
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_BIND_ADDRESS": f"127.0.0.1:{rpc}",
            "INFLUXDB_META_DIR": f"{folder}/meta",
            "INFLUXDB_DATA_DIR": f"{folder}/data",
            "INFLUXDB_DATA_WAL_DIR": f"{folder}/wal",
            "INFLUXDB_DATA_QUERY_LOG_ENABLED": "false",
            "INFLUXDB_HTTP_BIND_ADDRESS": f"127.0.0.1:{port}",
            "INFLUXDB_HTTP_LOG_ENABLED": "false",
            "INFLUXDB_MONITOR_STORE_ENABLED": "false",
        },
    )


def victoria(folder: Path) -> Server:
    port = free_port()
    command = [
        program("victoria-metrics"),
        f"-storageDataPath={folder}/vm",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-loggerLevel=ERROR",
        "-search.latencyOffset=0s",
        "-selfScrapeInterval=0",
    ]
    return Server(command, folder, port, {})


def victoria_count(server: Server) -> int:
    httpx.get(f"{server.url}/internal/force_flush", trust_env=False)
    found = server.query(
        "/api/v1/query", query="sum(count_over_time(reading_value[1000d]))", time=str(START_NS // 10**9 + 86_400)
    )
    result = found["data"]["result"]
    return int(float(result[0]["value"][1])) if result else 0


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = influxd(tmp_path_factory.mktemp("influxd"))
    server.start()
    yield server
    server.end()


@pytest.fixture
def own_influx(tmp_path: Path) -> Iterator[Server]:
    server = influxd(tmp_path)
    server.start()
    yield server
    server.end()


@contextlib.asynccontextmanager
async def store_at(url: str, **options: Any) -> AsyncIterator[InfluxStore]:
    store = create(Options(url=url, **options), SITE, SystemClock())
    try:
        yield store
    finally:
        await store.close()


def readings(count: int, start: int = 0) -> Batch:
    """Readings `start` to `start + count - 1` of all channels in turn, 1 ms apart, none twice."""
    number = np.arange(start, start + count)
    return Batch.of(number % len(CHANNELS), START_NS + number * 1_000_000, (number % 500) / 10)


@pytest.mark.parametrize("compress", ["off", "gzip"])
async def test_influxdb_holds_what_was_written(influx: Server, compress: str) -> None:
    database = f"held_{compress}"
    async with store_at(influx.url, database=database, compress=compress) as store:
        await store.write(readings(5_000))
        await store.write(readings(5_000))
        await store.write(readings(2_000, start=5_000))
    assert influx.count(database=database) == 7_000
    found = influx.query("/query", db=database, epoch="ns", q="SELECT * FROM reading WHERE channel='gd-03.ch4' LIMIT 1")
    series = found["results"][0]["series"][0]
    point = dict(zip(series["columns"], series["values"][0], strict=True))
    assert point == {
        "time": START_NS + 3_000_000, "area": "tank farm", "channel": "gd-03.ch4", "instrument": "gd-03",
        "quantity": "ch4", "quality": 0, "site": "park-1", "unit": "%LEL", "value": 0.3,
    }  # fmt: skip


async def test_a_bad_reading_has_a_quality_and_no_value(influx: Server) -> None:
    async with store_at(influx.url, database="bad") as store:
        await store.write(Batch.of([0, 1], START_NS, [1.0, np.nan], [0, Quality.COMMS_LOST]))
    assert influx.count("quality", "bad") == 2
    assert influx.count("value", "bad") == 1


async def test_every_writable_name_is_taken(influx: Server) -> None:
    nasty = ["a b", "a,b", "a=b", "a\\b", "a\\", "a\\,b", "a\nb", "管廊 2", '"q"', "tab\tbed", "a\\ b", "#1", "é☢"]
    channels = [
        Channel(row=row, id=f"c{row}", instrument="i", quantity="ch4", area=area) for row, area in enumerate(nasty)
    ]
    site = replace(SITE, channels=channels)
    store = create(Options(url=influx.url, database="nasty"), site, SystemClock())
    await store.write(Batch.of(range(len(nasty)), START_NS, [1.0] * len(nasty)))
    await store.close()
    found = influx.query("/query", db="nasty", q="SELECT count(value) FROM reading GROUP BY channel")
    assert len(found["results"][0]["series"]) == len(nasty)


async def test_one_refused_point_is_named_and_its_neighbours_are_kept(influx: Server) -> None:
    async with store_at(influx.url, database="conflict") as store:
        await store.write(readings(10))
        # Another program has written one of our fields with another type into the shard of that day.
        line = f"reading,channel=x value=1i {START_NS}"
        assert influx.write_line("conflict", line) == 400
        influx.order('CREATE RETENTION POLICY "short" ON "conflict" DURATION 1h REPLICATION 1 DEFAULT')
        now_ns = time.time_ns()
        number = np.arange(1_000)
        times = np.where(number == 617, START_NS, now_ns + number)
        with pytest.raises(RejectedError) as caught:
            await store.write(Batch.of(number % 10, times, np.ones(1_000)))
    assert list(caught.value.reasons) == [617]
    assert "beyond retention policy" in caught.value.reasons[617]
    found = influx.query("/query", db="conflict", q='SELECT count(value) FROM "short".reading')
    assert found["results"][0]["series"][0]["values"][0][1] == 999


async def test_a_field_of_another_type_refuses_all_in_one_request(influx: Server) -> None:
    async with store_at(influx.url, database="types") as store:
        influx.order("CREATE DATABASE types")
        line = f"reading,channel=x value=1i {START_NS}"
        assert influx.write_line("types", line) == 204
        with pytest.raises(RejectedError) as caught:
            await store.write(readings(300))
    assert sorted(caught.value.reasons) == list(range(300))
    assert "field type conflict" in caught.value.reasons[0]


async def test_a_database_that_may_not_be_made_is_a_configuration_to_repair(influx: Server) -> None:
    async with store_at(influx.url, database="absent", create_missing=False) as store:
        with pytest.raises(UnavailableError, match=r"404.*database not found.*put right"):
            await store.write(readings(1))


async def test_a_server_of_another_kind_refuses_nothing_for_ever(influx: Server) -> None:
    async with store_at(influx.url, api="v2", bucket="b", create_missing=False) as store:
        with pytest.raises(UnavailableError, match="404"):
            await store.write(readings(1))


@pytest.mark.parametrize("api", [{"api": "v1"}, {"api": "v2", "bucket": "b", "org": "o"}])
async def test_victoria_metrics_holds_what_was_written(tmp_path: Path, api: dict[str, str]) -> None:
    server = victoria(tmp_path)
    server.start()
    try:
        async with store_at(server.url, **api) as store:
            await store.check()
            await store.write(readings(3_000))
        assert victoria_count(server) == 3_000
    finally:
        server.end()


class MemorySpool:
    """The spool's interface over readings that are made when asked for."""

    def __init__(self) -> None:
        self.durable = 0
        self.first_number = 0

    def read(self, start: int, limit: int, table: Table | None = None) -> tuple[Batch, int]:
        stop = min(self.durable, start + limit)
        return readings(stop - start, start), stop


class MemoryLedger:
    def __init__(self) -> None:
        self.text: str | None = None
        self.dead: list[str] = []

    async def cursor(self, name: str) -> str | None:
        return self.text

    async def set_cursor(self, name: str, text: str) -> None:
        self.text = text

    async def dead_letter(self, sink: str, key: str, payload: str, reason: str, time_ns: int) -> None:
        self.dead.append(reason)


class Delivery:
    """Store, outbox and a spool that grows, against a server at `url`."""

    def __init__(self, url: str, **pace: float) -> None:
        self.spool = MemorySpool()
        self.ledger = MemoryLedger()
        self.store = create(Options(url=url, timeout_s=1.0), SITE, SystemClock())
        self.outbox = Outbox(
            "influx",
            kind="store",
            type_="influxdb",
            source=ReadingLog(self.spool, asyncio.to_thread, CHANNELS),
            sink=self.store,
            ledger=self.ledger,
            clock=SystemClock(),
            pace=replace(READING_PACE, backoff_min_s=0.1, backoff_max_s=0.3, write_timeout_s=2.0, **pace),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.outbox.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.outbox.close()

    async def grow(self, seconds: float, per_s: int = 1_000) -> None:
        """Let the plant run: readings become durable ten times a second."""
        for _ in range(round(seconds * 10)):
            self.spool.durable += per_s // 10
            self.outbox.notify()
            await asyncio.sleep(0.1)

    async def live_at(self, number: int, limit_s: float = 20.0) -> None:
        """Wait until the newest readings up to `number` are acknowledged, whatever the back-fill still owes."""
        deadline = time.monotonic() + limit_s
        while self.outbox._backlog is None or self.outbox._backlog.head < number:
            assert time.monotonic() < deadline, f"{number} is not acknowledged"
            await asyncio.sleep(0.001)

    async def drained(self, limit_s: float = 20.0) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if not self.outbox.status().waiting:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"still waiting: {self.outbox.status()}")


async def test_a_stopped_server_loses_nothing(own_influx: Server) -> None:
    async with Delivery(own_influx.url) as delivery:
        await delivery.grow(0.5)
        await delivery.drained()
        own_influx.end()
        await delivery.grow(1.0)
        assert not delivery.outbox.status().up
        await asyncio.to_thread(own_influx.start)
        await delivery.grow(0.5)
        await delivery.drained()
        assert delivery.outbox.status().delivered == delivery.spool.durable
    assert own_influx.count() == delivery.spool.durable == 2_000
    assert delivery.ledger.dead == []


class Proxy:
    """A TCP proxy that can keep its connections and stop forwarding: the mobile network that has lost its state."""

    def __init__(self, port: int) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        # A connection that was just taken has its task a turn later; none may outlive the loop.
        await asyncio.sleep(0.01)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends, pumps = [writer], list[asyncio.Future[None]]()
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            ends.append(far_writer)
            pumps += [
                asyncio.ensure_future(self._pump(reader, far_writer)),
                asyncio.ensure_future(self._pump(far_reader, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await reader.read(65_536):
                await self.open.wait()
                writer.write(content)
                await writer.drain()


async def test_a_black_hole_loses_nothing(own_influx: Server) -> None:
    async with Proxy(own_influx.port) as proxy, Delivery(proxy.url) as delivery:
        await delivery.grow(0.5)
        await delivery.drained()
        proxy.open.clear()
        await delivery.grow(2.0)
        status = delivery.outbox.status()
        assert not status.up
        assert status.waiting > 0
        assert "timed out" in status.reason or "no acknowledgement" in status.reason
        proxy.open.set()
        await delivery.grow(0.5)
        await delivery.drained()
        assert delivery.outbox.status().delivered == delivery.spool.durable
    assert own_influx.count() == delivery.spool.durable


async def test_a_server_that_acknowledges_and_dies_has_its_last_readings_written_again(tmp_path: Path) -> None:
    server = victoria(tmp_path)
    server.start()
    try:
        async with Delivery(server.url) as delivery:
            await delivery.grow(1.0)
            await delivery.drained()
            server.end(signal.SIGKILL)
            await asyncio.to_thread(server.start)
            lost = delivery.spool.durable - await asyncio.to_thread(victoria_count, server)
            await delivery.grow(0.2)
            # The connection broke under the next write, which makes the outbox write the last seconds again.
            await delivery.drained()
        assert lost > 0, "VictoriaMetrics keeps the newest seconds in memory: the fault this test is about"
        assert victoria_count(server) == delivery.spool.durable
    finally:
        server.end()


async def test_after_a_day_away_live_readings_do_not_wait_for_the_back_fill(own_influx: Server) -> None:
    backlog, per_s = 300_000, 1_000
    delivery = Delivery(own_influx.url)
    delivery.spool.durable = backlog
    async with delivery:
        delays: list[float] = []
        began = time.monotonic()
        drained_s = 0.0
        while not drained_s and time.monotonic() - began < 40:
            delivery.spool.durable += per_s // 10
            newest, at = delivery.spool.durable, time.monotonic()
            delivery.outbox.notify()
            await delivery.live_at(newest)
            delays.append(time.monotonic() - at)
            if not delivery.outbox.status().waiting:
                drained_s = time.monotonic() - began
            await asyncio.sleep(max(0.0, 0.1 - delays[-1]))
    assert own_influx.count() == delivery.spool.durable
    assert drained_s, "never drained"
    assert backlog / drained_s >= 10 * per_s, f"{backlog} readings took {drained_s:.1f} s"
    assert sorted(delays)[len(delays) // 2] < 0.5
