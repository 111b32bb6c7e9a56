"""The duty of calibration in the running gateway: what is owed becomes alarms, what is tested becomes events."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.alarms.calibration import (
    CALIBRATION,
    Calibrations,
    Duty,
    Owed,
    Wanted,
    noon_ns,
    nothing_owed,
)
from gateway.alarms.words import one_line
from gateway.core.alarm import AlarmEvent, Calibration, EventKind
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import CommandRefusedError, UnknownAlarmError
from gateway.core.model import Channel, Reason
from gateway.site.plans import Instrument, Site

LOOK_S = 60.0
"""How often the calendar is looked at; what a test changes is seen at once."""


@dataclass(frozen=True, slots=True)
class CalibrationReport:
    """A test of an instrument as somebody reports it.

    Attributes:
        instrument: The instrument.
        kind: `bump` or `calibration`.
        who: The person.
        shown: Reading that the test gas gave, or None.
        passed: The person's judgement; None leaves it to the figures.
        note: What else is to be said.
    """

    instrument: str
    kind: str
    who: str
    shown: float | None = None
    passed: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationStatus:
    """How the tests of one instrument stand."""

    instrument: Instrument
    duty: Duty
    bump: Owed
    calibration: Owed


class CalibrationDuty:
    """Keeps the calendar of tests.

    Args:
        site: The site.
        clock: Time.
        tell: Told how an instrument's alarm has to stand.
        record: Journals an event and returns it with its number.
    """

    def __init__(
        self,
        site: Site,
        clock: Clock,
        *,
        tell: Callable[[Wanted], None],
        record: Callable[[AlarmEvent], Awaitable[AlarmEvent]],
    ) -> None:
        self._clock = clock
        self._tell = tell
        self._record = record
        self._instruments: Mapping[str, Instrument] = {}
        self._kept = Calibrations(())
        self.renew(site)

    def renew(self, site: Site) -> None:
        """Go on with what a changed site file asks; what was tested stays, and what has left the site owes nothing."""
        before, owing = self._kept.last_events(), self.alarms()
        self._instruments = site.instruments
        zone = site.file.site.timezone
        first = {channel.instrument: channel for channel in reversed(site.channels)}
        asked = (_duty(each, first.get(each.id), zone) for each in site.instruments.values())
        self._kept = Calibrations((duty for duty in asked if duty is not None), zone)
        self._kept.restore(event for event in before if event.instrument in site.instruments)
        for alarm in owing - self.alarms():
            self._tell(nothing_owed(alarm))

    def restore(self, events: Iterable[AlarmEvent]) -> None:
        """Take over what the journal knows, in order."""
        self._kept.restore(event for event in events if event.instrument in self._instruments)

    def alarms(self) -> set[str]:
        """Return the ids of the alarms that have to stand now."""
        return {wanted.alarm for wanted in self._kept.wanted(self._clock.now_ns()) if wanted.active}

    def status(self) -> list[CalibrationStatus]:
        """Return how the tests of every instrument stand that owes any."""
        now_ns = self._clock.now_ns()
        return [self._status(duty, now_ns) for duty in self._kept.duties()]

    def status_of(self, instrument: str) -> CalibrationStatus:
        """Return how the tests of an instrument stand. Raises UnknownAlarmError."""
        known = self._known(instrument)
        duty = next((d for d in self._kept.duties() if d.instrument == known.id), Duty(known.id, known.area))
        return self._status(duty, self._clock.now_ns())

    async def tested(self, tested: CalibrationReport) -> AlarmEvent:
        """Record a test and return its event once it is on disk.

        Raises:
            CommandRefusedError: It cannot be judged, or the figures say the opposite of the person.
            UnknownAlarmError: There is no such instrument.
        """
        known, now_ns = self._known(tested.instrument), self._clock.now_ns()
        found = self._kept.judged(known.id, tested.kind, tested.shown, passed=tested.passed)
        due_ns = self._kept.due_ns(known.id, tested.kind, now_ns) if found.passed else 0
        found = Calibration(
            kind=found.kind, passed=found.passed, expected=found.expected, shown=found.shown, gas=found.gas,
            due_ns=due_ns,
        )  # fmt: skip
        why = _why(found, one_line(tested.note))
        event = AlarmEvent(
            seq=0, time_ns=now_ns, kind=EventKind.CALIBRATED, instrument=known.id, area=known.area, who=tested.who,
            why=why.en, why_zh=why.zh, calibration=found,
        )  # fmt: skip
        event = await self._record(event)
        self._kept.take(event)
        self.look()
        return event

    async def checked(self, instrument: str, done: Iterable[str], who: str, note: str) -> AlarmEvent:
        """Record a walk to an instrument: what of its checklist was in order, and what was not.

        Raises:
            CommandRefusedError: A line is not on its checklist, or it has none.
            UnknownAlarmError: There is no such instrument.
        """
        known = self._known(instrument)
        ticked, lines = set(done), {line.id: line for line in known.checklist}
        if not lines:
            raise CommandRefusedError(f"{known.id} has no checklist in the site file")
        if unknown := sorted(ticked - set(lines)):
            raise CommandRefusedError(f"{unknown[0]!r} is not on the checklist of {known.id}: {', '.join(lines)}")
        missing = [line for line in known.checklist if line.id not in ticked]
        open_en = "; ".join(line.text for line in missing)
        open_zh = "；".join(line.text_zh or line.text for line in missing)
        note = one_line(note)
        sound = len(lines) - len(missing)
        en = f"checklist: {sound} of {len(lines)} in order" + (f"; not: {open_en}" if missing else "")
        zh = f"点检：{len(lines)} 项中 {sound} 项正常" + (f"；异常：{open_zh}" if missing else "")
        event = AlarmEvent(
            seq=0, time_ns=self._clock.now_ns(), kind=EventKind.NOTE, instrument=known.id, area=known.area, who=who,
            why=one_line(f"{en}. {note}" if note else en), why_zh=one_line(f"{zh}。{note}" if note else zh),
        )  # fmt: skip
        return await self._record(event)

    async def run(self) -> None:
        """Look at the calendar now and then; for ever."""
        while True:
            self.look()
            await self._clock.sleep(LOOK_S)

    def look(self) -> None:
        """Tell how every instrument's alarm has to stand."""
        for wanted in self._kept.wanted(self._clock.now_ns()):
            self._tell(wanted)

    def _status(self, duty: Duty, now_ns: int) -> CalibrationStatus:
        bump, calibration = self._kept.owed(duty.instrument, now_ns)
        return CalibrationStatus(self._instruments[duty.instrument], duty, bump, calibration)

    def _known(self, instrument: str) -> Instrument:
        known = self._instruments.get(instrument)
        if known is None:
            raise UnknownAlarmError(f"there is no instrument named {instrument[:200]!r}")
        return known


