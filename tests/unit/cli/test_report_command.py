"""`hazgate report`: from a data folder alone, in two languages, and in plain words where it cannot be made."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.report import command
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.clock import parse_rfc3339
from gateway.core.errors import HazgateError
from gateway.reports.place import Named, Place, keep_place, read_place
from gateway.store.journal import Journal

PLACE = Place(id="demo", name=Named("Gas workshop", "燃气车间"), timezone="Asia/Shanghai")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    journal = Journal.open(data / "journal.db", "gw-1")
    raised = AlarmEvent(
        seq=1, time_ns=parse_rfc3339("2026-10-31T23:30:00+08:00"), kind=EventKind.RAISED, alarm="gas:gd-1.ch4",
        state=AlarmState.UNACKED, level="high", condition="high", priority=1, occurrence=1, annunciate=True, sounded=1,
        raised_ns=parse_rfc3339("2026-10-31T23:30:00+08:00"), why="CH4 at 38 %LEL", why_zh="甲烷 38 %LEL",
    )  # fmt: skip
    journal.append([raised])
    journal.close()
    keep_place(data, PLACE)
    return data


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command, [str(word) for word in words])


@pytest.mark.parametrize(
    ("kind", "date", "raised"),
    [("daily", "2026-10-31", 1), ("daily", "2026-11-01", 0), ("monthly", "2026-10", 1), ("monthly", "2026-11", 0)],
)
def test_a_day_ends_at_midnight_on_the_site(folder: Path, kind: str, date: str, raised: int) -> None:
    page = folder / "page.html"
    done = run(kind, "--data", folder, "--date", date, "--html", page, "--lang", "en")
    assert done.exit_code == 0, done.output
    assert "Gas workshop" in page.read_text("utf-8")
    assert f"Alarms raised</span><b>{raised}</b>" in page.read_text("utf-8")


def test_what_is_open_stands_in_the_draft_of_a_gateway_that_does_not_run(folder: Path) -> None:
    page = folder / "page.html"
    assert run("handover", "--data", folder, "--html", page).exit_code == 0
    for words in ("交接班报告 · 草稿", "燃气车间", "gas:gd-1.ch4", "甲烷 38 %LEL"):
        assert words in page.read_text("utf-8")


def test_what_cannot_be_reported_is_said(folder: Path, tmp_path: Path) -> None:
    assert run("daily", "--data", folder).exit_code == 2
    assert run("daily", "--pdf", tmp_path / "x.pdf").exit_code == 2
    assert run("yearly", "--data", folder, "--html", tmp_path / "x").exit_code == 2
    assert "holds no journal.db" in run("daily", "--data", tmp_path, "--html", tmp_path / "x").output
    for words, problem in (
        (("daily", "--date", "31.10.2026"), "is no day"),
        (("handover", "--id", "none"), "there is no handover 'none'"),
    ):
        refused = run(*words, "--data", folder, "--html", tmp_path / "x")
        assert isinstance(refused.exception, HazgateError)
        assert problem in str(refused.exception)
    assert not (tmp_path / "x").exists()


def test_a_folder_without_names_is_reported_in_utc(folder: Path) -> None:
    assert read_place(folder) == PLACE
    (folder / "handovers" / "site.json").write_text("{")
    assert read_place(folder) == Place()
    assert run("daily", "--data", folder, "--date", "2026-10-31", "--html", folder / "x", "--lang", "en").exit_code == 0
    assert "Alarms raised</span><b>1</b>" in (folder / "x").read_text("utf-8")
