"""The duty of calibration through a whole gateway: the alarm, the record, the API, the restart, a changed site file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import App
from gateway.calibration import CalibrationReport
from gateway.core.alarm import EventKind
from gateway.core.errors import CommandRefusedError
from tests.integration.whole_gateway import life, until

ALARM = "system/calibration/gd-01"
BUMP_ALARM = "system/bump-test/gd-01"
READINGS = "time,gd-01.ch4\n2026-01-01T00:00:00Z,1.0\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "readings.csv").write_text(READINGS)
    path = tmp_path / "site.yaml"
    write(path, {"bump_every_days": 30, "every_days": 180, "expected": 50, "gas": "CH4 50 %LEL"})
    return path


def write(path: Path, calibration: dict[str, Any] | None) -> None:
    head: dict[str, Any] = {
        "id": "gd-01",
        "connection": "tape",
        "area": "boiler",
        "channels": [{"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": {"column": "gd-01.ch4"}}],
        "checklist": [
            {"id": "filter", "text": "Filter clean?", "text_zh": "滤网清洁？"},
            {"id": "lamp", "text": "Green?"},
        ],
    }
    if calibration is not None:
        head["calibration"] = calibration
    tape = {"id": "tape", "type": "replay", "options": {"file": "readings.csv"}}
    site = {"site": {"id": "s", "timezone": "Asia/Shanghai"}, "connections": [tape], "instruments": [head]}
    path.write_text(json.dumps({**site, "api": {"bind": "127.0.0.1:0", "local_operator": True}}))


def raised(app: App, name: str = ALARM) -> bool:
    alarm = app.book.alarm(name)
    return alarm is not None and alarm.event.condition != "normal"


async def test_what_is_owed_is_a_fault_until_it_is_done_and_stays_done(site: Path) -> None:
    async with life(site) as app:
        await until(lambda: raised(app))
        alarm = app.book.alarm(ALARM)
        assert alarm is not None
        assert (alarm.event.level, alarm.event.area) == ("fault", "boiler")
        assert alarm.event.why_zh == "gd-01：无标定记录"
        assert raised(app, BUMP_ALARM)
        await app.calibrations.tested(CalibrationReport("gd-01", "bump", "Wang", 48.0))
        assert raised(app)
        assert not raised(app, BUMP_ALARM)
        event = await app.calibrations.tested(CalibrationReport("gd-01", "calibration", "Wang", 50.0, note="new cell"))
        assert not raised(app)
        assert event.calibration is not None
        assert (event.calibration.passed, event.calibration.due_ns) == (True, event.time_ns + 180 * 86_400 * 10**9)
    async with life(site) as app:
        await app.recorder.committed(app.book.next_seq - 1)
        assert not raised(app)
        assert [one.state for one in (app.calibrations.status_of("gd-01").bump,)] == ["ok"]
        assert len(await app.events(0, 10, kind=EventKind.CALIBRATED)) == 2


async def test_an_alarm_that_stands_over_a_restart_is_the_same_occurrence(site: Path) -> None:
    async with life(site) as app:
        await until(lambda: raised(app))
    async with life(site) as app:
        alarm = app.book.alarm(ALARM)
        assert alarm is not None
        assert (alarm.event.condition, alarm.event.occurrence) == ("fault", 1)


async def test_a_failed_test_is_a_fault_and_nobody_may_call_it_passed(site: Path) -> None:
    write(site, None)
    async with life(site) as app:
        await app.calibrations.tested(CalibrationReport("gd-01", "bump", "Wang", passed=False))
        assert raised(app, BUMP_ALARM)
        await app.calibrations.tested(CalibrationReport("gd-01", "bump", "Wang", passed=True))
        assert not raised(app, BUMP_ALARM)
        with pytest.raises(CommandRefusedError, match="no instrument named"):
            await app.calibrations.tested(CalibrationReport("gd-99", "bump", "Wang", passed=True))


async def test_a_changed_site_file_changes_what_is_owed(site: Path) -> None:
    write(site, None)
    async with life(site) as app:
        assert not raised(app)
        write(site, {"every_days": 10})
        assert (await app.reload("Li")).applied
        app.calibrations.look()
        assert raised(app)
        write(site, None)
        assert (await app.reload("Li")).applied
        app.calibrations.look()
        assert not raised(app)


async def test_people_see_and_record_it_over_the_api(site: Path) -> None:
    async with life(site) as app:
        await until(lambda: bool(app.port))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}/api/v1") as http:
            (one,) = (await http.get("/calibrations")).json()["calibrations"]
            assert (one["instrument"], one["bump"]["state"], one["expected"]) == ("gd-01", "overdue", 50.0)
            detail = (await http.get("/instruments/gd-01")).json()
            assert detail["channels"] == ["gd-01.ch4"]
            assert [line["id"] for line in detail["checklist"]] == ["filter", "lamp"]
            assert (await http.get("/instruments/gd-99")).status_code == 404
            bad = await http.post("/instruments/gd-01/calibrated", json={"kind": "bump", "shown": 31, "passed": True})
            assert bad.status_code == 409
            done = await http.post("/instruments/gd-01/calibrated", json={"kind": "bump", "shown": 31})
            assert done.json()["event"]["calibration"]["passed"] is False
            told = await http.post("/instruments/gd-01/checks", json={"done": ["lamp"], "note": "dusty"})
            assert told.json()["event"]["why"] == "checklist: 1 of 2 in order; not: Filter clean?. dusty"
            assert told.json()["event"]["why_zh"] == "点检：2 项中 1 项正常；异常：滤网清洁？。dusty"
            assert (await http.post("/instruments/gd-01/checks", json={"done": ["door"]})).status_code == 409