def _duty(instrument: Instrument, channel: Channel | None, zone: str) -> Duty | None:
    """Return what the site file asks of an instrument, in the unit of its first channel; None where it asks nothing."""
    asked = instrument.calibration
    if asked is None:
        return None
    days = {"bump": asked.bump_every_days, "calibration": asked.every_days}
    dates = {"bump": asked.last_bump or asked.last, "calibration": asked.last}
    return Duty(
        instrument.id,
        instrument.area,
        {kind: every for kind, every in days.items() if every is not None},
        {kind: noon_ns(day, zone) for kind, day in dates.items() if day is not None},
        asked.warn_days * 86_400 * NS_PER_S,
        asked.gas,
        asked.expected,
        asked.tolerance_percent,
        channel.unit if channel else "",
        channel.decimals if channel else 2,
    )


def _why(found: Calibration, note: str) -> Reason:
    name = Reason("calibration", "标定") if found.kind == CALIBRATION else Reason("bump test", "功能测试")
    verdict = Reason("passed", "合格") if found.passed else Reason("not passed", "不合格")
    shown = "" if found.shown is None else f"{found.shown:g}"
    en = f"{name.en} {verdict.en}" + (f": shown {shown}" if shown else "")
    zh = f"{name.zh}{verdict.zh}" + (f"：示值 {shown}" if shown else "")
    return Reason(one_line(f"{en}. {note}" if note else en), one_line(f"{zh}。{note}" if note else zh))
