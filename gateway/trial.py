"""Tests of a site's rules: readings in, and what the alarms must do, with the very parts that run on site.

A tick is `every_s` long and brings at most one reading of each channel. Silence is a reading here as it is on site: a
channel that has been read and then stays away for longer than its `stale_after_s` is `comms_lost` from there on.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gateway import assembly
from gateway.core.alarm import AlarmEvent, AlarmState, Command, Verb
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Batch, Channel, Float64, Int32, Quality, UInt8
from gateway.flow.pipeline import Pipeline
from gateway.site.notation import series
from gateway.site.plans import Site
from gateway.site.schema import ActSection, ExpectationSection, HeldSection, TestSection

BEGINS = datetime(2026, 1, 5)  # noqa: DTZ001 - the site's own midnight, whatever its zone
"""When every test begins: a Monday, so that hours and weekdays mean something."""
WHO = "test"
_TINY_S = 1e-6
_OVER = frozenset({AlarmState.NORMAL})


@dataclass(frozen=True, slots=True)
class Failure:
    """What was not so.

    Attributes:
        expectation: Its number in the test.
        at_s: When it was found.
        what: What was expected and what was found, in one line.
        hint: What happened instead, or empty.
    """

    expectation: int
    at_s: float
    what: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a test ended.

    Attributes:
        test: Its section.
        readings: How many readings it had.
        failures: What was not so; none where it passed.
        events: What the alarms did, with seconds from the first reading.
    """

    test: TestSection
    readings: int
    failures: tuple[Failure, ...]
    events: tuple[tuple[float, AlarmEvent], ...] = field(repr=False, default=())

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


def run(site: Site, test: TestSection) -> Outcome:
    """Run one test with fresh detectors and a fresh alarm book; the same test gives the same outcome.

    Args:
        site: The site.
        test: One of `site.file.tests`.

    Raises:
        SiteFileError: A plugin refuses what the site file says of a rule.
    """
    ticks = _Ticks(site.channels, test)
    trial = _Trial(assembly.pipeline(_concerned(site, test)), _begin_ns(site), test)
    for tick in range(ticks.count):
        trial.pass_tick(tick * test.every_s, ticks.batch(tick, trial.begin_ns))
    trial.finish()
    return Outcome(test, ticks.readings, tuple(trial.failures), tuple(trial.events))


def _concerned(site: Site, test: TestSection) -> Site:
    """Return the site with only those rules that a reading of the test can reach: the others could say nothing."""
    rules = [rule for rule in site.rules if any(channel.id in test.readings for channel in rule.channels)]
    return replace(site, rules=tuple(replace(rule, index=k) for k, rule in enumerate(rules)))


def _begin_ns(site: Site) -> int:
    zone = ZoneInfo(site.file.site.timezone)
    return round(BEGINS.replace(tzinfo=zone).timestamp()) * NS_PER_S


class _Ticks:
    """The readings of a test, tick by tick."""

    def __init__(self, channels: Sequence[Channel], test: TestSection) -> None:
        by_id = {channel.id: channel for channel in channels}
        found = [(by_id[name], series(text, seed)) for seed, (name, text) in enumerate(test.readings.items())]
        self.count = max(len(one) for _, one in found)
        self.readings = sum(int(one.there.sum()) for _, one in found)
        self._every_ns = round(test.every_s * NS_PER_S)
        rows = [channel.row for channel, _ in found]
        self._row: Int32 = np.array(rows, np.int32)
        shape = (self.count, len(found))
        self._value: Float64 = np.full(shape, np.nan)
        self._quality: UInt8 = np.full(shape, Quality.COMMS_LOST, np.uint8)
        self._there: NDArray[np.bool_] = np.zeros(shape, np.bool_)
        for k, (channel, one) in enumerate(found):
            n = len(one)
            self._value[:n, k] = one.value
            self._quality[:n, k] = np.where(one.there, one.quality, np.uint8(Quality.COMMS_LOST))
            self._there[:n, k] = one.there
            self._there[:n, k] |= _silent_too_long(one.there, test.every_s, channel.stale_after_s)

    def batch(self, tick: int, begin_ns: int) -> Batch | None:
        """Return what arrives at a tick; None for nothing."""
        there = self._there[tick]
        if not there.any():
            return None
        time_ns = begin_ns + tick * self._every_ns
        return Batch.of(self._row[there], time_ns, self._value[tick][there], self._quality[tick][there])


def _silent_too_long(there: NDArray[np.bool_], every_s: float, stale_after_s: float) -> NDArray[np.bool_]:
    """Return at which ticks a channel, once read, has been away for longer than it may."""
    ticks = np.arange(len(there))
    last = np.maximum.accumulate(np.where(there, ticks, -1))
    away: NDArray[np.bool_] = (last >= 0) & ((ticks - last) * every_s > stale_after_s)
    return away


