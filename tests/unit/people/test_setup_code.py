"""The one-time code for the first administrator."""

from gateway.core.clock import ManualClock
from gateway.people.setup_code import LIFE_S, TRIES, SetupCode


def made() -> tuple[SetupCode, ManualClock, list[str]]:
    shown: list[str] = []
    clock = ManualClock()
    code = SetupCode(clock, shown.append)
    return code, clock, shown


def test_there_is_none_before_it_is_made() -> None:
    code, _, _ = made()
    assert not code.alive
    assert not code.matches("")
    assert not code.matches("AAAAA-AAAAA")


def test_it_is_ten_characters_that_nobody_mistakes() -> None:
    code, _, shown = made()
    for _ in range(200):
        code.renew()
    assert len(set(shown)) == 200
    assert {len(each) for each in shown} == {11}
    assert not set("".join(shown)) & set("01OIL")


def test_it_is_taken_in_any_case_and_spacing() -> None:
    code, _, shown = made()
    code.renew()
    assert code.matches(shown[0])
    assert code.matches(f" {shown[0].replace('-', '').lower()} ")


def test_it_runs_out_after_an_hour() -> None:
    code, clock, shown = made()
    code.renew()
    clock.advance(LIFE_S)
    assert not code.alive
    assert not code.matches(shown[0])


def test_the_fifth_wrong_try_makes_another() -> None:
    code, _, shown = made()
    code.renew()
    for _ in range(TRIES - 1):
        assert not code.matches("WRONG-WRONG")
    assert len(shown) == 1
    assert not code.matches("WRONG-WRONG")
    assert len(shown) == 2
    assert not code.matches(shown[0])
    assert code.matches(shown[1])


def test_it_is_good_once() -> None:
    code, _, shown = made()
    code.renew()
    code.use_up()
    assert not code.matches(shown[0])
    assert not code.matches("")
