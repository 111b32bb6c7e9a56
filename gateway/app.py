"""The running gateway: wires the parts together and is the only module that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from gateway import assembly
from gateway.alarms.book import AlarmBook
from gateway.api.face import Latest, Running, Tokens, Trend
from gateway.checkpoint import catch_up, refill, save_checkpoint
from gateway.core.alarm import Alarm, AlarmEvent, Command
from gateway.core.clock import NS_PER_S, Clock, rfc3339
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel
from gateway.core.plugin import Acknowledging
from gateway.core.status import InstrumentStatus, UplinkStatus
from gateway.disk import Disk, FolderLock, PublishedEvents
from gateway.flow.inbox import Inbox
from gateway.flow.pipeline import Pipeline
from gateway.flow.supervisor import Supervisor
from gateway.instruments import instrument_states
from gateway.outbox import EVENT_PACE, READING_PACE, Outbox
from gateway.recorder import Recorder
from gateway.site.load import Destination, Site
from gateway.store.logs import ReadingLog, ThreadLedger

log = structlog.get_logger()

T = TypeVar("T")

CHECKPOINT_S = 300.0
CLOCK_STEP_S = 2.0
API_RETRY_S = 10.0


class App:
    """One gateway with one site; satisfies `gateway.api.face.Gateway`.

    Args:
        site: The checked site.
        data: The data folder; made where it does not exist. Only one gateway may use it.
        clock: Time.
        bind: Address and port of the API in place of the site file's.
        serve: False leaves the API out whatever the site says.

    Raises:
        SiteFileError: A plugin refuses its options.
        StorageError: The data folder cannot be used at all, or another gateway uses it.
    """

    def __init__(self, site: Site, data: Path, clock: Clock, *, bind: str | None = None, serve: bool = True) -> None:
        # Whatever a plugin refuses stops the start before a file is touched.
        assembly.check_sinks(site, clock)
        made = assembly.drivers(site, clock)
        benches = assembly.detectors(site)
        self.site = site = site.lean()
        self._drivers = [(connection, driver) for connection, (_, driver) in zip(site.connections, made, strict=True)]
        self.clock = clock
        self.port = 0
        self.started = asyncio.Event()
        self._bind = bind or site.file.api.bind
        self._serve = serve and site.file.api.enabled
        self._started_s = clock.monotonic_s()
        self._lock = FolderLock(data)
        self.disk = Disk.open(data, site)
        self.tokens: Tokens = self.disk.journal
        self._check_bind()
        self.book = AlarmBook(site.rules, self.disk.journal.last_seq + 1)
        self.pipeline = Pipeline(site.channels, benches, self.book)
        self.inbox = Inbox(self._pass)
        self.recorder = Recorder(
            self.disk.journal,
            self.disk.spool,
            self.disk.history,
            clock,
            flush_s=site.file.storage.flush_s,
            on_problem=lambda part, why: self._system(f"system/disk/{part}", why),
        )
        self._supervisors: dict[str, Supervisor] = {}
        self._outboxes: list[Outbox[Any]] = []
        self._told: set[str] = set()
        self._rows = {channel.id: channel.row for channel in site.channels}

    def _check_bind(self) -> None:
        """Refuse an address that others can reach while no token exists, before anything runs."""
        if not self._serve:
            return
        from gateway.api.access import check_bind  # noqa: PLC0415 - a site without API loads no web framework

        try:
            check_bind(self._bind, has_token=bool(self.disk.journal.tokens()))
        except ConfigError as error:
            self.disk.close()
            self._lock.release()
            raise self.site.error(error) from error

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end cleanly: what was read is on disk, what was raised is in the journal."""
        try:
            self._restore()
            await self._run_parts(stop)
        finally:
            try:
                await asyncio.to_thread(self.disk.close)
            finally:
                self._lock.release()

    async def _run_parts(self, stop: asyncio.Event) -> None:
        recorder = asyncio.create_task(self.recorder.run(), name="recorder")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part, name=name) for name, part in self._parts()]
                tasks.append(group.create_task(self._recorder_lives(recorder), name="recorder lives"))
                self.started.set()
                await stop.wait()
                for task in tasks:
                    task.cancel()
        finally:
            await self._end(recorder)

    def _parts(self) -> list[tuple[str, Any]]:
        """Everything that runs beside the recorder, by name."""
        for connection, driver in self._drivers:
            channels = [plan.channel for instrument in connection.instruments for plan in instrument.channels]
            self._supervisors[connection.id] = Supervisor(
                connection.id,
                driver,
                channels,
                self.inbox.put,
                self.clock,
                on_change=partial(self._system, f"system/connection/{connection.id}"),
            )
        waiting: list[Acknowledging] = [d for _, d in self._drivers if isinstance(d, Acknowledging)]
        self.recorder.acknowledge_through(waiting, self.inbox.drain)
        parts: list[tuple[str, Any]] = [(f"connection {k}", s.run()) for k, s in self._supervisors.items()]
        parts += [(f"outbox {o.name}", o.run()) for o in self._make_outboxes()]
        parts += [
            ("time", self._watch_time()),
            ("checkpoint", self._save_checkpoints()),
            ("wake", self._wake_outboxes()),
        ]
        if self._serve:
            parts.append(("api", self._serve_api()))
        return parts

    async def _end(self, recorder: asyncio.Task[None]) -> None:
        self.inbox.drain()
        self._note("gateway stopped")
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
        await asyncio.to_thread(self._checkpoint())
        for outbox in self._outboxes:
            await outbox.close()

    async def _recorder_lives(self, recorder: asyncio.Task[None]) -> None:
        """A recorder that fails takes the gateway with it: the service manager starts it anew, the journal replays."""
        await asyncio.shield(recorder)

    def _restore(self) -> None:
        """Bring back alarms from the journal, detectors from their checkpoint and the spool, and raise what is due."""
        now_ns = self.clock.now_ns()
        self.book.restore(self.disk.journal.latest())
        catch_up(self.disk.checkpoint, self.disk.spool, self.pipeline)
        refill(self.disk.spool, self.disk.history)
        events = [*self.pipeline.reconcile(now_ns), *self.book.orphans(now_ns)]
        for alarm in self.book.alarms():
            if alarm.id.startswith("system/"):
                # What still ails will say so again; what no longer exists could not.
                events += self.book.system(alarm.id, active=False, why="the gateway was started anew", now_ns=now_ns)
        epoch, reason = self.disk.journal.epoch, self.disk.journal.epoch_reason
        events += self.book.note(f"gateway started, epoch {epoch}{': ' if reason else ''}{reason}", now_ns)
        self.recorder.take(None, events)
        self._tell_damage()

    def _tell_damage(self) -> None:
        """Put into the journal what the stores have found damaged or given up since the last look."""
        for problem in self.disk.problems():
            if problem not in self._told:
                self._told.add(problem)
                log.error("disk", problem=problem)
                self._note(problem)

    def _pass(self, batch: Batch) -> None:
        """One turn of the pipeline: judge, then hand everything to the recorder."""
        self.recorder.take(batch, self.pipeline.process(batch))

    def _note(self, why: str) -> None:
        self.recorder.take(None, self.book.note(why, self.clock.now_ns()))

    def _system(self, alarm: str, why: str) -> None:
        """Raise a system alarm, or end it where `why` is empty."""
        self.recorder.take(
            None, self.book.system(alarm, active=bool(why), why=why or "well again", now_ns=self.clock.now_ns())
        )

    def _make_outboxes(self) -> list[Outbox[Any]]:
        about = assembly.info(self.site, self.disk.journal.epoch)
        ledger = ThreadLedger(self.disk.journal, self._in_journal_thread)
        for destination, sink in assembly.sinks(self.site, self.site.uplinks, about, self.clock):
            events = PublishedEvents(self.disk.journal, self.recorder, self._in_journal_thread)
            self._outboxes.append(
                Outbox(
                    destination.id,
                    kind="uplink",
                    source=events,
                    pace=EVENT_PACE,
                    **self._common(destination, sink, ledger),
                )
            )
        for destination, sink in assembly.sinks(self.site, self.site.stores, about, self.clock):
            readings = ReadingLog(self.disk.spool, self._in_spool_thread, self.site.channels)
            self._outboxes.append(
                Outbox(
                    destination.id,
                    kind="store",
                    source=readings,
                    pace=READING_PACE,
                    **self._common(destination, sink, ledger),
                )
            )
        return self._outboxes

    def _common(self, destination: Destination, sink: Any, ledger: ThreadLedger) -> dict[str, Any]:
        return {
            "type_": destination.type,
            "sink": sink,
            "ledger": ledger,
            "clock": self.clock,
            "seed": self.site.file.site.gateway,
            "on_change": lambda up, reason: self._system(f"system/uplink/{destination.id}", "" if up else reason),
            "on_lost": lambda count: self._note(f"{count} items were dropped before {destination.id} had them"),
        }

    async def _in_journal_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.recorder.journal_thread, call)

    async def _in_spool_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.recorder.spool_thread, call)

    async def _wake_outboxes(self) -> None:
        """Tell the outboxes when something new is on disk: events at once, readings after each flush."""

        async def told(signal_kind: str) -> None:
            signal = self.recorder.published_signal if signal_kind == "uplink" else self.recorder.flushed_signal
            while True:
                await signal.wait()
                for outbox in self._outboxes:
                    if outbox.status().kind == signal_kind:
                        outbox.notify()

        async with asyncio.TaskGroup() as group:
            group.create_task(told("uplink"))
            group.create_task(told("store"))

    async def _watch_time(self) -> None:
        """End shelvings, and tell when the machine's clock was set."""
        offset_ns = self.clock.now_ns() - round(self.clock.monotonic_s() * NS_PER_S)
        while True:
            await self.clock.sleep(1.0)
            now_ns = self.clock.now_ns()
            self.recorder.take(None, self.pipeline.advance(now_ns))
            self._tell_damage()
            moved_s = (now_ns - round(self.clock.monotonic_s() * NS_PER_S) - offset_ns) / NS_PER_S
            if abs(moved_s) >= CLOCK_STEP_S:
                offset_ns += round(moved_s * NS_PER_S)
                log.warning("clock was set", by_s=round(moved_s, 3))
                self._note(f"the clock was set by {moved_s:+.3f} s to {rfc3339(now_ns)}")

    async def _save_checkpoints(self) -> None:
        while True:
            await self.clock.sleep(CHECKPOINT_S)
            await self._in_spool_thread(self._checkpoint())

    def _checkpoint(self) -> Callable[[], None]:
        """Take the detectors' states together with the number of the next reading, to be written in a thread."""
        return partial(save_checkpoint, self.disk.checkpoint, self.pipeline.save(), self.disk.spool.next_number)

    async def _serve_api(self) -> None:
        """Serve the API; an address that is taken holds no alarm up, it is a system alarm and tried again."""
        from gateway.api.server import ApiServer  # noqa: PLC0415 - a site without API loads no web framework

        server = ApiServer(self, local_operator=self.site.file.api.local_operator)
        while True:
            try:
                await server.start(self._bind)
                break
            except ConfigError as error:
                self._system("system/api", error.problem)
                await self.clock.sleep(API_RETRY_S)
        self._system("system/api", "")
        self.port = server.port
        log.info("console", url=f"http://{self._bind.rpartition(':')[0]}:{server.port}/")
        try:
            await asyncio.Event().wait()
        finally:
            await server.stop()

    # What the API sees.

    @property
    def site_id(self) -> str:
        """The site's id."""
        return self.site.file.site.id

    @property
    def site_name(self) -> str:
        """The site's name for people."""
        return self.site.file.site.name or self.site.file.site.id

    @property
    def epoch(self) -> str:
        """The journal's epoch."""
        return self.disk.journal.epoch

    @property
    def channels(self) -> Sequence[Channel]:
        """The channel table in row order."""
        return self.site.channels

    def latest(self) -> Latest:
        """Return copies of the newest readings."""
        latest = self.pipeline.latest
        return Latest(latest.time_ns.copy(), latest.value.copy(), latest.quality.copy())

    def alarms(self) -> list[Alarm]:
        """Return every alarm that is not normal, most urgent first."""
        return self.book.alarms()

    def audible(self) -> bool:
        """Whether an alarm sounds now."""
        return self.book.audible()

    def instruments(self) -> list[InstrumentStatus]:
        """Return the state of every instrument."""
        reasons = {name: supervisor.reason for name, supervisor in self._supervisors.items()}
        return instrument_states(self.site, self.pipeline.latest, reasons)

    def uplinks(self) -> list[UplinkStatus]:
        """Return the state of every store and uplink."""
        return [outbox.status() for outbox in self._outboxes]

    def connections(self) -> list[Running]:
        """Return every connection with its driver."""
        return [Running(c.id, c.type, c.options, driver) for c, driver in self._drivers]

    def statistics(self) -> Mapping[str, float]:
        """Return counters and gauges by name."""
        spool = self.disk.spool
        return {
            "uptime_s": self.clock.monotonic_s() - self._started_s,
            "readings_total": int(self.pipeline.latest.count.sum()),
            "bad_readings_total": int(self.pipeline.latest.bad.sum()),
            "events_total": self.book.next_seq - 1,
            "events_not_on_disk": self.recorder.unsaved,
            "inbox_readings": len(self.inbox),
            "spool_bytes": spool.bytes_used,
            "spool_dropped_total": spool.dropped,
            "connections": len(self._supervisors),
            "connections_up": sum(s.connected for s in self._supervisors.values()),
        }

    async def command(self, command: Command) -> list[AlarmEvent]:
        """Carry out a command and return its events once they are on disk. Raises CommandRefusedError."""
        events = self.pipeline.command(command, self.clock.now_ns())
        self.recorder.take(None, events)
        if events:
            await self.recorder.committed(events[-1].seq)
        return events

    async def events(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return journalled events."""
        return await self.recorder.read(after, limit, alarm=alarm, kind=kind, newest_first=newest_first)

    async def history(self, channel: str, start_ns: int, end_ns: int, resolution_s: int) -> Trend:
        """Return a channel's past. Raises KeyError for a channel that does not exist."""
        if channel not in self._rows:
            raise KeyError(channel)
        if resolution_s:
            loop = asyncio.get_running_loop()
            query = partial(self.disk.history.query, channel, start_ns, end_ns)
            past = await loop.run_in_executor(self.recorder.history_thread, query)
            return Trend(past.minute_ns, past.low, past.mean, past.high, past.worst, 60)
        raw = await asyncio.to_thread(self.disk.spool.trend, channel, start_ns, end_ns)
        return Trend(raw.time_ns, raw.value, raw.value, raw.value, raw.quality, 0)

    def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        """Yield events after a number, then new ones."""
        return self.recorder.follow(after)
