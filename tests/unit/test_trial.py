"""`hazgate test`: the site's own tests of its rules, run on the parts that run on site."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway import trial
from gateway.cli.test import command
from gateway.site.load import load_site

SITE = """
site: {id: s, timezone: Asia/Shanghai}
connections: [{id: c, type: modbus, options: {endpoint: "tcp://127.0.0.1:5020"}}]
instruments:
  - id: gd
    connection: c
    options: {unit: 1}
    channels: [{id: ch4, stale_after_s: 4, unit: "%LEL", range: [0, 100], options: {address: 0, type: float32}}]
rules: [{id: gas, type: threshold, channels: [gd.ch4], options: {low: 10, high: 25, deadband: 1}}]
tests: [TEST]
"""


def write(folder: Path, **test: Any) -> Path:
    path = folder / "site.yaml"
    path.write_text(SITE.replace("TEST", json.dumps({"id": "t", **test})), encoding="utf-8")
    return path


def outcome(folder: Path, readings: str, expect: list[dict[str, Any]], **more: Any) -> trial.Outcome:
    site = load_site(write(folder, readings={"gd.ch4": readings}, expect=expect, **more))
    return trial.run(site, site.file.tests[0])


def failures(found: trial.Outcome) -> list[str]:
    return [failure.what for failure in found.failures]


def test_what_is_so_passes(tmp_path: Path):
    found = outcome(
        tmp_path,
        "2x10 12x5 30x5 2x5",
        [
            {"at_s": 9, "alarms": {}},
            {"at_s": 10, "alarms": {"gas": {"level": "low", "state": "unacked"}}},
            {"at_s": 14.5, "alarms": {"gas": {"level": "low", "state": "acked"}}},
            {"between_s": [15, 15], "alarm": "gas", "becomes": "high"},
            {"at_s": 99, "alarms": {"gas": {"level": "high", "state": "latched_unacked"}}},
        ],
        acts=[{"at_s": 12, "verb": "acknowledge", "alarm": "gas"}],
    )
    assert failures(found) == []
    assert found.passed
    assert found.readings == 25


def test_an_alarm_that_nobody_named_is_a_failure_and_so_is_one_that_does_not_come(tmp_path: Path):
    found = outcome(tmp_path, "2x3 30", [{"at_s": 3, "alarms": {}}, {"at_s": 2, "alarms": {"gas": "high"}}])
    assert failures(found) == ["gas must be normal, and is high (unacked)", "gas must be high, and is normal"]
    assert found.failures[0].hint.startswith("at 3 s: raised, CH4 at 30 %LEL reached HIGH limit 25")


def test_a_change_too_early_too_late_or_never_is_a_failure(tmp_path: Path):
    found = outcome(
        tmp_path,
        "2x5 12x10",
        [
            {"between_s": [6, 9], "alarm": "gas", "becomes": "low"},
            {"between_s": [0, 4], "alarm": "gas", "becomes": "low"},
            {"between_s": [0, 40], "alarm": "gas", "becomes": "high"},
            {"between_s": [5, 5], "alarm": "gas", "becomes": "low"},
        ],
    )
    assert [failure.expectation for failure in found.failures] == [0, 1, 2]
    assert failures(found)[0] == "gas must become low between 6 and 9 s, and did at 5 s"
    assert failures(found)[2] == "gas must become high between 0 and 40 s, and never did"


def test_silence_for_too_long_is_comms_lost_and_a_single_missing_reading_is_not(tmp_path: Path):
    found = outcome(
        tmp_path,
        "2x5 _x4 2x5 _x20",
        [
            {"at_s": 13, "alarms": {}},
            # The last reading comes at 13 s; from 18 s on it is older than 4 s, and 5 s later the fault is told.
            {"between_s": [23, 23], "alarm": "fault:gd.ch4", "becomes": "fault"},
            {"at_s": 40, "alarms": {"fault:gd.ch4": "fault"}},
        ],
    )
    assert failures(found) == []
    assert any("comms lost" in event.why for _, event in found.events)


def test_a_refused_act_is_a_failure(tmp_path: Path):
    found = outcome(tmp_path, "2x5", [{"at_s": 4, "alarms": {}}], acts=[{"at_s": 1, "verb": "reset", "alarm": "gas"}])
    assert len(found.failures) == 1
    assert "reset was refused" in found.failures[0].what


def test_the_same_test_gives_the_same_events(tmp_path: Path):
    one, two = (outcome(tmp_path, "9~1x200 24~1x50", [{"at_s": 0, "alarms": {}}]) for _ in range(2))
    assert one.events == two.events
    assert one.events


@pytest.mark.parametrize(("level", "code"), [("low", 0), ("high", 1)])
def test_the_command_ends_with_1_where_a_test_fails(tmp_path: Path, level: str, code: int):
    path = write(tmp_path, readings={"gd.ch4": "2x3 12x3"}, expect=[{"at_s": 5, "alarms": {"gas": level}}])
    ran = CliRunner().invoke(command, [str(path), "--events"])
    assert ran.exit_code == code
    assert ("1 passed, 0 failed" if code == 0 else "0 passed, 1 failed") in ran.output
    assert "CH4 at 12 %LEL reached LOW limit 10" in ran.output
    as_json = CliRunner().invoke(command, [str(path), "--json", "t"])
    assert as_json.exit_code == code
    assert json.loads(as_json.stdout)["tests"][0]["passed"] is (code == 0)


def test_a_test_that_does_not_exist_is_a_usage_error(tmp_path: Path):
    path = write(tmp_path, readings={"gd.ch4": "2"}, expect=[{"at_s": 5, "alarms": {}}])
    ran = CliRunner().invoke(command, [str(path), "other"])
    assert ran.exit_code == 2
    assert "there is no test 'other'; there are t" in ran.output


def test_a_site_without_tests_says_how_to_write_them(tmp_path: Path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("tests: [TEST]\n", ""), encoding="utf-8")
    ran = CliRunner().invoke(command, [str(path)])
    assert ran.exit_code == 0
    assert "docs/how-to/test-the-rules.md" in ran.output


def test_the_sites_own_logic_has_its_part_in_a_test(tmp_path: Path):
    test = """
  - id: no-draught-while-the-burner-is-off
    readings: {plc.burner: 1x3 0x5 1x3, plc.draught: 9x4 2x20}
    acts: [{at_s: 9, verb: out-of-service, alarm: "draught"}]
    expect:
      - {at_s: 2, alarms: {}}
      - {at_s: 6, alarms: {draught: {level: normal, state: suppressed}}}
      - {at_s: 8, alarms: {draught: {level: low, state: unacked}}}
      - {at_s: 10, alarms: {draught: {level: low, state: out_of_service}}}
"""
    path = tmp_path / "site.yaml"
    path.write_text(
        """
site: {id: plant}
connections: [{id: c, type: modbus, options: {endpoint: "tcp://127.0.0.1:502"}}]
instruments:
  - id: plc
    connection: c
    channels:
      - {id: burner, quantity: status, options: {address: 0}}
      - {id: draught, quantity: pressure, options: {address: 1}}
rules:
  - {id: draught, type: threshold, channels: [plc.draught], options: {side: below, low: 5}}
suppressions:
  - {id: burner-off, alarms: [draught], channel: plc.burner, below: 1, why: No draught.}
tests:"""
        + test
    )
    site = load_site(path)
    assert trial.run(site, site.file.tests[0]).failures == ()
