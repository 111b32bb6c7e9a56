from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from detectors.fire import Options, create
from detectors.parts.criteria import Criterion, figures_of
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Detector

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
UNITS = {"temperature": ("°C", 1), "smoke": ("OD/m", 3), "co": ("ppm", 0), "co2": ("ppm", 0)}
AIR = {"temperature": 21.0, "smoke": 0.001, "co": 1.0, "co2": 600.0}
STEP_S = 2


def channel(row: int, quantity: str, **more: Any) -> Channel:
    unit, decimals = UNITS[quantity]
    given = {"unit": unit, "decimals": decimals, "period_s": STEP_S, **more}
    return Channel(row, f"i{row}.{quantity}", f"i{row}", quantity, **given)


def fire(*quantities: str, **options: Any) -> Detector:
    channels = tuple(channel(row, quantity) for row, quantity in enumerate(quantities))
    return create([Rule(7, "fire", "fire", channels, Options(**options), group=True)])


class Room:
    """A room whose instruments are read every two seconds, and what its rule has said."""

    def __init__(self, *quantities: str, **options: Any) -> None:
        self.quantities = quantities
        self.detector = fire(*quantities, **options)
        self.now_s, self.step_s = 0, STEP_S
        self.said: list[tuple[int, Level, str, str]] = []
        self.bad: set[int] = set()

    def shows(
        self, seconds: int, per_s: Mapping[int, float] | None = None, add: Mapping[int, float] | None = None
    ) -> None:
        """Let time pass: `per_s` adds to a row each second, `add` at once and for good while this lasts."""
        for step in range(0, seconds, self.step_s):
            values = np.array([AIR[quantity] for quantity in self.quantities])
            for row, rate in (per_s or {}).items():
                values[row] += rate * step
            for row, more in (add or {}).items():
                values[row] += more
            self.read(values)

    def read(self, values: Iterable[float]) -> None:
        quality = [Quality.COMMS_LOST if row in self.bad else 0 for row in range(len(self.quantities))]
        found = self.detector.update(
            Batch.of(range(len(self.quantities)), START + self.now_s * SECOND, list(values), quality)
        )
        for level, reason in zip(found.level, found.reason, strict=True):
            self.said.append((self.now_s, Level(int(level)), reason.en, reason.zh))
        self.now_s += self.step_s

    @property
    def level(self) -> Level:
        return Level(int(self.detector.level[0]))

    @property
    def why(self) -> str:
        return self.said[-1][2]


def test_heat_and_smoke_together_are_fire_and_the_reason_has_numbers_in_both_languages() -> None:
    room = Room("temperature", "smoke", "co")
    room.shows(120)
    room.shows(30, per_s={0: 0.3, 1: 0.001})
    assert room.level is Level.HIGH
    when, level, en, zh = room.said[-1]
    assert (120 < when < 140, level) == (True, Level.HIGH)
    assert en.startswith("temperature +")
    assert " K and smoke +0.0" in en
    assert " OD/m within " in en
    assert zh.startswith("温度+")
    assert "烟雾+0.0" in zh
    assert "相隔" in zh


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2), (2, 0)])
def test_any_two_kinds_agree_where_the_second_comes_within_a_minute(first: int, second: int) -> None:
    rise = {0: 3.0, 1: 0.03, 2: 20.0}
    room = Room("temperature", "smoke", "co")
    room.shows(60)
    room.shows(10, add={first: rise[first]})
    assert room.level is not Level.HIGH
    room.shows(40)
    room.shows(10, add={second: rise[second]})
    assert room.level is Level.HIGH


def test_votes_further_apart_than_the_window_do_not_meet() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.shows(10, add={0: 3.0})
    room.shows(80)
    room.shows(10, add={1: 0.03})
    assert Level.HIGH not in {level for _, level, _, _ in room.said}


def test_one_kind_alone_warns_after_a_while_and_is_over_when_it_is_gone() -> None:
    room = Room("temperature", "smoke", "co")
    room.shows(60)
    room.shows(50, add={1: 0.03})
    assert room.level is Level.NORMAL
    room.shows(20, add={1: 0.03})
    assert room.level is Level.WARNING
    assert "smoke +0.030 OD/m; nothing else yet" in room.why
    room.shows(120)
    assert room.level is Level.NORMAL
    assert [level for _, level, _, _ in room.said] == [Level.WARNING, Level.NORMAL]


def test_a_single_odd_reading_is_no_warning() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.shows(2, add={1: 0.05})
    room.shows(120)
    assert room.said == []


def test_two_heads_of_one_kind_are_one_vote() -> None:
    room = Room("smoke", "smoke", "temperature")
    room.shows(60)
    room.shows(80, add={0: 0.05, 1: 0.05})
    assert room.level is Level.WARNING


def test_a_fixed_limit_needs_no_vote() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.shows(2, add={1: 0.2})
    assert room.level is Level.HIGH
    assert room.why == "smoke 0.201 OD/m, limit 0.140 OD/m: no vote needed"


def test_the_first_reading_of_all_can_be_beyond_a_limit() -> None:
    room = Room("temperature", "smoke")
    room.shows(2, add={0: 40.0})
    assert room.why == "temperature 61.0 °C, limit 57.0 °C: no vote needed"


