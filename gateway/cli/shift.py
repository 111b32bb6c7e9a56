"""A shift to look at: the gateway lives through a plant's past in seconds, with people who do what people do.

Nothing is written into the journal by hand: the readings go through drivers, detectors, alarm book and disk as they do
on site, only on a clock of their own; and the crew gives the orders that a console gives.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from gateway.alarms import steps
from gateway.calibration import CalibrationReport
from gateway.core.alarm import AlarmEvent, Case, Command, EventKind, Verb
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import CommandRefusedError, EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch, Float64, Int32, UInt8
from gateway.site.document import parse
from gateway.site.examples import shipped

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.people.people import People
    from gateway.site.plans import Connection, Site

PASSWORD: Final = "lishui-control-room"  # noqa: S105 - of people who exist in the demonstration alone
PEOPLE: Final = (
    ("zhao", "赵敏 Zhao Min", "administrator"),
    ("chen", "陈工 Chen Gong", "engineer"),
    ("wang", "王磊 Wang Lei", "operator"),
    ("li", "李娜 Li Na", "operator"),
    ("guest", "参观 Visitor", "viewer"),
)
FLUSH_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Past:
    """What a plant's instruments showed, with when it begins on the wall.

    Attributes:
        begin_ns: The wall's time at second 0.
        channels: Ids.
        time_s: float64[n].
        value: float[n, channels].
        quality: uint8[n, channels].
        down: Buses that were gone, with seconds from and to.
    """

    begin_ns: int
    channels: tuple[str, ...]
    time_s: Float64
    value: Float64
    quality: UInt8
    down: tuple[tuple[str, float, float], ...]

    @classmethod
    def load(cls, path: Path, end_ns: int) -> "Past":
        """Read what a simulated plant wrote; its end is at `end_ns`."""
        with np.load(path) as file:
            time_s = file["time_s"]
            down = tuple((str(bus), float(begin), float(end)) for bus, begin, end in file["down"])
            return cls(
                end_ns - round(float(time_s[-1]) * NS_PER_S),
                tuple(str(name) for name in file["channels"]),
                time_s,
                file["value"].astype(np.float64),
                file["quality"],
                down,
            )


class PastDriver:
    """Reads one connection's channels from the past, by the clock; satisfies `Driver`.

    Args:
        past: The past.
        connection: The connection as the site has it.
        clock: Time, which begins where the past does.
    """

    def __init__(self, past: Past, connection: "Connection", clock: Clock) -> None:
        self._past, self._clock = past, clock
        place = {name: k for k, name in enumerate(past.channels)}
        channels = [plan.channel for instrument in connection.instruments for plan in instrument.channels]
        self._columns = np.array([place[channel.id] for channel in channels], np.intp)
        self._rows: Int32 = np.array([channel.row for channel in channels], np.int32)
        self._digits = [channel.decimals for channel in channels]
        self._down = [(begin, end) for bus, begin, end in past.down if bus == connection.id]
        self._every_s = float(past.time_s[1] - past.time_s[0])
        period_s = min(channel.period_s for channel in channels)
        self._step = max(1, round(period_s / self._every_s))
        self._next = 0

    async def connect(self) -> None:
        """Fail while the bus is gone."""
        self._check()

    async def read(self) -> Batch:
        """Wait for the next row and return it."""
        if self._next >= len(self._past.time_s):
            raise EndOfRecordingError("the past is over")
        due_s = float(self._past.time_s[self._next])
        await self._clock.sleep(due_s - self._now_s())
        self._check()
        # Rows that were missed while the bus was gone are gone too.
        k = min(int(np.searchsorted(self._past.time_s, self._now_s() + 1e-6, "right")) - 1, len(self._past.time_s) - 1)
        self._next = k + self._step
        value = [round(float(v), n) for v, n in zip(self._past.value[k, self._columns], self._digits, strict=True)]
        return Batch.of(self._rows, self._clock.now_ns(), value, self._past.quality[k, self._columns])

    async def close(self) -> None:
        """Nothing to let go of."""

    def _now_s(self) -> float:
        return (self._clock.now_ns() - self._past.begin_ns) / NS_PER_S

    def _check(self) -> None:
        now_s = self._now_s()
        if any(begin <= now_s < end for begin, end in self._down):
            raise NotConnectedError("no route to host")


def in_the_past(site: "Site", past: Past) -> "Site":
    """Return the site with its buses read from the past."""

    def create(connection: "Connection") -> Callable[..., PastDriver]:
        return lambda _options, _instruments, clock: PastDriver(past, connection, clock)

    storage = site.file.storage.model_copy(update={"flush_s": FLUSH_S})
    connections = [replace(one, module=_module(create(one)), outputs=()) for one in site.connections]
    return replace(
        site,
        connections=tuple(connections),
        file=site.file.model_copy(update={"storage": storage}),
        stores=(),
        uplinks=(),
        outputs=(),
    )


def _module(create: Callable[..., PastDriver]) -> ModuleType:
    module = ModuleType("past")
    module.__dict__["create"] = create
    return module


class Handled(BaseModel):
    """How the crew handles cases of some alarms."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    alarms: str
    outcome: str
    sent: str = ""
    phone: str = ""
    actions: tuple[str, ...] = ()
    note: str = ""
    reset: bool = True


