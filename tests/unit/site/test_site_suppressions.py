"""Suppressions of the site file: bound to their alarms, and every mistake told at its place."""

from pathlib import Path

import pytest

from gateway.core.errors import SiteFileError
from gateway.site.load import load_site
from gateway.site.plans import Site

SITE = """
site: {id: plant}
areas: [{id: boiler, response: Leave., response_zh: 撤离。}]
connections: [{id: line1, type: modbus, options: {endpoint: "tcp://127.0.0.1:502"}}]
instruments:
  - id: plc
    connection: line1
    area: boiler
    channels:
      - {id: burner, quantity: status, options: {address: 0}}
      - {id: draught, quantity: pressure, options: {address: 1}}
      - {id: ch4, quantity: ch4, unit: "%LEL", options: {address: 2}}
rules:
  - {id: draught, type: threshold, channels: ["plc.dr*"], options: {side: below, low: 5}, response: Open the flap.}
  - {id: gas, type: threshold, channels: ["*.ch4"], options: {low: 10, high: 25}}
  - {id: mains, type: threshold, channels: ["plc.burner"], options: {low: 1}}
suppressions:
  - {id: burner-off, alarms: ["draught*"], channel: plc.burner, below: 1, max_s: 60, why: No draught., why_zh: 无抽力。}
"""


def loaded(folder: Path, old: str = "", new: str = "") -> Site:
    assert old in SITE
    path = folder / "site.yaml"
    path.write_text(SITE.replace(old, new) if old else SITE, encoding="utf-8")
    return load_site(path)


def test_a_suppression_knows_its_channel_and_its_alarms(tmp_path: Path) -> None:
    (one,) = loaded(tmp_path).suppressions
    assert (one.id, one.alarms, one.row, one.channel) == ("burner-off", ("draught:plc.draught",), 0, "plc.burner")
    assert (one.below, one.above, one.alarm, one.max_ns) == (1.0, None, "", 60_000_000_000)
    assert (one.why, one.why_zh) == ("No draught.", "无抽力。")


def test_an_area_says_what_is_to_be_done_where_the_rule_does_not(tmp_path: Path) -> None:
    rules = {rule.id: rule for rule in loaded(tmp_path).rules}
    assert rules["draught:plc.draught"].response == "Open the flap."
    assert (rules["gas:plc.ch4"].response, rules["gas:plc.ch4"].response_zh) == ("Leave.", "撤离。")
    assert rules["fault:plc.burner"].response_zh == "撤离。"


WRITTEN = SITE[SITE.index("{id: burner-off") :].strip()
PLACE = "site.yaml:18:"
BURNER = "channel: plc.burner, below: 1"
GRAVE = "catches gas:plc.ch4, a gas or fire alarm of priority 1; name it exactly or leave it out"


@pytest.mark.parametrize(
    ("alarms", "decider", "told"),
    [
        ("drauht*", BURNER, "alarms[0]: no alarm is called 'drauht*'"),
        ("draught*", "channel: plc.burne, below: 1", "channel: no channel is called 'plc.burne'; there are plc.burner"),
        ("draught*", "alarm: mans", "alarm: no alarm is called 'mans'; there are mains"),
        ("draught*", "alarm: 'draught:plc.draught'", "alarm: 'draught:plc.draught' would decide about itself"),
        ("draught*", "channel: plc.draught, below: 1", "channel: draught:plc.draught judges plc.draught, which would"),
        ("*", BURNER, f"alarms[0]: '*' {GRAVE}"),
        ("gas*", BURNER, f"alarms[0]: 'gas*' {GRAVE}"),
        ("system/*", BURNER, "alarms[0]: 'system/*': what the gateway says of itself is never suppressed"),
        ("draught*", "channel: plc.burner", "give either channel with one of above and below, or alarm"),
        ("draught*", f"{BURNER}, above: 2", "give either channel with one of above and below, or alarm"),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, alarms: str, decider: str, told: str) -> None:
    with pytest.raises(SiteFileError) as found:
        loaded(tmp_path, WRITTEN, f'{{id: x, alarms: ["{alarms}"], {decider}, why: y}}')
    assert any(line.startswith(PLACE) and told in line for line in found.value.lines), found.value.lines


def test_a_suppression_may_not_be_called_like_a_rule(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match=r"suppressions\[0\].id: 'gas' is already the id of a rule"):
        loaded(tmp_path, WRITTEN, f'{{id: gas, alarms: ["draught*"], {BURNER}, why: y}}')


def test_a_grave_alarm_may_be_suppressed_where_it_is_named_exactly(tmp_path: Path) -> None:
    written = '{id: x, alarms: ["gas:plc.ch4"], channel: plc.burner, below: 1, why: y}'
    (one,) = loaded(tmp_path, WRITTEN, written).suppressions
    assert one.alarms == ("gas:plc.ch4",)


def test_an_alarm_of_the_gateway_itself_may_decide(tmp_path: Path) -> None:
    (one,) = loaded(
        tmp_path, WRITTEN, '{id: x, alarms: ["draught*"], alarm: system/connection/line1, why: y}'
    ).suppressions
    assert (one.alarm, one.row) == ("system/connection/line1", -1)


def test_two_that_decide_about_each_other_are_refused(tmp_path: Path) -> None:
    two = f"{WRITTEN.replace('burner-off', 'a').split(', channel')[0]}, alarm: mains, why: y}}\n"
    two += '  - {id: b, alarms: [mains], alarm: "draught:plc.draught", why: y}'
    with pytest.raises(SiteFileError) as found:
        loaded(tmp_path, WRITTEN, two)
    assert len(found.value.lines) == 2
    assert found.value.lines[0].startswith(PLACE)
    assert "'mains' is suppressed by what 'a' suppresses: the two decide about each other" in found.value.lines[0]


def test_two_of_one_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="'burner-off' is already the id of suppressions"):
        loaded(tmp_path, WRITTEN, f"{WRITTEN}\n  - {WRITTEN}")