def test_a_rate_of_rise_needs_no_vote_and_is_judged_over_half_a_minute() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.shows(60, per_s={0: 9.5 / 60})
    assert room.level is Level.HIGH
    assert "K/min, limit 8.3 K/min: no vote needed" in room.why
    slower = Room("temperature", "smoke")
    slower.shows(60)
    slower.shows(120, per_s={0: 7.0 / 60})
    assert slower.level is Level.WARNING


def test_channels_read_too_seldom_have_no_rate_of_rise() -> None:
    slow = channel(0, "temperature", period_s=30.0)
    detector = create([Rule(0, "f", "fire", (slow,), Options(), group=True)])
    for k in range(7):
        detector.update(Batch.of([0], START + 30 * k * SECOND, [21.0 + 5.0 * k]))
    assert detector.level[0] == Level.WARNING
    with pytest.raises(ConfigError, match="comes every 30 s; a rate of rise needs readings every 15 s"):
        figures_of(slow, [Criterion(quantity="temperature", rate_limit=8.3)])


def test_the_days_course_is_no_rise() -> None:
    room = Room("temperature", "smoke", "co2")
    room.shows(60)
    for minute in range(20):
        room.shows(60, per_s={0: 1.5 / 60, 2: 40 / 60}, add={0: 1.5 * minute, 2: 40.0 * minute})
    assert {level for _, level, _, _ in room.said} == set()


def test_dust_and_steam_without_heat_or_gas_are_only_a_warning() -> None:
    room = Room("temperature", "smoke", "co")
    room.shows(60)
    room.shows(300, add={1: 0.10})
    room.shows(300, per_s={0: 1.2 / 60}, add={1: 0.08})
    assert {level for _, level, _, _ in room.said} <= {Level.WARNING, Level.NORMAL}


def test_nothing_is_learned_during_an_alarm() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.step_s = 15
    room.shows(1800, add={0: 5.0, 1: 0.05})
    assert room.level is Level.HIGH
    room.shows(75)
    assert room.level is Level.NORMAL


def test_slow_smoke_is_not_learned_as_normal_for_hours() -> None:
    """A quarter of the limit an hour is the most that may be hidden: twice that fast is found."""
    room = Room("temperature", "smoke")
    room.shows(60)
    room.step_s = 15
    room.shows(3600, per_s={1: 0.07 / 3600})
    assert room.level is Level.WARNING


def test_a_bad_member_neither_votes_nor_clears_and_its_vote_stands() -> None:
    room = Room("temperature", "smoke", "co")
    room.shows(60)
    room.shows(10, add={0: 3.0, 1: 0.05})
    assert room.level is Level.HIGH
    room.bad = {0, 1, 2}
    room.step_s = 10
    room.shows(600)
    assert room.level is Level.HIGH
    room.bad = {1}
    room.shows(600, add={0: 3.0})
    assert room.level is Level.HIGH
    room.bad = set()
    room.shows(70)
    assert room.level is Level.NORMAL


def test_without_one_kind_the_other_two_still_vote_and_the_reason_says_so() -> None:
    room = Room("temperature", "smoke", "co")
    room.bad = {1}
    room.shows(60)
    room.shows(10, add={0: 3.0, 2: 30.0})
    assert room.level is Level.HIGH
    assert room.why.endswith("; smoke has no value")


def test_one_kind_left_warns_by_its_rise_and_alarms_by_its_limit() -> None:
    room = Room("temperature", "smoke")
    room.bad = {1}
    room.shows(60)
    room.shows(70, add={0: 4.0})
    assert room.level is Level.WARNING
    assert room.why.endswith("nothing else yet; smoke has no value")
    room.shows(2, add={0: 40.0})
    assert room.level is Level.HIGH


def test_one_kind_left_decides_alone_where_that_is_wished() -> None:
    room = Room("temperature", "smoke", alone="alarm")
    room.shows(60)
    room.shows(10, add={0: 3.0})
    assert room.level is not Level.HIGH
    room.shows(120)
    room.bad = {1}
    room.shows(20)
    room.shows(10, add={0: 3.0})
    assert room.level is Level.HIGH


def test_over_range_counts_as_the_end_of_the_range_and_clears_nothing() -> None:
    head = channel(0, "smoke", range_high=0.2)
    detector = create([Rule(0, "f", "fire", (head, channel(1, "temperature")), Options(), group=True)])
    detector.update(Batch.of([0, 1], START, [0.001, 21.0]))
    assert detector.update(Batch.of([0], START + SECOND, [0.01], Quality.OVER_RANGE)).level.tolist() == [Level.HIGH]
    for k in range(2, 200):
        detector.update(Batch.of([0], START + k * SECOND, [0.01], Quality.OVER_RANGE))
    assert detector.level[0] == Level.HIGH


