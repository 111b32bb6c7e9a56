"""Reloads: a changed site is made ready beside the running one, whole, before anything of that is touched."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import structlog

from gateway import assembly
from gateway.alarms.permits import in_service
from gateway.api.face import Reloaded
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.errors import CommandRefusedError, SiteFileError
from gateway.core.model import Channel
from gateway.core.notice import Notifier
from gateway.core.plugin import Driver, Sink, SiteInfo
from gateway.flow.pipeline import Moves, Pipeline
from gateway.outgoing import STORE, UPLINK, Name
from gateway.outputs import OnProblem, Outputs
from gateway.reload import Change, Prints, compare, ended, refusals
from gateway.site.plans import Connection, Destination, Site
from gateway.store.table import Table

log = structlog.get_logger()

FORMER_MAX = 10_000
"""Channels that have left and whose readings a store may still have to get; beyond it, those that left first go."""


NOTES_MAX = 20
"""Mistakes of one refused site file that the journal keeps; all of them are told to whoever asked."""
WAITING_MAX = 4
"""Who asks while so many wait for a reload that runs is refused."""


@dataclass(frozen=True, slots=True)
class Present:
    """The running site, as far as its successor must know it.

    Attributes:
        site: The site.
        prints: What it is made of.
        pipeline: Judges its readings; what of it changes with readings is not looked at.
        drivers: The drivers of its connections.
        former: Channels that have left since the start, with their ids.
        epoch: The journal's epoch.
    """

    site: Site
    prints: Prints
    pipeline: Pipeline
    drivers: Mapping[str, Driver]
    former: Mapping[str, Channel]
    epoch: str


@dataclass(frozen=True, slots=True)
class Successor:
    """A site that is ready to take the place of the running one.

    Attributes:
        site: The site.
        prints: What it is made of.
        change: What to stop and start; without words where nothing changes, and then all below is empty.
        pipeline: Its pipeline, with a book that knows nothing yet.
        moves: What of the running pipeline goes where.
        table: Its channel table.
        store_channels: The channels that stores may be sent readings of: its own, then those that have left.
        store_table: The same for the spool.
        drivers: New drivers, not connected yet.
        sinks: New sinks, not connected yet.
        outputs: Its outputs, nothing written yet; None where those that run go on.
        former: Channels that have left since the start.
        notifiers: Its notifiers, not connected yet.
    """

    site: Site
    prints: Prints
    change: Change
    pipeline: Pipeline
    moves: Moves
    table: Table
    store_channels: Sequence[Channel]
    store_table: Table
    drivers: Sequence[tuple[Connection, Driver]]
    sinks: Sequence[tuple[Name, Destination, Sink[Any]]]
    outputs: Outputs | None
    former: Mapping[str, Channel]
    notifiers: Sequence[tuple[Destination, Notifier]]


def prepare(
    source: Callable[[], Site],
    present: Present,
    clock: Clock,
    on_problem: OnProblem,
) -> Successor | None:
    """Read the site file and build what it says; blocks, for seconds where a site is large, and touches nothing.

    Args:
        source: Reads and checks the file.
        present: The running site.
        clock: Time.
        on_problem: Told by the site's outputs when one does not follow.

    Returns:
        What is ready, or None where the file says what runs already.

    Raises:
        SiteFileError: Mistakes in the file, what a plugin refuses, and what needs a restart.
    """
    site = source()
    if lines := [line for problem in refusals(present.site, site) for line in site.error(problem).lines]:
        raise SiteFileError(lines)
    prints = Prints.of(site)
    change = compare(present.prints, prints)
    if not change.words:
        return None
    drivers = assembly.drivers(site, clock, change.fresh)
    all_drivers = {**present.drivers, **{connection.id: driver for connection, driver in drivers}}
    same = prints.outputs == present.prints.outputs and not any(o.connection in change.gone for o in site.outputs)
    pipeline = assembly.pipeline(site)
    former = _former(present, site.channels)
    all_channels = [*site.channels, *(replace(c, row=len(site.channels) + k) for k, c in enumerate(former.values()))]
    about = assembly.info(site, present.epoch)
    return Successor(
        site=site.lean(),
        prints=prints,
        change=change,
        pipeline=pipeline,
        moves=Moves.between(present.pipeline, pipeline),
        table=Table.of([channel.id for channel in site.channels]),
        store_channels=all_channels,
        store_table=Table.of([channel.id for channel in all_channels]),
        drivers=drivers,
        outputs=None if same else assembly.outputs(site, all_drivers, clock, on_problem),
        sinks=[
            *_sinks(site, UPLINK, site.uplinks, change, about, clock),
            *_sinks(site, STORE, site.stores, change, replace(about, channels=all_channels), clock),
        ],
        former=former,
        notifiers=assembly.notifiers(site, about, clock),
    )


def _former(present: Present, channels: Iterable[Channel]) -> dict[str, Channel]:
    """Return the channels that have left, the latest last: the spool may hold readings that no store has yet."""
    ids = {channel.id for channel in channels}
    left = {**present.former, **{channel.id: channel for channel in present.site.channels}}
    return dict([(name, channel) for name, channel in left.items() if name not in ids][-FORMER_MAX:])


def _sinks(  # noqa: PLR0917 - all of one kind's making
    site: Site, kind: str, destinations: Sequence[Destination], change: Change, about: SiteInfo, clock: Clock
) -> list[tuple[Name, Destination, Sink[Any]]]:
    wanted = [one for one in destinations if (kind, one.id) in change.opened]
    return [((kind, one.id), one, sink) for one, sink in assembly.sinks(site, wanted, about, clock)]


def events_of(after: Successor, now_ns: int, who: str) -> list[AlarmEvent]:
    """Return what a successor's alarm book has to say once it has taken over: what is due, what ends, what changed."""
    pipeline, book = after.pipeline, after.pipeline.book
    events = [*pipeline.reconcile(now_ns), *book.orphans(now_ns)]
    outputs = [output.id for output in after.site.outputs]
    notifiers = [notifier.id for notifier in after.site.notifiers]
    over = ended([alarm.id for alarm in book.alarms()], after.change, after.moves.kept, outputs, notifiers)
    for alarm, why in over.items():
        events += book.system(alarm, active=False, why=why, now_ns=now_ns)
    said = book.note(f"site file reloaded: {after.change.words}", now_ns, who)
    return [*events, *said, *in_service(book, now_ns)]


