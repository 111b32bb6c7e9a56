"""The running gateway: wires the parts together and is the only module that knows them all."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from gateway import assembly, restart
from gateway.alarms.book import AlarmBook
from gateway.alarms.calibration import Wanted
from gateway.api.face import Latest, Reloaded, Running, Tokens, Trend
from gateway.calibration import CalibrationDuty
from gateway.cases import Archive, Cases
from gateway.connections import Connections
from gateway.core.alarm import Alarm, AlarmEvent, Command, Verb
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Priority, Reason, Rule
from gateway.core.plugin import Acknowledging
from gateway.core.status import InstrumentStatus, OutputStatus, RuleStatus, UplinkStatus
from gateway.disk import Disk, FolderLock
from gateway.figures import Figures
from gateway.flow.inbox import Inbox
from gateway.flow.load import Load
from gateway.instruments import instrument_states
from gateway.notifications import Notifications
from gateway.orders import Orders
from gateway.outgoing import UPLINK, Outgoing
from gateway.outputs import Outputs
from gateway.people.people import People, show_code
from gateway.places import FILE as PLACES
from gateway.places import Places
from gateway.recorder import Recorder
from gateway.records import Records
from gateway.reload import Prints
from gateway.reloading import Present, Reloads, Successor, events_of
from gateway.site.plans import Site
from gateway.site.schema import SiteFile
from gateway.store.people import PeopleStore
from gateway.store.photos import Photos
from gateway.store.search import Past
from gateway.upkeep import Upkeep

log = structlog.get_logger()

T = TypeVar("T")

_RESTING = "judging takes longer than readings take to come: rules that learn rest, limits and faults go on"


class App:
    """One gateway with one site; satisfies `gateway.api.face.Gateway`.

    Args:
        site: The checked site.
        data: The data folder; made where it does not exist. Only one gateway may use it.
        clock: Time.
        bind: Address and port of the API in place of the site file's.
        serve: False leaves the API out whatever the site says.
        source: Reads and checks the site file again, for a reload; None where there is no file to read.
        around_reload: Entered for the time of a reload.

    Raises:
        SiteFileError: A plugin refuses its options.
        StorageError: The data folder cannot be used at all, or another gateway uses it.
    """

    def __init__(
        self,
        site: Site,
        data: Path,
        clock: Clock,
        *,
        bind: str | None = None,
        serve: bool = True,
        source: Callable[[], Site] | None = None,
        around_reload: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        # Whatever a plugin refuses stops the start before a file is touched.
        assembly.check_sinks(site, clock)
        made = assembly.drivers(site, clock)
        self.pipeline = assembly.pipeline(site)
        self.clock = clock
        self._outputs = assembly.outputs(site, {c.id: driver for c, driver in made}, clock, self._system)
        self._prints = Prints.of(site)
        self.site = site = site.lean()
        self.port = 0
        self.table = clock.now_ns() // 1_000_000
        self.started = asyncio.Event()
        self._bind = bind or site.file.api.bind
        self._serve = serve and site.file.api.enabled
        self._reloads = Reloads(
            source,
            clock,
            present=self._present,
            become=self._become,
            note=self._note,
            on_problem=self._system,
            around=around_reload,
        )
        self._group: asyncio.TaskGroup | None = None
        self._former: Mapping[str, Channel] = {}
        self._output_task: asyncio.Task[None] | None = None
        self._started_s = clock.monotonic_s()
        self._lock = FolderLock(data)
        self.places = Places(data / PLACES, lambda: self.site.drawings)
        self.disk = Disk.open(data, site)
        self.tokens: Tokens = self.disk.journal
        self._check_people()
        self.book.next_seq = self.disk.journal.last_seq + 1
        self._load = Load()
        self.inbox = Inbox(self._pass)
        self._made = made
        self._keep(data)
        self._attend()
        self._send()

    def _check_people(self) -> None:
        """Make the list of people, and refuse what an address that others can reach asks of it."""
        self.people = People(
            PeopleStore(self.disk.journal.database),
            self.disk.journal,
            self.clock,
            tell=lambda event: self._tell(None, [self.book.number(event)]),
            announce=show_code if self._serve else None,
        )
        self._check_bind()

    def _keep(self, data: Path) -> None:
        """Make what keeps and finds: the recorder, the records, the connections whose readings are kept."""
        self.recorder = Recorder(
            self.disk.journal,
            self.disk.spool,
            self.disk.history,
            self.clock,
            flush_s=self.site.file.storage.flush_s,
            on_problem=lambda part, why: self._system(f"system/disk/{part}", why),
        )
        self._connections = Connections(
            self.inbox.put, self.clock, lambda name, why: self._system(f"system/connection/{name}", why)
        )
        self._past = Past(self.disk.journal.path)
        self._photos = Photos(data / "photos")
        self.records = Records.of(self, data, self._past)

    def _attend(self) -> None:
        """Make what follows the alarms on site: figures, cases, orders, calibrations, and what ends by the clock."""
        file, clock, tell = self.site.file, self.clock, partial(self._tell, None)
        self.figures = Figures(file.alarms, clock, lambda: self.book, tell, self._past)
        archive = Archive(self._past, self._photos, self.recorder.committed)
        self.cases = Cases(file.response, clock, lambda: self.book, tell, archive)
        self.orders = Orders(lambda: self.book, clock, tell, self.recorder.committed)
        self.calibrations = CalibrationDuty(self.site, clock, tell=self._want, record=self.record)
        self._upkeep = Upkeep(
            self.disk,
            clock,
            pipeline=lambda: self.pipeline,
            tell=tell,
            in_spool_thread=self._in_spool_thread,
            permits=assembly.permits(self.site),
        )

    def _send(self) -> None:
        """Make what tells others: stores and platforms, and people who are elsewhere."""
        self._outgoing = Outgoing(
            self.disk,
            self.recorder,
            self.clock,
            self.site.file.site.gateway,
            on_change=lambda name, why: self._system(f"system/uplink/{name}", why),
            on_lost=lambda name, count: self._note(f"{count} items were dropped before {name} had them"),
        )
        self.notifications = Notifications(
            self.recorder,
            self._outgoing.ledger,
            self.clock,
            alarms=self.alarms,
            find=lambda alarm: self.book.alarm(alarm),  # noqa: PLW0108 - a reload exchanges the book
            on_change=lambda name, why: self._system(f"system/notifier/{name}", why),
        )

    def _check_bind(self) -> None:
        """Refuse an address that others can reach while neither an account nor a token exists, before anything runs."""
        if not self._serve:
            return
        from gateway.api.access import check_bind  # noqa: PLC0415 - a site without API loads no web framework

        try:
            check_bind(self._bind, protected=self.people.protected())
        except ConfigError as error:
            self.disk.close()
            self._lock.release()
            raise self.site.error(error) from error

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set, then end cleanly: what was read is on disk, what was raised is in the journal."""
        try:
            self._restore()
            await asyncio.to_thread(self.records.keep_place)
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
                self._group = group
                tasks = [group.create_task(part, name=name) for name, part in self._parts()]
                tasks.append(group.create_task(self._recorder_lives(recorder), name="recorder lives"))
                self._run_outputs(group, self._outputs)
                self.started.set()
                await stop.wait()
                self._group = None
                for task in (*tasks, self._output_task):
                    if task is not None:
                        task.cancel()
        finally:
            await self._end(recorder)

    def _parts(self) -> list[tuple[str, Any]]:
        """Everything that runs beside the recorder, by name."""
        # Not sooner: from here on silence counts, and what came before may have taken long.
        for connection, driver in self._made:
            self._connections.start(connection, driver)
        self._made.clear()
        self._acknowledge()
        about = assembly.info(self.site, self.disk.journal.epoch)
        for destination, sink in assembly.sinks(self.site, self.site.uplinks, about, self.clock):
            self._outgoing.start_uplink(destination, sink)
        for destination, sink in assembly.sinks(self.site, self.site.stores, about, self.clock):
            self._outgoing.start_store(destination, sink, self.site.channels, self.disk.spool.table)
        self.notifications.start(self.site, assembly.notifiers(self.site, about, self.clock))
        parts: list[tuple[str, Any]] = [
            ("connections", self._connections.run()),
            ("outgoing", self._outgoing.run()),
            ("notifications", self.notifications.run()),
            ("time", self._upkeep.watch_time()),
            ("checkpoint", self._upkeep.save_checkpoints()),
            ("reloads", self._reloads.run()),
            ("people", self.people.run()),
            ("cases", self.cases.run()),
            ("figures", self.figures.run()),
            ("calibrations", self.calibrations.run()),
        ]
        if self._serve:
            parts.append(("api", self._serve_api()))
        return parts

    def _run_outputs(self, group: asyncio.TaskGroup, outputs: Outputs) -> None:
        self._outputs = outputs
        outputs.restore(self.book)
        self._output_task = group.create_task(outputs.run(self._note), name="outputs")

    def _acknowledge(self) -> None:
        """Have the drivers whose peers wait for it told what is on disk."""
        waiting = [driver for driver in self._connections.drivers().values() if isinstance(driver, Acknowledging)]
        self.recorder.acknowledge_through(waiting, self.inbox.drain)

    async def _end(self, recorder: asyncio.Task[None]) -> None:
        self.inbox.drain()
        self._note(Reason("gateway stopped", "网关停止"))
        recorder.cancel()
        await asyncio.gather(recorder, return_exceptions=True)
        await asyncio.to_thread(self._upkeep.checkpoint())
        await self._outgoing.close()

    async def _recorder_lives(self, recorder: asyncio.Task[None]) -> None:
        """A recorder that fails takes the gateway with it: the service manager starts it anew, the journal replays."""
        await asyncio.shield(recorder)

    def _restore(self) -> None:
        """Bring back what was when the gateway ended, and raise what is due."""
        now_ns, journal = self.clock.now_ns(), self.disk.journal
        latest = journal.latest()
        self.calibrations.restore(latest)
        self.cases.restore(latest)
        self.figures.restore(now_ns)
        events = restart.bring_back(self.disk, self.pipeline, latest, now_ns)
        still = restart.standing(self.pipeline, [connection.id for connection in self.site.connections])
        still |= self.calibrations.alarms() | self._upkeep.permits.restore(self.book)
        events += restart.ended(self.book, still, now_ns)
        events += restart.noted(self.book, journal, now_ns)
        self.recorder.take(None, self.figures.follow(self.cases.begin(events, now_ns)))
        self._upkeep.tell_damage()

    def _pass(self, batch: Batch) -> None:
        """One turn of the pipeline: judge, then hand everything on."""
        begun_s = self.clock.monotonic_s()
        self._tell(batch, self.pipeline.process(batch))
        if self._load.note(begun_s, self.clock.monotonic_s()):
            self.pipeline.resting = self._load.resting
            self._system("system/load", _RESTING if self._load.resting else "")

    def _tell(self, batch: Batch | None, events: Sequence[AlarmEvent]) -> None:
        """Hand on what was read and what came of it: sounders hear of it at once, all others from the disk."""
        if events:
            self._outputs.take(events)
            events = self.figures.follow(self.cases.follow(events))
        self.recorder.take(batch, events)

    def _note(self, why: str | Reason, who: str = "") -> None:
        self._tell(None, self.book.note(why, self.clock.now_ns(), who))

    def _system(self, alarm: str, why: str, priority: Priority = Priority.YELLOW) -> None:
        """Raise a system alarm, or end it where `why` is empty."""
        now_ns = self.clock.now_ns()
        self._tell(
            None, self.book.system(alarm, active=bool(why), why=why or "well again", now_ns=now_ns, priority=priority)
        )

    def _want(self, wanted: Wanted) -> None:
        """Have a system alarm stand as it must."""
        told = {name: getattr(wanted, name) for name in ("active", "why", "priority", "area", "level")}
        self._tell(None, self.book.system(wanted.alarm, now_ns=self.clock.now_ns(), **told))

    async def _in_spool_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.recorder.spool_thread, call)

    async def _serve_api(self) -> None:
        from gateway.api.server import serve  # noqa: PLC0415 - a site without API loads no web framework

        def on_port(port: int) -> None:
            self.port = port
            log.info("console", url=f"http://{self._bind.rpartition(':')[0]}:{port}/")

        told = ""

        def on_problem(why: str) -> None:
            nonlocal told
            if why and why != told:
                # The alarm alone would stand in a console that nobody can open.
                log.warning("console cannot be served", reason=why)
            told = why
            self._system("system/api", why)

        await serve(
            self,
            self._bind,
            open_read=self.site.file.api.read == "anyone",
            local_operator=self.site.file.api.local_operator,
            on_port=on_port,
            on_problem=on_problem,
        )

    # A changed site file

    async def reload(self, who: str = "") -> Reloaded:
        """Read the site file again and apply what changed; a wrong one changes nothing. Raises CommandRefusedError."""
        return await self._reloads.ask(who)

    def _present(self) -> Present:
        return Present(
            self.site, self._prints, self.pipeline, self._connections.drivers(), self._former, self.disk.journal.epoch
        )

    async def _become(self, after: Successor, who: str) -> None:
        """Let a successor take over: stop what changes, exchange the tables at one stroke, start what is new."""
        change = after.change
        # Stores first: by its old table, one would pass over the readings of new channels.
        await self._outgoing.stop(change.closed)
        await self._connections.stop(change.gone)
        if after.outputs is not None and self._output_task is not None:
            self._output_task.cancel()
            await asyncio.wait((self._output_task,))
        self._exchange(after, who)
        for connection, driver in after.drivers:
            self._connections.start(connection, driver)
        self._acknowledge()
        if after.outputs is not None and self._group is not None:
            self._run_outputs(self._group, after.outputs)
        self._outputs.restore(self.book)
        failing = {alarm.id for alarm in self.book.alarms() if alarm.event.condition != "normal"}
        for (kind, name), destination, sink in after.sinks:
            alarmed = f"system/uplink/{name}" in failing
            if kind == UPLINK:
                self._outgoing.start_uplink(destination, sink, alarmed=alarmed)
            else:
                self._outgoing.start_store(destination, sink, after.store_channels, after.store_table, alarmed=alarmed)
        await self.notifications.change(after.site, after.notifiers)
        await self._upkeep.save_checkpoint()
        await asyncio.to_thread(self.records.keep_place)

    def _exchange(self, after: Successor, who: str) -> None:
        """Put everything on the new channel table in one turn of the loop: each reading belongs to one of the two."""
        self.inbox.drain()
        now_ns, before = self.clock.now_ns(), self.pipeline
        after.pipeline.succeed(before, after.moves)
        after.pipeline.book.succeed(before.book)
        self.pipeline, self.site, self._prints, self._former = after.pipeline, after.site, after.prints, after.former
        self.table += 1
        self._upkeep.permits.succeed(assembly.permits(after.site))
        if after.table != self.disk.spool.table:
            self.disk.spool.change_table(after.table)
            self.disk.history.change_table(after.table.ids)
        self._connections.renumber(after.site.connections)
        self.calibrations.renew(after.site)
        events = self.figures.follow(self.cases.follow(events_of(after, now_ns, who)))
        self.figures.change(after.site.file.alarms)
        self.recorder.take(None, [*events, *self.cases.change(after.site.file.response, now_ns)])

    # What the API sees.

    @property
    def book(self) -> AlarmBook:
        """The alarm book."""
        return self.pipeline.book

    @property
    def site_id(self) -> str:
        """The site's id."""
        return self.site.file.site.id

    @property
    def site_name(self) -> str:
        """The site's name for people."""
        return self.site.file.site.name or self.site.file.site.id

    @property
    def site_file(self) -> SiteFile:
        """The site file as it runs now."""
        return self.site.file

    @property
    def epoch(self) -> str:
        """The journal's epoch."""
        return self.disk.journal.epoch

    @property
    def channels(self) -> Sequence[Channel]:
        """The channel table in row order."""
        return self.site.channels

    @property
    def rules(self) -> Sequence[Rule]:
        """All rules."""
        return self.site.rules

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
        return instrument_states(self.site, self.pipeline.latest, self._connections.reasons())

    def uplinks(self) -> list[UplinkStatus]:
        """Return the state of every store and uplink."""
        return self._outgoing.status()

    def outputs(self) -> list[OutputStatus]:
        """Return the state of every output."""
        return self._outputs.status()

    def connections(self) -> list[Running]:
        """Return every connection with its driver."""
        return [Running(c.id, c.type, c.options, s.driver, s.latencies_s) for c, s in self._connections.running()]

    def statistics(self) -> Mapping[str, float]:
        """Return counters and gauges by name."""
        spool, latest = self.disk.spool, self.pipeline.latest
        return {
            "uptime_s": self.clock.monotonic_s() - self._started_s,
            "readings_total": latest.left + int(latest.count.sum()),
            "bad_readings_total": latest.left_bad + int(latest.bad.sum()),
            "events_total": self.book.next_seq - 1,
            "events_not_on_disk": self.recorder.unsaved,
            "inbox_readings": len(self.inbox),
            "spool_bytes": spool.bytes_used,
            "spool_dropped_total": spool.dropped,
            "connections": len(self._connections),
            "connections_up": self._connections.up,
            "warnings_total": self.pipeline.warnings,
            "rules_learning": self.pipeline.learning,
            "rules_over_budget": len(self.pipeline.budgets.over),
        }

    def rules_of(self, channel: Channel) -> list[RuleStatus]:
        """Return what each rule that judges a channel says of it."""
        return self.pipeline.rules_of(channel)

    async def command(self, command: Command) -> list[AlarmEvent]:
        """Carry out a command and return its events once they are on disk. Raises CommandRefusedError."""
        events = self.pipeline.command(command, self.clock.now_ns())
        self._tell(None, events)
        if events:
            await self.recorder.committed(events[-1].seq)
        if command.verb is Verb.RELEARN:
            # Found again in the journal after a crash; by this, at once.
            await self._upkeep.save_checkpoint()
        return events

    async def record(self, event: AlarmEvent) -> AlarmEvent:
        """Journal what changes no alarm, whatever its number; return it with its own once it is on disk."""
        event = self.book.number(event)
        self._tell(None, [event])
        await self.recorder.committed(event.seq)
        return event

    async def events(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        """Return journalled events."""
        return await self.recorder.read(after, limit, alarm=alarm, kind=kind, newest_first=newest_first)

    async def history(self, channel: str, start_ns: int, end_ns: int, resolution_s: int) -> Trend:
        """Return a channel's past, also of one that has left; nothing where there never was such a channel."""
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