class Deed(BaseModel):
    """What one of the crew does at a second of the shift: one of the kinds below, with its reason and its person."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    at_s: float
    who: str
    why: str = ""
    for_s: float = 0.0
    shown: float | None = None
    done: tuple[str, ...] = ()
    note: str = ""
    sign: str = ""
    accept: str = ""
    shelve: str = ""
    out_of_service: str = ""
    bump_test: str = ""
    checklist: str = ""
    problem: str = ""


class Duties(BaseModel):
    """All that the crew does."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    handles: tuple[Handled, ...]
    does: tuple[Deed, ...]


class Crew:
    """The people of the shift: they see what a console would show them, and give the orders that it would give.

    Args:
        app: The gateway.
        past: For the seconds.
        seed: Of their reaction times.
        until_s: From this second on they do nothing: it is left to whoever looks.
    """

    def __init__(self, app: "App", past: Past, seed: int, until_s: float) -> None:
        self._app, self._past = app, past
        self._duties = Duties.model_validate(parse(shipped("crews", "shift.yaml")).data)
        self._random = random.Random(seed)  # noqa: S311 - reaction times
        self._until_s = until_s
        self._tasks: set[asyncio.Task[None]] = set()

    def now_s(self) -> float:
        """Return the second of the shift."""
        return (self._app.clock.now_ns() - self._past.begin_ns) / NS_PER_S

    async def work(self) -> None:
        """Watch and act until cancelled."""
        try:
            self._begin(self._plan())
            async for event in self._app.follow(0):
                if event is not None and self.now_s() < self._until_s:
                    self._see(event)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _see(self, event: AlarmEvent) -> None:
        if event.kind in (EventKind.RAISED, EventKind.ESCALATED) and event.annunciate:
            self._begin(self._acknowledge(event))
        case = event.case
        if case is not None and case.received_ns and not case.dispatched_ns and not case.closed_ns and not case.actions:
            self._begin(self._handle(case))

    async def _acknowledge(self, event: AlarmEvent) -> None:
        await self._after(self._random.uniform(9.0, 48.0))
        who = self._random.choice(("wang", "li"))
        if self._random.random() < 0.5:
            await self._order(Verb.SILENCE, "", who)
            await self._after(self._random.uniform(2.0, 8.0))
        await self._order(Verb.ACKNOWLEDGE, event.alarm, who)

    async def _handle(self, case: Case) -> None:
        how = self._how(case)
        if how is None:
            return
        step = self._step(case.id)
        if how.sent:
            await self._after(self._random.uniform(30.0, 70.0))
            await step(steps.dispatch(how.sent, how.phone), "wang")
            await self._after(self._random.uniform(140.0, 320.0))
            await step(steps.arrive(), "wang")
        for text in how.actions:
            await self._after(self._random.uniform(150.0, 400.0))
            await step(steps.act(text), "wang")
        for _ in range(40):
            await self._after(120.0)
            alarm = self._app.book.alarm(case.alarm)
            over = alarm is None or alarm.event.condition == "normal"
            if over and how.reset:
                await self._order(Verb.RESET, case.alarm, "li")
            if over and await step(steps.close(how.outcome, how.note), "wang"):
                return

    def _how(self, case: Case) -> Handled | None:
        return next((one for one in self._duties.handles if fnmatchcase(case.alarm, one.alarms)), None)

    def _step(self, case: str) -> Callable[[steps.Step, str], Awaitable[bool]]:
        async def go(step: steps.Step, who: str) -> bool:
            try:
                await self._app.cases.order(case, step, who)
            except CommandRefusedError:
                return False
            return True

        return go

    async def _plan(self) -> None:
        """Do what is done by the clock and not by alarms."""
        for deed in self._duties.does:
            await self._after(deed.at_s - self.now_s())
            with suppress(CommandRefusedError):
                await self._do(deed)

    async def _do(self, deed: Deed) -> None:
        app, handovers = self._app, self._app.records.handovers
        if deed.note:
            await handovers.note(deed.who, deed.note)
        elif deed.sign:
            await handovers.sign(deed.who, deed.sign)
        elif deed.accept:
            await handovers.accept((await handovers.listed(1))[0].id, deed.who, deed.accept)
        elif deed.shelve:
            await self._give(self._put_aside(Verb.SHELVE, deed.shelve, deed))
        elif deed.out_of_service:
            alarms = app.orders.alarms_of(instrument=deed.out_of_service)
            await app.orders.carry_out(self._put_aside(Verb.OUT_OF_SERVICE, alarm, deed) for alarm in alarms)
        elif deed.bump_test:
            await app.calibrations.tested(CalibrationReport(deed.bump_test, "bump", deed.who, deed.shown))
        elif deed.checklist:
            await app.calibrations.checked(deed.checklist, deed.done, deed.who, deed.why)
        elif deed.problem:
            await app.cases.report(deed.who, deed.why, instrument=deed.problem)

    def _put_aside(self, verb: Verb, alarm: str, deed: Deed) -> Command:
        role = next(role for name, _, role in PEOPLE if name == deed.who)
        return Command(
            verb=verb,
            alarm=alarm,
            who=deed.who,
            why=deed.why,
            duration_s=deed.for_s,
            role=role,
            permit_for=deed.out_of_service,
        )

    async def _order(self, verb: Verb, alarm: str, who: str) -> None:
        await self._give(Command(verb=verb, alarm=alarm, who=who, role="operator"))

    async def _give(self, command: Command) -> None:
        with suppress(CommandRefusedError):
            await self._app.command(command)

    async def _after(self, seconds: float) -> None:
        await self._app.clock.sleep(max(0.0, seconds))


