"""The duty of calibration: when each instrument's bump test and calibration are due, and what was found; pure.

A state follows from the last `CALIBRATED` event of each instrument and kind, so the journal restores it. What is
owed raises a system alarm of the instrument and the kind of test: a warning before the due date, a fault after it, and
a fault for a test that was not passed until one is. A detector that may no longer answer to gas is no protection,
whatever it reads.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final, Literal
from zoneinfo import ZoneInfo

from gateway.alarms.source import SYSTEM
from gateway.alarms.words import number
from gateway.core.alarm import AlarmEvent, Calibration, EventKind
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Level, Priority, Reason

BUMP: Final = "bump"
CALIBRATION: Final = "calibration"
KINDS: Final = (BUMP, CALIBRATION)
DUTY_ALARMS: Final = {BUMP: SYSTEM + "bump-test/", CALIBRATION: SYSTEM + "calibration/"}
"""How the ids of an instrument's alarms begin, one for each kind of test; their end is the instrument's id."""
_NAMES: Final = {BUMP: Reason("bump test", "功能测试"), CALIBRATION: Reason("calibration", "标定")}
_DAY_NS: Final = 86_400 * NS_PER_S

DutyState = Literal["none", "ok", "due", "overdue", "failed"]


@dataclass(frozen=True, slots=True)
class Duty:
    """What the site file asks of one instrument.

    Attributes:
        instrument: Its id.
        area: Its area, or empty.
        days: Days between two of each kind; a kind that is not owed is absent.
        before_ns: When each kind was last done before the gateway knew of any; absent where nobody knows.
        warn_ns: How long before the due date it is shown as due.
        gas: The test gas, or empty.
        expected: Reading that the test gas must give, or None.
        tolerance_percent: How far from it, in percent of it, still passes.
        unit: Unit of `expected`.
        decimals: Digits after the point that mean something.
    """

    instrument: str
    area: str = ""
    days: Mapping[str, int] = field(default_factory=dict)
    before_ns: Mapping[str, int] = field(default_factory=dict)
    warn_ns: int = 7 * _DAY_NS
    gas: str = ""
    expected: float | None = None
    tolerance_percent: float = 20.0
    unit: str = ""
    decimals: int = 2


@dataclass(frozen=True, slots=True)
class Owed:
    """How one kind of test of an instrument stands.

    Attributes:
        kind: `bump` or `calibration`.
        state: `none` where it is not asked for; `overdue` also where nobody knows when it was last done.
        last_ns: When it was last passed, or 0.
        due_ns: When it is due, or 0 where it is not asked for or never was done.
        by: Who did it last, or empty.
        failed: What was found, where the last one was not passed.
    """

    kind: str
    state: DutyState
    last_ns: int = 0
    due_ns: int = 0
    by: str = ""
    failed: Calibration | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the alarm of an instrument has to stand.

    Attributes:
        alarm: The alarm's id.
        area: Its area.
        active: Something is owed.
        level: FAULT, or WARNING for what is due soon.
        priority: What an operator attends to first.
        why: What is owed.
    """

    alarm: str
    area: str
    active: bool
    level: Level
    priority: Priority
    why: Reason


_WELL: Final = Reason("the test is done", "检测已完成")