@pytest.mark.parametrize("top", [50.0, np.nan], ids=["below its limit", "unknown"])
def test_over_range_needs_no_vote_though_the_range_ends_below_the_limit_or_nowhere(top: float) -> None:
    heads = channel(0, "temperature", range_high=top), channel(1, "smoke"), channel(2, "co2", range_high=top)
    detector = create([Rule(0, "f", "fire", heads, Options(), group=True)])
    for k in range(20):
        detector.update(Batch.of([0, 1, 2], START + k * SECOND, [21.0, 0.001, 600.0]))
    bad = [Quality.OVER_RANGE, Quality.COMMS_LOST, Quality.COMMS_LOST]
    assert detector.update(Batch.of([0, 1, 2], START + 20 * SECOND, [21.0, 0, 0], bad)).level.tolist() == [Level.HIGH]


def test_a_limit_is_over_only_below_its_deadband() -> None:
    room = Room("temperature", "smoke")
    room.shows(20)
    room.read([57.0, 0.001])
    room.read([52.0, 0.001])
    assert room.level is Level.HIGH
    for _ in range(100):
        room.read([21.0, 0.001])
    assert room.level is Level.NORMAL


def test_noisy_instruments_are_judged_by_their_noise() -> None:
    random = np.random.default_rng(4)
    room = Room("temperature", "smoke", "co2")
    for _ in range(800):
        room.read([21 + random.normal(0, 0.3), max(random.normal(0, 0.004), 0.0), 600 + random.normal(0, 150)])
    assert Level.HIGH not in {level for _, level, _, _ in room.said}
    assert len(room.said) <= 2


def test_after_a_long_silence_temperature_begins_anew_but_its_limit_holds() -> None:
    room = Room("temperature", "smoke")
    room.shows(60)
    room.now_s += 8 * 3600
    room.shows(60, add={0: 6.0})
    assert room.said == []
    room.now_s += 8 * 3600
    room.shows(2, add={0: 40.0})
    assert room.level is Level.HIGH


def test_a_first_reading_far_too_high_does_not_blind_for_long() -> None:
    room = Room("temperature", "smoke")
    room.read([21.0, 0.1])
    room.shows(60)
    room.shows(10, add={0: 3.0, 1: 0.02})
    assert room.level is Level.HIGH


def test_quantities_and_units_have_usual_figures_or_are_refused() -> None:
    assert figures_of(channel(0, "smoke", unit="dB/m"), ()).limit == pytest.approx(1.4)
    assert figures_of(channel(0, "smoke", unit="", range_high=1.0), ()).limit == 0.5
    assert figures_of(channel(0, "temperature", unit="°F"), ()).limit == pytest.approx(57 * 1.8 + 32)
    with pytest.raises(ConfigError, match="nothing usual is known of smoke in %") as found:
        create([Rule(0, "f", "fire", (channel(0, "smoke", unit="%"),), Options(), group=True, path=("rules", 3))])
    assert found.value.path[:2] == ("rules", 3)
    own = Criterion(quantity="smoke", kind="smoke", floor=1.0, drift=0.2)
    assert figures_of(channel(0, "smoke", unit="%"), [own]).limit == np.inf


def test_what_the_site_file_gives_takes_the_place_of_the_usual() -> None:
    room = Room("temperature", "smoke", criteria=[{"quantity": "temperature", "limit": 30.0}])
    room.shows(20)
    room.read([31.0, 0.001])
    assert room.why == "temperature 31.0 °C, limit 30.0 °C: no vote needed"


def test_rules_of_areas_do_not_touch_one_another() -> None:
    def rule(index: int) -> Rule:
        members = (channel(2 * index, "temperature"), channel(2 * index + 1, "smoke"))
        return Rule(index, f"f{index}", "fire", members, Options(), group=True)

    both = create([rule(0), rule(1)])
    for k in range(66):
        hot = 3.5 * (k > 30)
        found = both.update(Batch.of([0, 1, 2, 3], START + 2 * k * SECOND, [21 + hot, 0.001, 21, 0.001 + hot / 100]))
        assert Level.HIGH not in found.level
    assert both.level.tolist() == [Level.WARNING, Level.WARNING]


@pytest.mark.parametrize(
    ("criterion", "place", "problem"),
    [
        ({"quantity": "temprature", "limit": 70.0}, "quantity", "there are smoke, temperature"),
        ({"quantity": "temperature", "limit": 700.0}, "limit", "lies beyond the range of"),
    ],
)
def test_a_criterion_that_could_never_be_met_is_refused(criterion: dict[str, Any], place: str, problem: str) -> None:
    channels = tuple(channel(row, name, range_high=125.0) for row, name in enumerate(("temperature", "smoke")))
    options = Options(criteria=(Criterion(**criterion),))
    with pytest.raises(ConfigError, match=problem) as error:
        create([Rule(0, "fire", "fire", channels, options, group=True)])
    assert tuple(error.value.path)[-2:] == (0, place)


def test_a_criterion_need_not_be_met_in_every_area_of_its_rule() -> None:
    options = Options(criteria=(Criterion(quantity="co", limit=50.0),))
    create(
        [
            Rule(0, "fire:hall", "fire", (channel(0, "temperature"), channel(1, "co")), options, group=True),
            Rule(1, "fire:store", "fire", (channel(2, "temperature"),), options, group=True),
        ]
    )
