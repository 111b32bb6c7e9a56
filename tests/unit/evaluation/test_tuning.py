"""What a site's own past suggests, and how the site file's text is changed for it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.cli import tune
from gateway.core.clock import NS_PER_S, parse_rfc3339
from gateway.core.errors import ConfigError
from gateway.core.model import Batch
from gateway.disk import FolderLock
from gateway.evaluation.edit import Edit, edited
from gateway.evaluation.history import newest_ns, past
from gateway.evaluation.recording import RecordingError
from gateway.site.load import load_site
from gateway.store.history import History
from gateway.store.spool import Spool

SITE = """\
site: {id: plant, timezone: Asia/Shanghai}
connections: [{id: r, type: replay, options: {file: none.csv}}]
instruments:
  - id: gd-01        # over the burner
    connection: r
    area: boiler
    period_s: 50
    channels:
      - {id: ch4, unit: '%LEL', range: [0, 100], options: {column: a}}
      - {id: temperature, unit: °C, options: {column: b}}
rules:
  # Methane at the burner.
  - {id: gas, type: threshold, channels: ['*.ch4'], options: {low: 15, high: 50}}   # as agreed with the park
  - id: heat
    type: threshold
    channels: ['*.temperature']
    options:
      high: 60   # the boiler's own trip is at 70
