"""What the commissioning commands refuse before they ask anything, and what they print."""

import asyncio
import io
import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from gateway.cli import asking, check, guess, main, ports, profiles, read, scan
from gateway.cli.read import register_table
from gateway.core.commissioning import Found, LineSettings, NoAnswerError, Words

COMMANDS = {"scan": scan.command, "read": read.command, "guess": guess.command, "ports": ports.command}


def hazgate(*words: str) -> Result:
    return CliRunner().invoke(COMMANDS[words[0]], words[1:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("guess", "tcp://127.0.0.1", "--value", "17.2", "--unit", "3"), "--id 3"),
        (("guess", "tcp://127.0.0.1", "--value", "hot"), "17.2"),
        (("guess", "tcp://127.0.0.1", "--value", "1", "--value", "2"), "--keep"),
        (("scan", "tcp://192.168.1.0/24"), "network"),
        (("scan", "http://x"), "tcp://host:port"),
        (("scan", "tcp://127.0.0.1", "--units", "1-999"), "unit addresses"),
        (("scan", "tcp://127.0.0.1", "--parity", "X"), "allowed: N, E, O"),
        (("scan", "tcp://127.0.0.1", "--baud", "fast"), "9600,19200"),
        (("read",), "--site"),
        (("read", "tcp://127.0.0.1", "--address", "65535", "--count", "2"), "65535"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_hint(words: tuple[str, ...], said: str) -> None:
    ended = hazgate(*words)
    assert ended.exit_code == 2
    assert said in ended.output.replace("\n", " ")


@pytest.mark.parametrize("text", [json.dumps({"place": "unit 9", "samples": {}}), "no json", "[]"])
def test_a_file_of_another_question_is_not_mixed_in(tmp_path: Path, text: str) -> None:
    keep = tmp_path / "seen.json"
    keep.write_text(text)
    ended = hazgate("guess", "tcp://127.0.0.1", "--value", "1", "--keep", str(keep))
    assert ended.exit_code == 2
    assert keep.read_text() == text


def test_a_connection_that_the_site_has_not_is_refused_with_those_it_has(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "site: {id: s}\nconnections: [{id: net, type: modbus, options: {endpoint: 'tcp://127.0.0.1'}}]\n"
        "instruments: [{id: t, connection: net, profile: xy-md02, options: {unit: 2}}]\n"
    )
    ended = hazgate("read", "--site", str(site), "--connection", "nix")
    assert ended.exit_code == 2
    assert "net" in ended.output


def test_a_line_that_cannot_keep_its_periods_is_warned_of(tmp_path: Path) -> None:
    channels = ", ".join(f"{{id: c{i}, options: {{address: {i * 200}}}}}" for i in range(20))
    site = tmp_path / "site.yaml"
    site.write_text(
        "site: {id: s}\nconnections: [{id: l, type: modbus, options: {endpoint: 'rtu:///no/port', baud: 1200}}]\n"
        f"instruments: [{{id: a, connection: l, period_s: 1, channels: [{channels}]}}]\n"
    )
    ended = CliRunner().invoke(check.command, [str(site), "--json"])
    assert ended.exit_code == 0
    told = [warning["what"] for warning in json.loads(ended.output)["warnings"]]
    assert told[0] == "/no/port is not there now"
    assert "of the line's time" in told[1]


def test_ports_are_told_as_json_and_a_machine_without_any_ends_with_one(tmp_path: Path) -> None:
    assert json.loads(hazgate("ports", "--root", str(tmp_path), "--json").output) == {"ports": []}
    ended = hazgate("ports", "--root", str(tmp_path))
    assert ended.exit_code == 1
    assert "no serial port" in ended.output
    assert "--port" in hazgate("ports", "--root", str(tmp_path), "--udev", "line1").output


def drawn(table: object, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(table)
    return stream.getvalue().splitlines()


def test_registers_fit_a_terminal_of_80_columns_and_refused_ones_are_told() -> None:
    words = Words("holding", 65530, (0xFFFF, 0xC2F7, 0x8000, None, 1, 2), {65533: 2})
    lines = drawn(register_table(words, None, ["float32"]), 200)
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert any("refused" in line and "0x02" in line for line in lines)
    assert len(lines) == 2 + 6


def test_a_register_that_changed_is_marked() -> None:
    now, before = Words("holding", 0, (5, 7)), Words("holding", 0, (5, 6))
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=True, color_system="standard").print(
        register_table(now, before, ["float32"])
    )
    same, changed = stream.getvalue().splitlines()[-2:]
    assert "\x1b[1;7m" in changed
    assert "\x1b[1;7m" not in same


def test_a_find_is_described_as_far_as_it_is_sure() -> None:
    line = LineSettings(4800, "E")
    assert scan.describe(Found("rtu:///a", 3, line, profiles=("x",), sure=True)) == "rtu:///a 4800 8E1 unit 3: x"
    assert scan.describe(Found("tcp://a", 3, profiles=("x",))).endswith("perhaps x")
    assert scan.describe(Found("tcp://a", 3)).endswith("not recognised")


class StillBus:
    """An instrument whose registers hold 209, and nothing else."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, unit: int, table: str, address: int, count: int) -> Words:
        assert unit == 1
        return Words(table, address, (209,) * count)


def test_ctrl_c_at_a_prompt_of_guess_ends_it_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[object] = []

    def interrupted(*_: object, **__: object) -> str:
        loops.append(asyncio._get_running_loop())
        raise click.Abort

    monkeypatch.setattr(click, "prompt", interrupted)
    question = guess.Question(StillBus(), 1, ("holding",), 0, 2, "%VOL", None)  # type: ignore[arg-type]  # its reads only
    with asyncio.Runner() as runner:
        guess._guess(question, ["20.9"], runner.run, asks=True)
    assert loops == [None], "a running loop would keep Ctrl-C from the prompt"
    assert question.best is not None


def test_what_is_piped_has_no_spaces_at_the_ends_of_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    profiles.command(["xy-md02"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert lines == [line.rstrip() for line in lines]


TWO_HEADS = """\
site: {id: s}
connections: [{id: net, type: modbus, options: {endpoint: "tcp://127.0.0.1:1"}}]
instruments:
  - {id: gd-01, connection: net, profile: honeywell-xcd, options: {unit: 1}}
  - {id: gd-02, connection: net, profile: honeywell-xcd, options: {unit: 2}}
"""


def test_doubts_are_told_by_instrument_and_the_verdict_comes_last(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(TWO_HEADS, encoding="utf-8")
    lines = CliRunner().invoke(check.command, [str(site)]).output.splitlines()
    assert [line for line in lines if line.startswith("!")] == ["! gd-01, gd-02 (honeywell-sensepoint-xcd-rfd)"]
    assert any(line.startswith("    word order: ") for line in lines)
    assert "no mistakes; 1 connection, 2 instruments" in " ".join(lines[-3:])
    assert lines[-1].startswith("to look at: ")


def test_a_rule_of_several_channels_says_which_it_judges_together(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    vote = "{id: two, type: vote, channels: ['gd-*.gas'], options: {high: 20, votes: 2}}"
    units = TWO_HEADS.replace("options: {unit", "channels: [{id: gas, quantity: ch4, unit: '%LEL'}], options: {unit")
    site.write_text(f"{units}rules: [{vote}]\n", encoding="utf-8")
    output = CliRunner().invoke(check.command, [str(site)]).output
    assert "two  vote  judges together gd-01.gas, gd-02.gas" in output
    # One rule is written; its alarm stands beside the fault supervision that every channel gets.
    counts = json.loads(CliRunner().invoke(check.command, [str(site), "--json"]).stdout)
    assert (counts["rules"], counts["alarms"], counts["tests"]) == (1, 1 + counts["channels_total"], 0)


def test_mistakes_are_json_where_json_is_asked_for(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(TWO_HEADS.replace("unit: 2", "unit: x"), encoding="utf-8")
    ended = CliRunner().invoke(check.command, [str(site), "--json"])
    assert ended.exit_code != 0
    (mistake,) = json.loads(ended.stdout)["mistakes"]
    assert mistake.startswith("site.yaml:5:")


def test_neighbours_that_are_refused_share_one_row() -> None:
    words = Words("holding", 10, (1, None, None, None, 2), {11: 2, 12: 2, 13: 2})
    rows = [line.split() for line in drawn(register_table(words, None, ["float32"]), 80)[2:]]
    assert [row[0] for row in rows] == ["10", "11-13", "14"]
    assert rows[1] == ["11-13", "refused", "0x02"]


def test_silence_on_a_line_may_be_its_settings() -> None:
    error = NoAnswerError("rtu:///a unit 7", "no reply")
    assert "9600 8N1" in asking.silent(error, LineSettings())
    assert "run at" not in asking.silent(error, None)


def test_mistakes_are_folded_between_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "site.yaml:7:40: connections[2].options.endpoint: unknown key; allowed are clean_session, client_id, host"
    assert main._folded(line) == line
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    folded = main._folded(line)
    assert max(map(len, folded.splitlines())) <= 60
    assert " ".join(folded.split()) == line
