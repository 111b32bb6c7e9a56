import numpy as np
import pytest

from gateway.core.model import Quality
from gateway.site.notation import READINGS_MAX, series
from gateway.site.schema import TestSection as Section
from gateway.site.trials import problems


def test_pieces_follow_one_another():
    found = series("5x3 0-1.5x3 1e2 _x2 comms_lostx2")
    assert found.value[:7].tolist() == [5.0, 5.0, 5.0, 0.0, -1.5, -3.0, 100.0]
    assert np.isnan(found.value[7:]).all()
    assert found.there.tolist() == [True] * 7 + [False] * 2 + [True] * 2
    assert found.quality[-2:].tolist() == [Quality.COMMS_LOST] * 2


def test_noise_is_the_same_at_each_run_and_another_for_another_channel():
    one, again, other = series("20~0.5x500", 1), series("20~0.5x500", 1), series("20~0.5x500", 2)
    assert one.value.tolist() == again.value.tolist() != other.value.tolist()
    assert abs(one.value.mean() - 20.0) < 0.1
    assert 0.4 < one.value.std() < 0.6


@pytest.mark.parametrize("name", [q.name.lower() for q in Quality if q >= Quality.BAD])
def test_every_bad_quality_may_be_named(name: str):
    assert series(f"{name}x2").quality.tolist() == [Quality[name.upper()]] * 2


@pytest.mark.parametrize("name", [q.name.lower() for q in Quality if q < Quality.BAD])
def test_every_other_quality_comes_with_a_value(name: str):
    assert series(f"7@{name}x2").quality.tolist() == [Quality[name.upper()]] * 2
    with pytest.raises(ValueError, match="comes with a value"):
        series(f"{name}x2")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no reading"),
        ("5x", "is no reading"),
        ("5y3", "is no reading"),
        ("5x0", "0 readings"),
        ("5 60x5,", "is no reading"),
        ("badd", "there is no quality 'badd'"),
        ("bad+1x3", "no value that could change"),
        ("_~2", "no value that could change"),
        ("5@bad", "has no value"),
        (f"5x{READINGS_MAX} 5", "more than"),
        ("5x99999999999", "are allowed"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, says: str):
    with pytest.raises(ValueError, match=says):
        series(text)


def test_tests_that_name_what_is_not_there_are_told_with_their_places():
    section = Section.model_validate(
        {
            "id": "t",
            "readings": {"gd-01.ch4": "1x2", "gd-1.ch4": "1y"},
            "acts": [{"at_s": 1, "verb": "acknowledge", "alarm": "gass"}],
            "expect": [
                {"at_s": 1, "alarms": {"gas": "low", "gsa": {"level": "high"}, "system/disk": "fault"}},
                {"between_s": [1, 2], "alarm": "other", "becomes": "low"},
            ],
        }
    )
    found = {error.path: error.problem for error in problems([section], ["gd-01.ch4"], ["gas"])}
    assert found.keys() == {
        ("tests", 0, "readings", "gd-1.ch4"),
        ("tests", 0, "acts", 0, "alarm"),
        ("tests", 0, "expect", 0, "alarms", "gsa"),
        ("tests", 0, "expect", 1, "alarm"),
    }
    assert found["tests", 0, "acts", 0, "alarm"] == "no alarm is called 'gass'; there are gas"


@pytest.mark.parametrize(
    "expectation",
    [
        {"at_s": 1},
        {"alarms": {}},
        {"at_s": 1, "alarms": {}, "alarm": "gas"},
        {"between_s": [2, 1], "alarm": "gas", "becomes": "low"},
        {"between_s": [1, 2], "alarm": "gas"},
        {"at_s": 1, "alarms": {"gas": "hihg"}},
    ],
)
def test_an_expectation_has_one_form(expectation: dict[str, object]):
    with pytest.raises(ValueError, match="expect"):
        Section.model_validate({"id": "t", "readings": {"a.b": "1"}, "expect": [expectation]})