"""
NOON = parse_rfc3339("2026-05-01T12:00:00+08:00")
CH4, TEMPERATURE = 0, 1


def data(folder: Path, ch4: np.ndarray, temperature: np.ndarray | None = None, every_s: float = 50.0) -> Path:
    """Write readings into a spool as a gateway does, and return the data folder."""
    spool = Spool.open(folder / "data" / "spool", ["gd-01.ch4", "gd-01.temperature"])
    try:
        time_ns = NOON + np.arange(len(ch4)) * round(every_s * NS_PER_S)
        warmth = np.full(len(ch4), 20.0) if temperature is None else temperature
        for start in range(0, len(ch4), 500):
            part = slice(start, start + 500)
            count = len(ch4[part])
            rows = np.tile([CH4, TEMPERATURE], count)
            values = np.column_stack([ch4[part], warmth[part]]).reshape(-1)
            spool.append(Batch.of(rows, np.repeat(time_ns[part], 2), values))
            spool.flush()
    finally:
        spool.close()
    return folder / "data"


def site(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def hazgate(path: Path, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(tune.command, [str(path), "--data", str(folder), *words])


def told(path: Path, folder: Path, *words: str) -> dict[str, dict]:
    ended = hazgate(path, folder, "--json", *words)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    return {one["rule"]: one for one in json.loads(ended.stdout)["rules"]}


def bumps(peaks: list[float], length: int = 400, wide: int = 2) -> np.ndarray:
    """Return readings of 1 with a plateau of each height, evenly spread."""
    values = np.ones(length)
    for k, peak in enumerate(peaks):
        at = (k + 1) * length // (len(peaks) + 1)
        values[at : at + wide] = peak
    return values


def test_a_calm_site_needs_no_change(tmp_path: Path) -> None:
    path = site(tmp_path)
    ended = hazgate(path, data(tmp_path, np.ones(400)))
    assert ended.exit_code == 0
    assert "nothing to change" in ended.stdout
    assert ended.stdout.count("as wished") == 2


def test_chatter_is_calmed_by_a_deadband_which_weakens_nothing(tmp_path: Path) -> None:
    values = np.ones(400)
    values[200:240] = np.tile([15.2, 14.8], 20)
    one = told(site(tmp_path), data(tmp_path, values), "--false-alarms-per-week", "50")["gas"]
    assert one["episodes"] == 20
    (change,) = one["changes"]
    assert (change["option"], change["before"], change["after"], change["weakens"]) == ("deadband", 0.0, 0.75, "")
    assert change["episodes"] == [20, 1]


def test_a_gas_alarm_is_weakened_only_in_plain_words_and_never_beyond_what_the_standard_allows(tmp_path: Path) -> None:
    peaks = [17.0, 17.0, 17.0, 90.0]
    one = told(site(tmp_path), data(tmp_path, bumps(peaks)), "--false-alarms-per-week", "31")["gas"]
    (change,) = one["changes"]
    # 20,000 s less the last reading's: 4 episodes are 121 a week, and one is 30.
    assert (change["option"], change["before"], change["after"], change["episodes"]) == ("low", 15.0, 18.8, [4, 1])
    assert change["weakens"] == "WEAKENS a gas or fire alarm: nothing is raised any more below low 18.8 %LEL"
    impossible = told(site(tmp_path), tmp_path / "data", "--false-alarms-per-week", "1")["gas"]
    for change in impossible["changes"]:
        assert change["option"] not in ("low", "high") or change["after"] <= {"low": 25, "high": 50}[change["option"]]
    assert "no change of this rule reaches the wished rate" in impossible["remark"]


def test_spikes_are_waited_out_where_that_is_enough(tmp_path: Path) -> None:
    one = told(site(tmp_path), data(tmp_path, np.ones(400), 20.0 + bumps([80.0] * 4, 400, 1), every_s=2.0))["heat"]
    assert one["episodes"] == 4
    (change,) = one["changes"]
    assert (change["option"], change["after"], change["episodes"]) == ("on_delay_s", 2.0, [4, 0])
    assert change["weakens"] == "WEAKENS a limit alarm: it is raised 2 s later"


def test_what_is_excepted_counts_for_nothing(tmp_path: Path) -> None:
    path, folder = site(tmp_path), data(tmp_path, bumps([40.0]))
    assert told(path, folder)["gas"]["episodes"] == 1
    # The only bump is at 10,000 s: two hours and 46 minutes after noon, Shanghai time.
    during = told(path, folder, "--except", "2026-05-01T14:40/2026-05-01T14:50")["gas"]
    assert (during["episodes"], during["changes"]) == (0, [])


def test_nothing_is_written_unless_asked_and_then_only_what_was_shown(tmp_path: Path) -> None:
    path, folder = site(tmp_path), data(tmp_path, bumps([17.0, 17.0, 17.0, 90.0]))
    words = ("--false-alarms-per-week", "31")
    shown = hazgate(path, folder, *words)
    assert path.read_text() == SITE
    assert "-  - {id: gas, type: threshold, channels: ['*.ch4'], options: {low: 15, high: 50}}" in shown.stdout
    refused = hazgate(path, folder, *words, "--write")
    assert (path.read_text(), refused.exit_code) == (SITE, 0), "it weakens a gas alarm, and nobody said to"
    assert "not written: 1 that weakens an alarm" in refused.stderr
    assert hazgate(path, folder, *words, "--write", "--weaken").exit_code == 0
    assert path.read_text() == SITE.replace("low: 15", "low: 18.8")
    assert load_site(path).rules[0].options.low == 18.8  # type: ignore[attr-defined]
    assert [file.name for file in tmp_path.iterdir() if "tuned" in file.name] == []


@pytest.mark.parametrize(
    ("text", "edit", "expected"),
    [
        ("rules:\n  - {id: a, options: {low: 5}}  # why\n", Edit(0, "low", 7.5), "{low: 7.5}}  # why"),
        ("rules:\n  - {id: a, options: {low: 5, high: 9}}\n", Edit(0, "hold_s", 3), "{low: 5, hold_s: 3, high: 9}"),
        ("rules:\n  - {id: a}\n", Edit(0, "low", 1), "{options: {low: 1}, id: a}"),
        ("rules:\n  - id: a\n    type: x\n", Edit(0, "low", 1), "  - id: a\n    options: {low: 1}\n    type: x\n"),
        ("rules:\n  - id: a\n    options:\n      low: 5  # low\n", Edit(0, "high", 9), "high: 9\n      low: 5  # low"),
        ("rules:\n  - id: a\n    options: {}\n", Edit(0, "low", 1), "options: {low: 1}\n"),
        ("# head\nrules:\n- id: a\n  options:\n    low: 5   # unit: °C\n- {id: b, options: {low: 2}}\n",
         Edit(1, "low", 3), "# unit: °C\n- {id: b, options: {low: 3}}"),
    ],
)  # fmt: skip
def test_only_the_option_changes_in_the_text(text: str, edit: Edit, expected: str) -> None:
    after = edited(text, [edit])
    assert expected in after
    assert [line for line in text.splitlines() if "#" in line and line not in after.splitlines()] in (
        [], [line for line in text.splitlines() if "# why" in line]
    )  # fmt: skip


def test_a_text_that_cannot_be_changed_safely_is_left_to_a_person() -> None:
    with pytest.raises(ConfigError, match="by hand"):
        edited("rules:\n  - {id: a, options: &same {low: 5}}\n  - {id: b, options: *same}\n", [Edit(1, "low", 6)])


def test_the_past_is_read_while_a_gateway_writes_and_without_changing_a_byte(tmp_path: Path) -> None:
    folder = data(tmp_path, np.arange(600.0), every_s=10.0)
    loaded = load_site(site(tmp_path))
    before = {path: path.read_bytes() for path in (folder / "spool").iterdir()}
    lock = FolderLock(folder)
    try:
        found = past(folder, loaded.channels, NOON, NOON + 600 * 10 * NS_PER_S)
    finally:
        lock.release()
    assert found.recording.of(0)[1].tolist() == np.arange(600.0).tolist()
    assert {path: path.read_bytes() for path in (folder / "spool").iterdir()} == before
    assert newest_ns(folder) == NOON + 599 * 10 * NS_PER_S


def test_before_the_spool_begins_the_minutes_of_the_history_serve(tmp_path: Path) -> None:
    folder = data(tmp_path, np.full(60, 5.0), every_s=10.0)
    earlier = NOON - 3600 * NS_PER_S
    history = History.open(folder / "history.db", ["gd-01.ch4"])
    try:
        for second in range(0, 600, 10):
            value = 30.0 if second == 300 else 1.0
            history.add(Batch.of([0], earlier + second * NS_PER_S, [value]))
        history.flush(earlier + 3600 * NS_PER_S)
    finally:
        history.close()
    loaded = load_site(site(tmp_path))
    found = past(folder, loaded.channels, earlier, NOON + 600 * NS_PER_S)
    times, values = found.recording.of(0)
    old = times < NOON
    assert old.sum() == 20, "two readings for each of ten minutes"
    assert values[old].max() == 30.0
    assert any("only the least and the greatest" in remark for remark in found.remarks)
    lock = FolderLock(folder)
    try:
        without = past(folder, loaded.channels, earlier, NOON + 600 * NS_PER_S)
    finally:
        lock.release()
    assert (without.recording.time_ns >= NOON).all()
    assert any("a gateway is running" in remark for remark in without.remarks)


def test_one_bad_instrument_among_many_is_named_in_place_of_a_looser_rule(tmp_path: Path) -> None:
    names = [f"gd-{k:02}" for k in range(5)]
    heads = "".join(
        f"  - {{id: {n}, connection: r, channels: [{{id: ch4, unit: '%LEL', options: {{column: a}}}}]}}\n"
        for n in names
    )
    text = (
        "site: {id: plant}\nconnections: [{id: r, type: replay, options: {file: none.csv}}]\n"
        f"instruments:\n{heads}rules:\n  - {{id: gas, type: threshold, channels: ['*.ch4'], options: {{low: 15}}}}\n"
    )
    spool = Spool.open(tmp_path / "data" / "spool", [f"{n}.ch4" for n in names])
    try:
        columns = np.ones((200, 5))
        columns[::20, 3] = 20.0
        times = np.repeat(NOON + np.arange(200) * NS_PER_S, 5)
        spool.append(Batch.of(np.tile(np.arange(5), 200), times, columns.reshape(-1)))
        spool.flush()
    finally:
        spool.close()
    one = told(site(tmp_path, text), tmp_path / "data")["gas"]
    assert (one["episodes"], one["changes"]) == (10, [])
    assert one["remark"] == "10 of its 10 episodes are of gd-03.ch4: look at that instrument first"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "yesterday"), "is no time"),
        (("--from", "2026-06-01"), "is not before"),
        (("--except", "2026-05-01"), "is no TIME/TIME"),
        (("--rule", "gass"), "there is no rule 'gass'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    ended = hazgate(site(tmp_path), data(tmp_path, np.ones(10)), *words)
    assert ended.exit_code == 2
    assert said in ended.output


def test_a_folder_without_readings_is_told(tmp_path: Path) -> None:
    ended = hazgate(site(tmp_path), tmp_path)
    assert isinstance(ended.exception, RecordingError)


def test_what_weakens_nothing_is_written_without_more_ado(tmp_path: Path) -> None:
    values = np.ones(400)
    values[200:240] = np.tile([15.2, 14.8], 20)
    path, folder = site(tmp_path), data(tmp_path, values)
    ended = hazgate(path, folder, "--false-alarms-per-week", "50", "--write")
    assert "wrote" in ended.stderr
    assert path.read_text() == SITE.replace("low: 15, high: 50", "low: 15, deadband: 0.75, high: 50")


def test_a_short_calm_past_is_no_reason_to_make_a_warning_sharper(tmp_path: Path) -> None:
    rule = "  - {id: odd, type: deviation, channels: ['*.ch4'], options: {learn_s: 3600, limit: 20}}\n"
    path = site(tmp_path, SITE + rule)
    folder = data(tmp_path, np.random.default_rng(1).normal(5.0, 0.1, 400))
    words = ("--rule", "odd", "--false-alarms-per-week")
    assert "limit:" not in hazgate(path, folder, *words, "1").output
    assert "limit: 20" in hazgate(path, folder, *words, "200").output
