from datetime import UTC, datetime

import pytest

from gateway.alarms.calibration import BUMP, CALIBRATION, Calibrations, Duty, Wanted, noon_ns
from gateway.core.alarm import AlarmEvent, Calibration, EventKind
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Level

DAY_NS = 86_400 * 10**9
NOW_NS = 20_000 * DAY_NS
HEAD = Duty(
    "gd-01", "boiler", {BUMP: 30, CALIBRATION: 180}, {BUMP: NOW_NS - 10 * DAY_NS, CALIBRATION: NOW_NS - 20 * DAY_NS},
    gas="CH4 50 %LEL", expected=50.0, unit="%LEL", decimals=1,
)  # fmt: skip


def done(kind: str, passed: bool, at_ns: int, seq: int = 1, shown: float | None = None) -> AlarmEvent:
    found = Calibration(kind=kind, passed=passed, shown=shown, expected=50.0)
    return AlarmEvent(
        seq=seq, time_ns=at_ns, kind=EventKind.CALIBRATED, instrument="gd-01", who="Wang", calibration=found
    )


def only(kept: Calibrations, now_ns: int, kind: str = "") -> Wanted:
    """Return the one alarm of the instrument that has to stand, or one that need not."""
    all_ = [one for one in kept.wanted(now_ns) if kind in one.alarm]
    assert len({one.alarm for one in all_}) == len(all_)
    standing = [one for one in all_ if one.active]
    assert len(standing) < 2
    return (standing or all_)[0]


def test_what_was_done_before_the_gateway_counts_until_it_is_due():
    kept = Calibrations([HEAD])
    assert [one.state for one in kept.owed("gd-01", NOW_NS)] == ["ok", "ok"]
    assert not only(kept, NOW_NS).active


def test_a_week_before_it_warns_and_after_the_day_it_is_a_fault():
    kept = Calibrations([HEAD])
    soon, late = only(kept, NOW_NS + 15 * DAY_NS), only(kept, NOW_NS + 23 * DAY_NS)
    assert (soon.active, soon.level, soon.why.en) == (True, Level.WARNING, "gd-01: bump test due on 2024-10-24")
    assert (late.active, late.level, late.why.en) == (True, Level.FAULT, "gd-01: bump test overdue since 2024-10-24")
    assert late.why.zh == "gd-01：功能测试自 2024-10-24 起逾期"


def test_what_nobody_knows_of_is_overdue_not_fine():
    kept = Calibrations([Duty("gd-01", days={CALIBRATION: 180})])
    assert only(kept, NOW_NS).level is Level.FAULT
    assert only(kept, NOW_NS).why.en == "gd-01: no calibration is on record"


def test_a_test_from_the_future_proves_nothing():
    kept = Calibrations([Duty("gd-01", days={BUMP: 30})])
    kept.take(done(BUMP, True, NOW_NS + 400 * DAY_NS))
    assert only(kept, NOW_NS).level is Level.FAULT


def test_a_passed_test_moves_the_due_date_and_a_failed_one_does_not():
    kept = Calibrations([HEAD])
    kept.take(done(BUMP, True, NOW_NS))
    assert kept.owed("gd-01", NOW_NS)[0].due_ns == NOW_NS + 30 * DAY_NS
    kept.take(done(BUMP, False, NOW_NS + DAY_NS, 2, shown=31.0))
    assert kept.owed("gd-01", NOW_NS + DAY_NS)[0].due_ns == NOW_NS + 30 * DAY_NS
    wanted = only(kept, NOW_NS + DAY_NS)
    assert (wanted.level, wanted.why.en) == (
        Level.FAULT,
        "gd-01: bump test not passed: shown 31 %LEL, expected 50 %LEL",
    )


def test_a_calibration_is_a_bump_test_too_and_ends_a_failed_one():
    kept = Calibrations([HEAD])
    kept.take(done(BUMP, False, NOW_NS, 1))
    assert only(kept, NOW_NS).active
    kept.take(done(CALIBRATION, True, NOW_NS + DAY_NS, 2))
    assert not only(kept, NOW_NS + DAY_NS).active
    assert [one.last_ns for one in kept.owed("gd-01", NOW_NS + DAY_NS)] == [NOW_NS + DAY_NS] * 2


def test_a_failed_calibration_is_not_healed_by_a_bump_test():
    kept = Calibrations([HEAD])
    kept.take(done(CALIBRATION, False, NOW_NS, 1))
    kept.take(done(BUMP, True, NOW_NS + DAY_NS, 2))
    assert only(kept, NOW_NS + DAY_NS).why.en.startswith("gd-01: calibration not passed")


def test_an_instrument_without_duty_owes_nothing_but_a_failed_test_is_said():
    kept = Calibrations([])
    assert list(kept.wanted(NOW_NS)) == []
    kept.take(done(BUMP, False, NOW_NS))
    assert only(kept, NOW_NS).active


def test_what_was_kept_restores_it():
    kept = Calibrations([HEAD])
    for seq, (kind, passed) in enumerate([(CALIBRATION, True), (BUMP, True), (BUMP, False)], 1):
        kept.take(done(kind, passed, NOW_NS + seq * DAY_NS, seq))
    again = Calibrations([HEAD])
    again.restore(kept.last_events())
    assert again.owed("gd-01", NOW_NS + 4 * DAY_NS) == kept.owed("gd-01", NOW_NS + 4 * DAY_NS)


@pytest.mark.parametrize(("shown", "passed"), [(50.0, True), (40.0, True), (60.0, True), (39.9, False), (60.1, False)])
def test_the_figures_judge_within_the_tolerance(shown: float, passed: bool):
    assert Calibrations([HEAD]).judged("gd-01", BUMP, shown, passed=None).passed is passed


def test_nobody_passes_a_test_that_the_figures_fail():
    kept = Calibrations([HEAD])
    with pytest.raises(CommandRefusedError, match="31 %LEL is not within 20 % of 50 %LEL"):
        kept.judged("gd-01", BUMP, 31.0, passed=True)
    assert not kept.judged("gd-01", BUMP, 50.0, passed=False).passed


def test_without_figures_a_person_has_to_judge():
    kept = Calibrations([HEAD])
    with pytest.raises(CommandRefusedError, match="say whether it passed"):
        kept.judged("gd-01", BUMP, None, passed=None)
    with pytest.raises(CommandRefusedError, match="is no test"):
        kept.judged("gd-01", "look", 50.0, passed=None)


def test_dates_of_the_site_file_mean_noon_there():
    day = datetime(2026, 6, 1, 4, tzinfo=UTC)
    assert noon_ns(day.date(), "Asia/Shanghai") == round(day.timestamp()) * 10**9
