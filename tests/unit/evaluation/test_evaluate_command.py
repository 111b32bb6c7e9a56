"""`hazgate evaluate` as people and programs call it."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import asking, evaluate
from gateway.core.errors import HazgateError, SiteFileError

RULES = "rules:\n  - {id: gas, type: threshold, channels: ['*'], options: {low: 10}}\n"
TABLE = "time,gd-01.ch4,label\n" + "".join(
    f"{k},{20 if 60 <= k < 70 or k == 100 else 0},{int(55 <= k < 75)}\n" for k in range(200)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(TABLE)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "later.yaml").write_text(RULES.replace("low: 10", "low: 30"))
    return tmp_path


def hazgate(*words: str | Path) -> Result:
    return CliRunner().invoke(evaluate.command, [str(word) for word in words])


def test_a_program_gets_every_figure_as_json(folder: Path) -> None:
    ended = hazgate(folder / "a.csv", "--rules", folder / "rules.yaml", "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    (result,) = told["results"]
    assert (told["recordings"], told["readings"], told["rules"]) == (1, 200, "rules.yaml")
    assert (result["found"], result["missed"], result["false"], result["delay_median_s"]) == (1, 0, 1, 5.0)
    assert result["clean_weeks"] == pytest.approx(179 / 604_800)
    assert result["f1"] == pytest.approx(20 / 31)
    assert result["nab"]["best"] == {}
    assert result["failed"] == []


def test_a_person_gets_a_table(folder: Path) -> None:
    ended = hazgate(folder / "a.csv", "--rules", folder / "rules.yaml")
    head, row, total = ended.stdout.splitlines()
    assert head.split()[:6] == ["rule", "detector", "found", "delay", "p90", "false"]
    assert row.split()[:5] == ["gas", "threshold", "1/1", "5", "s"]
    assert total == "rules.yaml: 1 recording, 200 readings"


def test_lead_and_grace_come_from_the_command_line_too(folder: Path) -> None:
    ended = hazgate(folder / "a.csv", "--rules", folder / "rules.yaml", "--grace", "30", "--json")
    told = json.loads(ended.stdout)
    assert (told["grace_s"], told["results"][0]["false"]) == (30.0, 0)


def test_two_sets_of_rules_stand_side_by_side(folder: Path) -> None:
    words = (folder / "a.csv", "--rules", folder / "rules.yaml", "--compare", folder / "later.yaml")
    told = json.loads(hazgate(*words, "--json").stdout)
    assert (told["first"], told["second"], told["rules"][0]["differences"]["found"]) == ("rules.yaml", "later.yaml", -1)
    assert "missed by later.yaml alone: a.csv anomaly" in hazgate(*words).stdout


def test_a_sweep_is_a_line_a_value(folder: Path) -> None:
    words = (folder / "a.csv", "--rules", folder / "rules.yaml", "--sweep", "low=10:30:3")
    told = json.loads(hazgate(*words, "--json").stdout)
    assert [(s["value"], s["found"]) for s in told["steps"]] == [(10.0, 1), (20.0, 1), (30.0, 0)]
    assert len(hazgate(*words).stdout.splitlines()) == 4


def test_the_report_is_one_page_with_a_chart_of_each_recording(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    page = folder / "r.html"
    assert hazgate(folder / "a.csv", "--rules", folder / "rules.yaml", "--report", page).exit_code == 0
    text = page.read_text()
    assert text.count("<svg") == 1
    assert "prefers-color-scheme: dark" in text
    assert "false low of gas:gd-01.ch4 in a.csv" in text
    assert "<td>1/1</td>" in text
    assert "http" not in text.replace("http://www.w3.org/", ""), "it needs nothing from elsewhere"


def test_names_in_a_report_are_neither_formulas_nor_markup(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    odd, page = folder / "<img src=x>$\\frac{$.csv", folder / "r.html"
    odd.write_text(TABLE.replace("gd-01.ch4", "<script>alert(1)</script>"))
    for report in (page, folder / "r.png"):
        ended = hazgate(odd, "--rules", folder / "rules.yaml", "--report", report)
        assert ended.exit_code == 0, ended.output
    text = page.read_text()
    assert "&lt;img src=x&gt;$\\frac{$.csv" in text
    assert "<script" not in text
    assert "<img" not in text


def test_a_report_may_be_a_picture(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    for name, more in (("r.png", ()), ("s.png", ("--sweep", "low=10,30"))):
        assert (
            hazgate(folder / "a.csv", "--rules", folder / "rules.yaml", "--report", folder / name, *more).exit_code == 0
        )
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.csv",), "no rules are shipped for csv"),
        (("a.csv", "--rules", "rules.yaml", "--site", "x.yaml"), "either --rules or --site"),
        (("a.csv", "--rules", "rules.yaml", "--sweep", "low"), "--sweep"),
        (("a.csv", "--rules", "rules.yaml", "--sweep", "lwo=1,2"), "no rule has the option"),
        (("a.csv", "--rules", "rules.yaml", "--sweep", "low=1,x"), "not numbers|neither"),
        (("a.csv", "--rules", "rules.yaml", "--sweep", "low=1:5"), "three numbers"),
        (("a.csv", "--rules", "rules.yaml", "--sweep", "low=1,2", "--compare", "later.yaml"), "either --sweep or"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(folder)
    ended = hazgate(*words)
    assert ended.exit_code == 2
    assert any(part in ended.output for part in said.split("|"))


def test_what_is_broken_is_told_in_its_own_words(folder: Path) -> None:
    missing = hazgate(folder / "none.csv", "--rules", folder / "rules.yaml").exception
    assert isinstance(missing, HazgateError)
    assert "no such file" in str(missing)
    report = hazgate(folder / "a.csv", "--rules", folder / "rules.yaml", "--report", folder / "r.docx").exception
    assert ".html" in str(report)
    broken = folder / "broken.yaml"
    broken.write_text(RULES.replace("low: 10", "low: ten"))
    assert isinstance(hazgate(folder / "a.csv", "--rules", broken).exception, SiteFileError)


def test_a_sites_own_rules_and_channels_are_taken(folder: Path) -> None:
    (folder / "site.yaml").write_text(
        "site: {id: s}\n"
        "connections: [{id: r, type: replay, options: {file: a.csv}}]\n"
        "instruments:\n"
        "  - id: gd-01\n"
        "    connection: r\n"
        "    area: boiler\n"
        "    channels: [{id: ch4, unit: '%LEL', range: [0, 100], options: {column: gd-01.ch4}}]\n"
        "rules:\n  - {id: gas, type: threshold, channels: ['*.ch4'], options: {low: 10, high: 50}}\n"
    )
    told = json.loads(hazgate(folder / "a.csv", "--site", folder / "site.yaml", "--json").stdout)
    assert [(r["rule"], r["found"]) for r in told["results"]] == [("gas", 1)]


def test_recordings_of_one_name_are_told_apart(folder: Path) -> None:
    (folder / "b").mkdir()
    (folder / "b" / "a.csv").write_text(TABLE.replace(",20,", ",0,"))
    ended = hazgate(folder / "a.csv", folder / "b" / "a.csv", "--rules", folder / "rules.yaml", "--json")
    assert json.loads(ended.stdout)["results"][0]["found"] == 1
    assert json.loads(ended.stdout)["results"][0]["truths"] == 2


def test_a_narrow_terminal_gets_two_tables_and_no_figure_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (folder / "a.csv", "--rules", folder / "rules.yaml")
    told = json.loads(hazgate(*words, "--json").stdout)["results"][0]
    monkeypatch.setattr(asking, "PIPE_WIDTH", 80)
    narrow = hazgate(*words).output
    assert "…" not in narrow
    assert narrow.count("threshold") == 2
    assert {f"{told['f1']:.3f}", f"{told['false_per_week']:.2f}"} <= set(narrow.split())


def test_a_threshold_that_is_never_reached_is_null_in_json() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        asking.print_json({"threshold": float("inf"), "score": float("nan"), "found": 1})
    assert json.loads(printed.getvalue()) == {"threshold": None, "score": None, "found": 1}