class _Trial:
    """A test under way: what has happened so far, and what is still to be looked at."""

    def __init__(self, pipeline: Pipeline, begin_ns: int, test: TestSection) -> None:
        self.begin_ns = begin_ns
        self.events: list[tuple[float, AlarmEvent]] = []
        self.failures: list[Failure] = []
        self._pipeline = pipeline
        self._acts = sorted(test.acts, key=lambda act: act.at_s)
        self._looks = sorted(
            ((k, e) for k, e in enumerate(test.expect) if e.at_s is not None), key=lambda look: look[1].at_s or 0.0
        )
        self._changes = [(k, e) for k, e in enumerate(test.expect) if e.between_s is not None]

    def pass_tick(self, at_s: float, batch: Batch | None) -> None:
        """Look at what was to be so before this tick, then let it arrive."""
        self._due(at_s - _TINY_S)
        now_ns = self.begin_ns + round(at_s * NS_PER_S)
        self._note(at_s, self._pipeline.advance(now_ns))
        if batch is not None:
            self._note(at_s, self._pipeline.process(batch))

    def finish(self) -> None:
        """Look at all that is left, and at when alarms changed."""
        self._due(math.inf)
        for number, expectation in self._changes:
            self._changed(number, expectation)
        self.failures.sort(key=lambda failure: failure.expectation)

    def _due(self, until_s: float) -> None:
        """Do and look, in the order of their times; where both are due at once, people act first."""
        while True:
            act_s = self._acts[0].at_s if self._acts else math.inf
            look_s = self._looks[0][1].at_s if self._looks else math.inf
            assert look_s is not None
            if min(act_s, look_s) > until_s or (math.isinf(act_s) and math.isinf(look_s)):
                return
            if act_s <= look_s:
                self._act(self._acts.pop(0))
            else:
                self._look(*self._looks.pop(0))

    def _act(self, act: ActSection) -> None:
        now_ns = self.begin_ns + round(act.at_s * NS_PER_S)
        # A permit needs an end, which a test of rules has seldom a reason to write.
        permit_s = self._pipeline.book.policy.out_of_service_max_s if act.verb is Verb.OUT_OF_SERVICE else 0.0
        duration_s = act.duration_s or permit_s
        order = Command(verb=act.verb, alarm=act.alarm, who=WHO, why=WHO, duration_s=duration_s)
        self._note(act.at_s, self._pipeline.advance(now_ns))
        try:
            self._note(act.at_s, self._pipeline.command(order, now_ns))
        except CommandRefusedError as error:
            self.failures.append(Failure(-1, act.at_s, f"{act.verb} was refused: {error}"))

    def _look(self, number: int, expectation: ExpectationSection) -> None:
        assert expectation.at_s is not None
        assert expectation.alarms is not None
        self._note(expectation.at_s, self._pipeline.advance(self.begin_ns + round(expectation.at_s * NS_PER_S)))
        found = {event.alarm: event for event in self._pipeline.book.last_events() if event.state not in _OVER}
        for alarm in sorted(expectation.alarms.keys() | found.keys()):
            wanted, event = expectation.alarms.get(alarm), found.get(alarm)
            if not _as_wanted(wanted, event):
                what = f"{alarm} must be {_wanted(wanted)}, and is {_found(event)}"
                self.failures.append(Failure(number, expectation.at_s, what, self._lately(alarm)))

    def _changed(self, number: int, expectation: ExpectationSection) -> None:
        assert expectation.between_s is not None
        first_s, last_s = expectation.between_s
        came = [at_s for at_s, event in self._came(expectation.alarm or "") if event.level == expectation.becomes]
        name = f"{expectation.alarm} must become {expectation.becomes} between {first_s:g} and {last_s:g} s"
        if not came:
            hint = self._lately(expectation.alarm or "")
            self.failures.append(Failure(number, last_s, f"{name}, and never did", hint))
        elif not first_s - _TINY_S <= came[0] <= last_s + _TINY_S:
            self.failures.append(Failure(number, came[0], f"{name}, and did at {came[0]:g} s"))

    def _came(self, alarm: str) -> Iterator[tuple[float, AlarmEvent]]:
        """Yield the events at which an alarm came to another level."""
        level = "normal"
        for at_s, event in self.events:
            if event.alarm == alarm and event.level != level:
                level = event.level
                yield at_s, event

    def _lately(self, alarm: str) -> str:
        own = [(at_s, event) for at_s, event in self.events if event.alarm == alarm]
        if not own:
            return ""
        at_s, event = own[-1]
        return f"at {at_s:g} s: {event.kind}, {event.why}"

    def _note(self, at_s: float, events: Sequence[AlarmEvent]) -> None:
        self.events += [(at_s, event) for event in events]


def _as_wanted(wanted: str | HeldSection | None, event: AlarmEvent | None) -> bool:
    level = event.level if event is not None else "normal"
    if wanted is None:
        return event is None
    if isinstance(wanted, HeldSection):
        state = event.state if event is not None else AlarmState.NORMAL
        return wanted.level == level and wanted.state in (None, state)
    return wanted == level


def _wanted(wanted: str | HeldSection | None) -> str:
    if isinstance(wanted, HeldSection):
        return wanted.level if wanted.state is None else f"{wanted.level} ({wanted.state})"
    return "normal" if wanted is None else wanted


def _found(event: AlarmEvent | None) -> str:
    return "normal" if event is None else f"{event.level} ({event.state})"


__all__ = ["BEGINS", "Failure", "Outcome", "run"]
