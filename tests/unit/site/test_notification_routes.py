"""The `notifications` of a site file: mistakes with their places, and whom a site does not reach."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import assembly
from gateway.commissioning.reach import unreached, unused
from gateway.core.clock import ManualClock
from gateway.core.errors import SiteFileError
from gateway.site.load import load_site
from gateway.site.plans import Site

NOTIFIERS = [
    {"id": "duty", "type": "wecom", "options": {"key": "robot"}},
    {"id": "mail", "type": "smtp", "options": {"host": "h", "sender": "a@b.example", "to": ["c@d.example"]}},
]


def loaded(folder: Path, notifications: dict[str, Any]) -> Site:
    (folder / "robot").write_text("key-of-the-robot")
    data = {
        "site": {"id": "one", "timezone": "Asia/Shanghai"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": "tcp://127.0.0.1:5020"}}],
        "instruments": [
            {"id": f"gd-{area}", "connection": "plc", "area": area, "options": {"unit": 1 + k},
             "channels": [{"id": "ch4", "unit": "%LEL", "options": {"table": "holding", "address": 0}}]}
            for k, area in enumerate(("hall", "tanks"))
        ],
        "rules": [{"id": "gas", "type": "threshold", "channels": ["*"], "latching": True,
                   "options": {"low": 10, "high": 25}}],
        "notifications": notifications,
        "secrets": {"robot": {"file": "robot"}},
    }  # fmt: skip
    path = folder / "site.yaml"
    path.write_text(json.dumps(data, indent=1))
    site = load_site(path)
    assembly.check_sinks(site, ManualClock())
    return site


@pytest.mark.parametrize(
    ("notifications", "problem"),
    [
        ({"routes": [{"to": ["nobody"]}]}, "notifications.routes[0].to[0]: no notifier is called 'nobody'"),
        (
            {"routes": [{"to": ["duty"], "areas": ["hal"]}]},
            "routes[0].areas[0]: no area is called 'hal'; there are hall",
        ),
        ({"routes": [{"to": ["duty"], "alarms": ["gaz:*"]}]}, "routes[0].alarms[0]: no alarm is called 'gaz:*'"),
        ({"routes": [{"to": ["duty"], "from": "08:00", "until": "08:00"}]}, "routes[0].until: from and until are both"),
        ({"routes": [{"to": ["duty"], "from": "08:00"}]}, "give both from and until"),
        ({"notifiers": [*NOTIFIERS, NOTIFIERS[0]]}, "notifiers[2].id: 'duty' is already the id"),
        (
            {"notifiers": [{"id": "x", "type": "pigeon"}]},
            "notifications.notifiers[0].type: there is no notifier 'pigeon'",
        ),
        ({"notifiers": [{"id": "x", "type": "wecom", "options": {}}]}, "notifications.notifiers[0].options.key"),
        (
            {"notifiers": [{"id": "x", "type": "wecom", "options": {"key": "absent"}}]},
            "notifications.notifiers[0].options.key: there is no secret 'absent'",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, notifications: dict[str, Any], problem: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        loaded(tmp_path, {"notifiers": NOTIFIERS, **notifications})
    assert problem in str(caught.value)
    assert "key-of-the-robot" not in str(caught.value)


def test_a_site_without_notifiers_promises_nothing(tmp_path: Path) -> None:
    site = loaded(tmp_path, {})
    assert (site.notifiers, unused(site), list(unreached(site))) == ((), [], [])


def test_a_notifier_that_no_route_leads_to_is_found(tmp_path: Path) -> None:
    assert unused(loaded(tmp_path, {"notifiers": NOTIFIERS, "routes": [{"to": ["duty"]}]})) == ["mail"]


def test_areas_and_hours_that_reach_nobody_are_found(tmp_path: Path) -> None:
    day = {"to": ["duty"], "areas": ["hall"], "from": "08:00", "until": "18:00"}
    found = {
        (one.area, one.priority): one for one in unreached(loaded(tmp_path, {"notifiers": NOTIFIERS, "routes": [day]}))
    }
    assert found["hall", 1].when == "mon 00:00"
    assert len(found["hall", 1].hours) == 14 * 7
    assert found["tanks", 1].when == "at any time"


def test_a_night_that_waits_for_an_escalation_is_reached(tmp_path: Path) -> None:
    routes = [
        {"to": ["duty"], "from": "08:00", "until": "18:00"},
        {"to": ["mail"], "from": "18:00", "until": "08:00", "after_s": 300},
    ]
    assert list(unreached(loaded(tmp_path, {"notifiers": NOTIFIERS, "routes": routes}))) == []
