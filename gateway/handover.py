"""Handing a shift over: notes, a draft, a signature on a report that is kept as it was signed, and its acceptance."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from gateway.alarms.words import one_line
from gateway.core.alarm import AlarmEvent, EventKind, Handover
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import Reason
from gateway.reports import gather
from gateway.reports.gather import Present
from gateway.reports.model import Handed, Report, Signature
from gateway.reports.periods import ROLLING_S, Period, rolling, shifts_around
from gateway.reports.place import FOLDER, Place
from gateway.store.disk import write_whole
from gateway.store.search import Past, Query

LATE_S: Final = 2 * 3600
"""So long after its end, a shift that nobody has signed over is still the one to be signed."""
STEPS_KEPT: Final = 3_000
"""Steps of handovers that are remembered; older ones stay in the journal, and their reports in the folder."""
REPORTS_MAX: Final = 4_000
"""Signed reports kept: three shifts a day for more than three years."""
TEXT_MAX: Final = 2_000


class UnknownHandoverError(UnknownAlarmError):
    """There is no such handover."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The handover to be looked at now.

    Attributes:
        report: What it says; as signed where it has been signed.
        handed: Who signed and accepted it, None while it is a draft.
        waiting: The newest handover that was signed and waits to be accepted, or None.
        altered: The kept report is not what was signed.
    """

    report: Report
    handed: Handed | None = None
    waiting: Handed | None = None
    altered: bool = False


class Handovers:
    """Keeps the handovers of a running gateway: steps in its journal, signed reports as files beside it.

    Args:
        data: The data folder.
        clock: Time.
        past: The journal.
        place: Returns the site as it is named now.
        present: Returns how things are now; called in the event loop.
        record: Journals an event and returns it with its number once it is on disk.
    """

    def __init__(
        self,
        data: Path,
        clock: Clock,
        past: Past,
        *,
        place: Callable[[], Place],
        present: Callable[[], Present],
        record: Callable[[AlarmEvent], Awaitable[AlarmEvent]],
    ) -> None:
        self._folder = data / FOLDER
        self._clock = clock
        self._past = past
        self._place = place
        self._present = present
        self._record = record
        self._signing = asyncio.Lock()
        # A draft counts the shift's events: however many people look, one is counted at a time.
        self._drafting = asyncio.Lock()

    # Looking

    async def listed(self, limit: int = STEPS_KEPT, before: int = 0) -> list[Handed]:
        """Return past handovers, the newest first; with `before`, those whose signature has a lower number."""
        found = await asyncio.to_thread(self._listed)
        return [one for one in found if not before or one.seq < before][:limit]

    def _listed(self) -> list[Handed]:
        return gather.handed(self._past.search(Query(kinds=(EventKind.HANDOVER,), limit=STEPS_KEPT)).events)

    async def draft(self) -> Draft:
        """Return the handover of the shift that has to be signed now: as a draft, or as it was signed."""
        async with self._drafting:
            present = self._present()
            return await asyncio.to_thread(self._draft, present)

    def _draft(self, present: Present) -> Draft:
        now_ns, place, listed = self._clock.now_ns(), self._place(), self._listed()
        waiting = listed[0] if listed and listed[0].accepted is None else None
        period, done = _due(place, listed, now_ns)
        if done is not None:
            found = self._kept(done)
            if found is not None:
                return msgspec.structs.replace(found, waiting=waiting)
        report = self._report(place, period, listed, now_ns, present)
        return Draft(report=report, waiting=waiting)

    def _report(self, place: Place, period: Period, listed: list[Handed], now_ns: int, present: Present) -> Report:
        notes = gather.notes_after(self._past, listed[0].seq if listed else 0)
        return gather.make("handover", self._past, place, period, now_ns=now_ns, present=present, notes=notes)

    async def find(self, handover: str) -> Draft:
        """Return a signed handover. Raises UnknownHandoverError."""
        return await asyncio.to_thread(self._find, handover)

    def _find(self, handover: str) -> Draft:
        found = next((self._kept(one) for one in self._listed() if one.id == handover), None)
        if found is None:
            raise UnknownHandoverError(f"there is no handover {handover[:100]!r}")
        return found

    def _kept(self, handed: Handed) -> Draft | None:
        """Return a signed report as it is kept, None where the file is gone or cannot be read."""
        with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            content = (self._folder / f"{handed.id}.json").read_bytes()
            report = msgspec.json.decode(content, type=Report)
            return Draft(report=report, handed=handed, altered=hashlib.sha256(content).hexdigest() != handed.digest)
        return None

    # Doing

    async def note(self, who: str, text: str) -> AlarmEvent:
        """Write something down for the next shift. Raises CommandRefusedError."""
        text = text.strip()[:TEXT_MAX]
        if not text:
            raise CommandRefusedError("a note needs some words")
        return await self._step(Handover(step="note"), who, Reason(text, text))

    async def sign(self, who: str, why: str) -> Handed:
        """Sign the shift over: the report is kept as it is now, and the journal holds its digest.

        Raises:
            CommandRefusedError: It has been signed already.
            StorageError: The report cannot be kept.
        """
        async with self._signing:
            present = self._present()
            id_, report, digest = await asyncio.to_thread(self._sign, present)
            period, name = report.period, report.period.name
            step = Handover(
                step="signed",
                id=id_,
                shift=name.en,
                shift_zh=name.zh,
                start_ns=period.start_ns,
                end_ns=period.end_ns,
                digest=digest,
                seq=report.seq,
            )
            said = Reason(f"shift {name.en or 'of the last hours'} signed over", f"{name.zh or name.en}交班签字")
            event = await self._step(step, who, _words(why, said))
            return Handed(
                id=id_,
                period=period,
                signed=Signature(by=event.who, at_ns=event.time_ns, why=event.why),
                digest=digest,
                seq=event.seq,
            )

    def _sign(self, present: Present) -> tuple[str, Report, str]:
        """Keep the report to be signed; returns its id, it, and its digest."""
        now_ns, place, listed = self._clock.now_ns(), self._place(), self._listed()
        period, done = _due(place, listed, now_ns)
        if done is not None or (listed and _signs_again(place, listed[0], now_ns)):
            last = done or listed[0]
            how = "and accepted already" if last.accepted else "already; it waits to be accepted"
            raise CommandRefusedError(f"{last.id} was signed over by {last.signed.by} {how}")
        local = datetime.fromtimestamp(now_ns // NS_PER_S, place.zone)
        id_ = f"{local:%Y%m%d-%H%M%S}"
        report = msgspec.structs.replace(self._report(place, period, listed, now_ns, present), id=id_)
        content = msgspec.json.encode(report)
        write_whole(self._folder / f"{id_}.json", content, mode=0o400)
        self._make_room()
        return id_, report, hashlib.sha256(content).hexdigest()

    def _make_room(self) -> None:
        """Let the oldest reports go where there are too many; a disk that refuses keeps them."""
        with suppress(OSError):
            kept = sorted(self._folder.glob("[0-9]*.json"))
            for old in kept[:-REPORTS_MAX]:
                old.unlink(missing_ok=True)

    async def accept(self, handover: str, who: str, why: str) -> Handed:
        """Accept a shift that somebody else has signed over.

        Raises:
            CommandRefusedError: It has been accepted, a later one has taken its place, or the same person signed it.
            UnknownHandoverError: There is none of that id.
        """
        async with self._signing:
            listed = await self.listed()
            known = next((one for one in listed if one.id == handover), None)
            if known is None:
                raise UnknownHandoverError(f"there is no handover {handover[:100]!r}")
            if known.accepted is not None:
                raise CommandRefusedError(f"{known.id} was accepted by {known.accepted.by} already")
            if known.superseded:
                raise CommandRefusedError(f"{known.id} has been superseded by {listed[0].id}, which is to be accepted")
            if _same(known.signed.by, who):
                raise CommandRefusedError(f"{known.id} was signed over by {who}; somebody else accepts it")
            step = Handover(
                step="accepted",
                id=known.id,
                shift=known.period.name.en,
                shift_zh=known.period.name.zh,
                start_ns=known.period.start_ns,
                end_ns=known.period.end_ns,
                digest=known.digest,
                seq=known.seq,
            )
            said = Reason(f"shift signed over by {known.signed.by} accepted", f"接班确认（交班人 {known.signed.by}）")
            event = await self._step(step, who, _words(why, said))
            return msgspec.structs.replace(known, accepted=Signature(by=event.who, at_ns=event.time_ns, why=event.why))

    async def _step(self, step: Handover, who: str, why: Reason) -> AlarmEvent:
        name = one_line(who)
        if not name:
            raise CommandRefusedError("a handover needs the name of who signs it")
        event = AlarmEvent(
            seq=0,
            time_ns=self._clock.now_ns(),
            kind=EventKind.HANDOVER,
            who=name,
            why=why.en,
            why_zh=why.zh,
            handover=step,
        )
        return await self._record(event)


def _words(why: str, else_: Reason) -> Reason:
    """Return a person's own words, or what was done."""
    own = why.strip()[:TEXT_MAX]
    return Reason(own, own) if own else else_


def _due(place: Place, listed: list[Handed], now_ns: int) -> tuple[Period, Handed | None]:
    """Return the shift to be signed over now, and its handover where that has been signed.

    It is the shift that runs, but for the first two hours after a shift that nobody has signed: whoever goes signs
    after the bell as often as before it.
    """
    if not place.shifts:
        return rolling(now_ns), None
    before, running = shifts_around(place.shifts, place.zone, now_ns)
    signed = {one.period.start_ns: one for one in reversed(listed)}
    late = now_ns < before.end_ns + LATE_S * NS_PER_S
    if late and before.start_ns not in signed and running.start_ns not in signed:
        return before, None
    return running, signed.get(running.start_ns)


def _signs_again(place: Place, last: Handed, now_ns: int) -> bool:
    """Whether a site without shifts would sign the same hours twice."""
    recent = now_ns - last.signed.at_ns < ROLLING_S * NS_PER_S
    return not place.shifts and last.accepted is None and recent


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