def live_through(site: "Site", data: Path, past: Past, seed: int = 5, left_s: float = 400.0) -> None:
    """Let the gateway of a site live through the past, with its crew; its data folder then holds all of it.

    Args:
        site: The site.
        data: The data folder.
        past: The past.
        seed: Of the crew's reaction times.
        left_s: The last seconds, in which the crew does nothing.
    """
    from gateway.quick import QuickClock, QuickLoop  # noqa: PLC0415 - only where a shift is played

    loop = QuickLoop()
    clock = QuickClock(loop, past.begin_ns)
    try:
        loop.run_until_complete(_live(in_the_past(site, past), data, past, clock, seed=seed, left_s=left_s))
    finally:
        loop.close()


async def _arrive(people: "People", name: str, shown: str, role: str) -> None:
    """Make an account, and have its person choose a password of their own, as everybody must."""
    await people.make("zhao", name, shown, role, f"{PASSWORD}-at-first")
    _, signed = await people.sign_in(name, f"{PASSWORD}-at-first", "127.0.0.1")
    await people.sign_out(await people.change_password(signed, f"{PASSWORD}-at-first", PASSWORD, "127.0.0.1"))


async def _live(site: "Site", data: Path, past: Past, clock: Clock, *, seed: int, left_s: float) -> None:
    from gateway.app import App  # noqa: PLC0415 - only where a shift is played

    app = App(site, data, clock, serve=False)
    stop = asyncio.Event()
    running = asyncio.create_task(app.run(stop), name="gateway")
    await app.started.wait()
    for person in PEOPLE:
        await _arrive(app.people, *person)
    end_s = float(past.time_s[-1])
    crew = Crew(app, past, seed, end_s - left_s)
    working = asyncio.create_task(crew.work(), name="crew")
    while crew.now_s() < end_s:
        await clock.sleep(min(60.0, end_s - crew.now_s()))
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    stop.set()
    await running
