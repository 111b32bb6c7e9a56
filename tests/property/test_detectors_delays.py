"""Detectors against the same rules told plainly: one rule, one reading at a time, no arrays."""

from dataclasses import dataclass, field
from math import inf, isnan, nan

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import rate, threshold
from gateway.core.model import Batch, Channel, Quality, Rule

SECOND = 1_000_000_000
QUALITIES = [Quality.GOOD, Quality.GOOD, Quality.GOOD, Quality.UNCERTAIN, Quality.OVER_RANGE, Quality.COMMS_LOST]

Reading = tuple[float, float, int]
"""Seconds since the last one, value, quality."""

readings = st.lists(
    st.tuples(
        st.sampled_from([1.0, 1.0, 1.0, 0.5, 7.0, -5.0]),
        st.sampled_from([0.0, 9.0, 10.0, 12.0, 18.0, 19.0, 20.0, 25.0, 28.0, 30.0, 35.0, 50.0, 55.0, 100.0]),
        st.sampled_from(QUALITIES),
    ),
    max_size=60,
)
delays = st.sampled_from([0.0, 1.0, 2.5])


def channel() -> Channel:
    return Channel(0, "i.x", "i", "x", "u", 0.0, 100.0)


@dataclass
class Plain:
    """The two-step judge as its documentation tells it."""

    options: threshold.Options
    level: int = 0
    on: dict[int, float] = field(default_factory=dict)
    off: dict[int, float] = field(default_factory=dict)

    def limits(self, step: int) -> tuple[float, float]:
        name = ("low", "high")[step - 1]
        above, below = getattr(self.options.rising, name), getattr(self.options.falling, name)
        return (inf if above is None else above), (-inf if below is None else below)

    def read(self, time: float, value: float, quality: int) -> int:
        if quality >= Quality.BAD:
            self.off.clear()
            return self.level
        over_range = quality == Quality.OVER_RANGE
        if over_range:
            value = max(value, 100.0)
            self.off.clear()
        for step in (1, 2):
            above, below = self.limits(step)
            self._run(self.on, step, time, going=value >= above or value <= below, hold=over_range)
            clear = value < above - self.options.deadband and value > below + self.options.deadband
            self._run(self.off, step, time, going=clear and not over_range and self.level >= step, hold=False)
        return self._decide(time, value)

    @staticmethod
    def _run(runs: dict[int, float], step: int, time: float, *, going: bool, hold: bool) -> None:
        if going:
            runs[step] = min(runs.get(step, time), time)
        elif not hold:
            runs.pop(step, None)

    def _decide(self, time: float, value: float) -> int:
        raised = 0
        for step in (1, 2):
            above, below = self.limits(step)
            holds = value >= above or value <= below
            if holds and time - self.on[step] >= self.options.on_delay_s:
                raised = step
        over = [step for step in (1, 2) if step in self.off and time - self.off[step] >= self.options.off_delay_s]
        level = self.level
        if level == 2 and 2 in over:
            level = 1
        if level == 1 and 1 in over:
            level = 0
        self.level = max(raised, level)
        return self.level


@st.composite
def threshold_options(draw: st.DrawFn) -> threshold.Options:
    shaping = {
        "deadband": draw(st.sampled_from([0.0, 1.0, 2.0])),
        "on_delay_s": draw(delays),
        "off_delay_s": draw(delays),
    }
    form = draw(st.sampled_from(["above", "below", "both", "low", "high"]))
    if form == "above":
        return threshold.Options(low=30, high=50, **shaping)
    if form == "below":
        return threshold.Options(side="below", low=20, high=10, **shaping)
    if form == "both":
        return threshold.Options(above={"low": 30}, below={"low": 20, "high": 10}, **shaping)
    return threshold.Options(**{form: 30}, **shaping)


@settings(max_examples=300, deadline=None)
@given(threshold_options(), readings)
def test_threshold_judges_as_its_documentation_tells(options: threshold.Options, given_readings: list[Reading]) -> None:
    detector, plain = threshold.create([Rule(0, "r", "threshold", (channel(),), options)]), Plain(options)
    time = 1000.0
    for step, value, quality in given_readings:
        time += step
        detector.update(Batch.of([0], round(time * SECOND), [value], quality))
        assert detector.level.tolist() == [plain.read(time, value, quality)]


@settings(max_examples=200, deadline=None)
@given(threshold_options(), readings, st.integers(0, 59))
def test_no_alarm_ends_without_a_trusted_reading(
    options: threshold.Options, given_readings: list[Reading], at: int
) -> None:
    """However a stream goes, replacing any one reading by silence never lowers a level at that reading."""
    detector = threshold.create([Rule(0, "r", "threshold", (channel(),), options)])
    time = 1000.0
    for i, (step, value, quality) in enumerate(given_readings):
        time += step
        before = int(detector.level[0])
        silent = i == at
        detector.update(
            Batch.of([0], round(time * SECOND), [nan if silent else value], Quality.STALE if silent else quality)
        )
        if silent or quality in (Quality.OVER_RANGE, Quality.COMMS_LOST):
            assert detector.level[0] >= before
            assert not silent or detector.level[0] == before


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.01, 0.03, 0.03, 0.1, 0.47, 0.6, 1.1]), st.floats(-0.7, 0.7), st.booleans()),
        min_size=3,
        max_size=60,
    ),
    st.booleans(),
    st.floats(0.5, 200.0),
    st.sampled_from([10.0, 30.0]),
)
def test_rate_never_sleeps_through_a_slope(
    steps: list[tuple[float, float, bool]], rested: bool, limit: float, window_s: float
) -> None:
    """A rule that has rested judges exactly as one that looks at every window: as least squares over the cells say.

    Steps are parts of the window, changes parts of what the limit allows in a window.
    """
    if rested:
        steps = [(0.05, 0.0, False)] * 30 + steps
    options = rate.Options(direction="both", low=limit, window_s=window_s, deadband=0.0)
    detector = rate.create([Rule(0, "r", "rate", (channel(),), options)])
    cell_ns = round(window_s * SECOND) // (rate.CELLS - 1) + 1
    kept: dict[int, tuple[int, float]] = {}
    time_ns, value, level = 1_700_000_000 * SECOND, 20.0, 0
    for step, change, bad in steps:
        time_ns += round(step * window_s * SECOND)
        value += change * limit * window_s / 60.0
        detector.update(Batch.of([0], time_ns, [nan if bad else value], Quality.STALE if bad else 0))
        if not bad:
            cell, place = time_ns // cell_ns, time_ns // cell_ns % rate.CELLS
            if kept.get(place, (0, 0.0))[0] < cell * cell_ns:
                kept[place] = (time_ns, value)
            slope = expected_slope(kept, time_ns, value, window_s)
            margin = 1e-6 * limit
            if isnan(slope) or abs(abs(slope) - limit) < margin:
                level = int(detector.level[0])
            else:
                level = 1 if abs(slope) >= limit else 0
        assert detector.level.tolist() == [level]


def expected_slope(kept: dict[int, tuple[int, float]], now_ns: int, now: float, window_s: float) -> float:
    """Return the slope through the first reading of each cell and the one that is judged."""
    before = [(t, v) for t, v in kept.values() if 0 < now_ns - t <= window_s * SECOND]
    inside = [*before, (now_ns, now)]
    ages = [now_ns - t for t, _ in inside]
    if len(inside) < 3 or max(ages) * 2 < window_s * SECOND:
        return nan
    minutes = np.array(ages) / -60e9
    values = np.array([v for _, v in inside])
    minutes = minutes - minutes.mean()
    return float((minutes * (values - values.mean())).sum() / (minutes * minutes).sum())
