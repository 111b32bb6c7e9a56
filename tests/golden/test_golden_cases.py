"""Recordings with the events that they must give: each folder here is a case, and one loop runs all.

Every mistake found on a site lands here first, as `site.yaml` and `readings.csv`. `expected.jsonl` is what
`hazgate replay --json site.yaml` printed and a person checked line by line against the rules in the site file.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.cli.replay import judged
from gateway.core.alarm import AlarmEvent
from gateway.core.errors import SiteFileError

HERE = Path(__file__).parent
HAZGATE = (sys.executable, "-c", "from gateway.cli.main import main; main()")
CASES = sorted(folder.parent.name for folder in HERE.glob("*/site.yaml"))


def test_there_are_cases() -> None:
    assert len(CASES) >= 7


@pytest.mark.parametrize("case", CASES)
def test_a_recording_gives_the_events_that_a_person_has_checked(case: str) -> None:
    expected = (HERE / case / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    assert expected, "a case without any event shows nothing"
    events = list(judged(HERE / case / "site.yaml"))
    assert events == [msgspec.json.decode(line, type=AlarmEvent) for line in expected]


@pytest.mark.parametrize("case", CASES)
def test_events_are_numbered_without_gaps_and_begin_in_danger(case: str) -> None:
    events = list(judged(HERE / case / "site.yaml"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[0].kind == "raised"


def test_replaying_the_recorded_fire_twice_prints_the_same_bytes() -> None:
    site = HERE / "smoke-recording" / "site.yaml"
    first, second = (
        subprocess.run([*HAZGATE, "replay", "--json", str(site)], capture_output=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert first == (HERE / "smoke-recording" / "expected.jsonl").read_bytes()


def two_recordings(folder: Path, **options: object) -> Path:
    """Return a site with two recordings, the second of which reaches its set point first."""
    for name, moment in (("a", 7), ("b", 4)):
        rows = "".join(f"{second},{20 if second >= moment else 1}\n" for second in range(10))
        (folder / f"{name}.csv").write_text(f"time,ch4\n{rows}")
    site = folder / "site.yaml"
    site.write_text(
        msgspec.json.encode(
            {
                "site": {"id": "two"},
                "connections": [
                    {"id": n, "type": "replay", "options": {"file": f"{n}.csv", "start": "file", "speed": 0} | options}
                    for n in "ab"
                ],
                "instruments": [
                    {"id": f"gd-{n}", "connection": n, "channels": [{"id": "ch4", "options": {"column": "ch4"}}]}
                    for n in "ab"
                ],
                "rules": [{"id": "gas", "type": "threshold", "channels": ["*"], "options": {"low": 10}}],
            }
        ).decode()
    )
    return site


def test_several_recordings_are_judged_in_the_order_of_their_times(tmp_path: Path) -> None:
    events = list(judged(two_recordings(tmp_path)))
    assert [event.alarm for event in events] == ["gas:gd-b.ch4", "gas:gd-a.ch4"]


def test_a_recording_without_end_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match=r"site\.yaml.*connections\[0\]\.options\.loop"):
        list(judged(two_recordings(tmp_path, loop=True)))