class Calibrations:
    """Keeps what was tested and tells what is owed.

    A calibration is a bump test too: whoever set span and zero has seen the instrument answer to gas.

    Args:
        duties: What the site file asks, by instrument; other instruments owe nothing, and their tests are kept.
        zone: The site's time zone, in which dates are told.
    """

    def __init__(self, duties: Iterable[Duty], zone: str = "UTC") -> None:
        self._zone = ZoneInfo(zone)
        self._duties = {duty.instrument: duty for duty in duties}
        self._passed: dict[tuple[str, str], AlarmEvent] = {}
        self._last: dict[tuple[str, str], AlarmEvent] = {}

    def restore(self, events: Iterable[AlarmEvent]) -> None:
        """Take over `CALIBRATED` events in their order; others do no harm."""
        for event in events:
            self.take(event)

    def take(self, event: AlarmEvent) -> None:
        """Take the next event."""
        found = event.calibration
        if event.kind is not EventKind.CALIBRATED or found is None:
            return
        # What a calibration proves, it proves of the bump test too.
        for kind in KINDS if found.kind == CALIBRATION else (BUMP,):
            self._last[event.instrument, kind] = event
            if found.passed:
                self._passed[event.instrument, kind] = event

    def last_events(self) -> list[AlarmEvent]:
        """Return the events that restore this, in their order."""
        kept = {event.seq: event for known in (self._passed, self._last) for event in known.values()}
        return [kept[seq] for seq in sorted(kept)]

    def duties(self) -> list[Duty]:
        """Return what the site file asks, in its order."""
        return list(self._duties.values())

    def judged(self, instrument: str, kind: str, shown: float | None, *, passed: bool | None) -> Calibration:
        """Return what a test showed, judged by what the test gas must give where nobody has judged it.

        Args:
            instrument: The instrument.
            kind: `bump` or `calibration`.
            shown: Reading that the test gas gave, or None.
            passed: The person's own judgement; None leaves it to the figures.

        Raises:
            CommandRefusedError: The kind is unknown, or there is nothing to judge by, or the person says passed where
                the figures say the opposite.
        """
        if kind not in KINDS:
            raise CommandRefusedError(f"{kind!r} is no test; there are {' and '.join(KINDS)}")
        duty = self._duties.get(instrument, Duty(instrument))
        found = _within(duty, shown)
        if found is None and passed is None:
            raise CommandRefusedError(
                "say whether it passed: the site file tells no expected reading, or none was given"
            )
        if found is False and passed:
            assert shown is not None and duty.expected is not None  # noqa: PT018 - one fact
            figure, unit = number(shown, duty.decimals), duty.unit
            raise CommandRefusedError(
                f"{figure} {unit} is not within {duty.tolerance_percent:g} % of {number(duty.expected, duty.decimals)}"
                f" {unit}: that is not passed"
            )
        return Calibration(
            kind=kind, passed=bool(passed) if passed is not None else bool(found), expected=duty.expected, shown=shown,
            gas=duty.gas,
        )  # fmt: skip

    def owed(self, instrument: str, now_ns: int) -> tuple[Owed, Owed]:
        """Return how bump test and calibration of an instrument stand."""
        bump, calibration = (self._owed(self._duties.get(instrument, Duty(instrument)), k, now_ns) for k in KINDS)
        return bump, calibration

    def wanted(self, now_ns: int) -> Iterator[Wanted]:
        """Yield how the alarms of each instrument that owes anything, or was tested, have to stand."""
        tested = {instrument for instrument, _ in self._last}
        for instrument in {**self._duties, **dict.fromkeys(sorted(tested))}:
            duty = self._duties.get(instrument, Duty(instrument))
            for kind in KINDS:
                yield self._wanted(duty, self._owed(duty, kind, now_ns))

    def due_ns(self, instrument: str, kind: str, done_ns: int) -> int:
        """Return when the next test is due after one was passed, 0 where none is asked for."""
        days = self._duties.get(instrument, Duty(instrument)).days.get(kind)
        return done_ns + days * _DAY_NS if days else 0

    def _owed(self, duty: Duty, kind: str, now_ns: int) -> Owed:
        passed, last = self._passed.get((duty.instrument, kind)), self._last.get((duty.instrument, kind))
        done_ns = max(passed.time_ns if passed else 0, duty.before_ns.get(kind, 0))
        by = last.who if last else ""
        due_ns = done_ns + duty.days[kind] * _DAY_NS if kind in duty.days and done_ns else 0
        found = last.calibration if last else None
        if found is not None and not found.passed and found.kind == kind:
            return Owed(kind, "failed", done_ns, due_ns, by, found)
        if kind not in duty.days:
            return Owed(kind, "none", done_ns, 0, by)
        # A test that lies in the future was recorded by a wrong clock, and proves nothing.
        if not done_ns or now_ns >= due_ns or done_ns > now_ns + _DAY_NS:
            return Owed(kind, "overdue", done_ns, due_ns, by)
        return Owed(kind, "due" if now_ns >= due_ns - duty.warn_ns else "ok", done_ns, due_ns, by)

    def _wanted(self, duty: Duty, owed: Owed) -> Wanted:
        alarm, due = DUTY_ALARMS[owed.kind] + duty.instrument, owed.state == "due"
        level, priority = (Level.WARNING, Priority.BLUE) if due else (Level.FAULT, Priority.YELLOW)
        active = owed.state not in ("none", "ok")
        why = self._said(duty, owed) if active else _WELL
        return Wanted(alarm, duty.area, active=active, level=level, priority=priority, why=why)

    def _said(self, duty: Duty, owed: Owed) -> Reason:
        """Return what is owed. It names days, not how many are left: an alarm's words stay as they were raised."""
        en, zh = _NAMES[owed.kind]
        head = Reason(f"{duty.instrument}: {en}", f"{duty.instrument}：{zh}")
        if owed.failed is not None:
            return _failed(head, duty, owed.failed)
        if not owed.last_ns:
            return Reason(f"{duty.instrument}: no {en} is on record", f"{duty.instrument}：无{zh}记录")
        day = datetime.fromtimestamp(owed.due_ns // NS_PER_S, self._zone).date().isoformat()
        if owed.state == "overdue":
            return Reason(f"{head.en} overdue since {day}", f"{head.zh}自 {day} 起逾期")
        return Reason(f"{head.en} due on {day}", f"{head.zh}将于 {day} 到期")


def nothing_owed(alarm: str) -> Wanted:
    """Return how an alarm has to stand whose duty the site file asks no more."""
    return Wanted(alarm, "", active=False, level=Level.FAULT, priority=Priority.YELLOW, why=_WELL)


def _within(duty: Duty, shown: float | None) -> bool | None:
    """Whether the reading is what the gas must give; None where nobody can say."""
    if duty.expected is None or shown is None:
        return None
    return abs(shown - duty.expected) <= abs(duty.expected) * duty.tolerance_percent / 100 + 1e-9


def _failed(head: Reason, duty: Duty, found: Calibration) -> Reason:
    shown = "" if found.shown is None else f"{number(found.shown, duty.decimals)} {duty.unit}".rstrip()
    wanted = "" if found.expected is None else f"{number(found.expected, duty.decimals)} {duty.unit}".rstrip()
    return Reason(
        f"{head.en} not passed{f': shown {shown}' if shown else ''}{f', expected {wanted}' if wanted else ''}",
        f"{head.zh}不合格{f'：示值 {shown}' if shown else ''}{f'，应为 {wanted}' if wanted else ''}",
    )


def noon_ns(day: date, zone: str) -> int:
    """Return the middle of a day in a time zone, UTC nanoseconds: dates of the site file have no time.

    >>> noon_ns(date(2026, 6, 1), "Asia/Shanghai")
    1780286400000000000
    """
    moment = datetime.combine(day, time(12), ZoneInfo(zone))
    return round(moment.timestamp()) * NS_PER_S