class Reloads:
    """Carries out reloads, one after the other; who asks may go away, none is left half done.

    Args:
        source: Reads and checks the site file, blocking; None where there is none to be read.
        clock: Time.
        present: Returns the running site.
        become: Lets a successor take over; told who asked.
        note: Puts a line into the journal, with who asked.
        on_problem: For the outputs of a successor.
        around: Entered for the time of a reload.
    """

    def __init__(
        self,
        source: Callable[[], Site] | None,
        clock: Clock,
        *,
        present: Callable[[], Present],
        become: Callable[[Successor, str], Awaitable[None]],
        note: Callable[[str, str], None],
        on_problem: OnProblem,
        around: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._source = source
        self._clock = clock
        self._present = present
        self._become = become
        self._note = note
        self._on_problem = on_problem
        self._around = around
        self._asked: asyncio.Queue[tuple[str, asyncio.Future[Reloaded]]] = asyncio.Queue(WAITING_MAX)
        self._runs = False

    async def ask(self, who: str) -> Reloaded:
        """Have the site file read again, and return what became of it.

        Raises:
            CommandRefusedError: There is no file, the gateway does not run, or too many ask.
        """
        if self._source is None:
            raise CommandRefusedError("this gateway has no site file that could be read again")
        if not self._runs:
            raise CommandRefusedError("the gateway is starting or ending")
        answer: asyncio.Future[Reloaded] = asyncio.get_running_loop().create_future()
        try:
            self._asked.put_nowait((who, answer))
        except asyncio.QueueFull:
            raise CommandRefusedError(f"{WAITING_MAX} reloads wait already") from None
        return await asyncio.shield(answer)

    async def run(self) -> None:
        """Carry out what is asked for, until cancelled."""
        self._runs = True
        answers: list[asyncio.Future[Reloaded]] = []
        try:
            while True:
                who, answer = await self._asked.get()
                answers = [answer]
                with self._around():
                    answer.set_result(await self._reload(who))
        finally:
            self._runs = False
            while not self._asked.empty():
                answers.append(self._asked.get_nowait()[1])
            for answer in answers:
                answer.cancel()

    async def _reload(self, who: str) -> Reloaded:
        assert self._source is not None, "who has no file is refused"
        try:
            after = await asyncio.to_thread(prepare, self._source, self._present(), self._clock, self._on_problem)
        except SiteFileError as error:
            return self._refused(error.lines, who)
        except Exception as error:
            # A plugin's mistake in an attempt that has touched nothing is no reason to leave the site unwatched.
            log.exception("reload failed")
            return self._refused([f"{type(error).__name__}: {error}"], who)
        if after is None:
            self._note("site file read again: nothing changed", who)
            return Reloaded(applied=True, what="nothing changed")
        await self._become(after, who)
        log.info("site file reloaded", what=after.change.words)
        return Reloaded(applied=True, what=after.change.words)

    def _refused(self, lines: Sequence[str], who: str) -> Reloaded:
        for number, line in enumerate(lines[:NOTES_MAX], 1):
            log.error("site file not reloaded", problem=line)
            self._note(f"site file not reloaded, nothing changed ({number} of {len(lines)}): {line}", who)
        return Reloaded(applied=False, what="nothing changed", problems=tuple(lines))
