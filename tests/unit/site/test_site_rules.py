"""Rules of the site file: one a channel, one a group, or one a channel with its peers."""

from types import ModuleType
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Judged, Level, Priority, Rule
from gateway.core.plugin import Binding, PluginOptions
from gateway.flow.bench import arrange
from gateway.site.rules import GROUP_MAX, PEERS_MAX, bound
from gateway.site.schema import RuleSection


def channel(row: int, area: str = "", quantity: str = "ch4", instrument: str = "") -> Channel:
    head = instrument or f"gd-{row:02d}"
    return Channel(row=row, id=f"{head}.{quantity}", instrument=head, quantity=quantity, unit="u", area=area)


SITE = [
    channel(0, "hall"),
    channel(1, "hall"),
    channel(2, "yard"),
    channel(3, "hall", "temperature", "th-1"),
    channel(4, "hall", "smoke", "th-1"),
]


def detector(**said: Any) -> ModuleType:
    module = ModuleType("anything")
    vars(module).update(said)
    return module


def rules(channels: list[Channel], section: dict[str, Any] | None = None, **said: Any) -> list[Rule]:
    written = RuleSection(**{"id": "odd", "type": "anything", "channels": ("*",), **(section or {})})
    return bound(written, channels, PluginOptions(), detector(**said), path=("rules", 2), start=7)


def named(found: list[Rule]) -> dict[str, list[int]]:
    return {rule.id: [each.row for each in rule.channels] for rule in found}


def test_one_rule_a_channel_is_the_usual() -> None:
    found = rules(SITE[:2])
    assert named(found) == {"odd:gd-00.ch4": [0], "odd:gd-01.ch4": [1]}
    assert [rule.index for rule in found] == [7, 8]
    assert not any(rule.group for rule in found)
    assert found[0].levels == (Level.LOW, Level.HIGH)


def test_a_group_has_all_channels_of_an_area_of_an_instrument_or_of_the_rule() -> None:
    assert named(rules(SITE, BINDING=Binding.GROUP)) == {"odd:hall": [0, 1, 3, 4], "odd:yard": [2]}
    by_instrument = rules(SITE, {"per": "instrument"}, BINDING=Binding.GROUP)
    assert named(by_instrument)["odd:th-1"] == [3, 4]
    everything = rules(SITE, {"per": "all"}, BINDING=Binding.GROUP)
    assert named(everything) == {"odd": [0, 1, 2, 3, 4]}
    assert (everything[0].area, everything[0].group, len(everything[0].judges)) == ("", True, 5)
    assert by_instrument[0].area == "hall"


def test_channels_without_an_area_are_a_group_with_a_name() -> None:
    assert named(rules([channel(0), channel(1, "hall")], BINDING=Binding.GROUP)) == {"odd:-": [0], "odd:hall": [1]}
    assert named(rules([channel(0), channel(1, "-")], BINDING=Binding.GROUP)) == {"odd:--": [0], "odd:-": [1]}


def test_peers_are_the_other_channels_of_the_same_quantity_unit_and_area() -> None:
    found = named(rules(SITE, BINDING=Binding.PEERS))
    assert found["odd:gd-00.ch4"] == [0, 1]
    assert found["odd:gd-01.ch4"] == [1, 0]
    assert found["odd:gd-02.ch4"] == [2]
    assert named(rules(SITE, {"per": "all"}, BINDING=Binding.PEERS))["odd:gd-02.ch4"] == [2, 0, 1]


def test_of_many_peers_the_nearest_in_the_site_file_are_looked_at() -> None:
    many = [channel(row, "hall") for row in range(100)]
    found = list(named(rules(many, BINDING=Binding.PEERS)).values())
    assert {len(rows) for rows in found} == {PEERS_MAX + 1}
    assert sorted(found[50]) == list(range(34, 67))
    assert sorted(found[0]) == list(range(33))
    assert sorted(found[99]) == list(range(67, 100))


def test_per_is_refused_where_each_channel_is_judged_by_itself() -> None:
    with pytest.raises(ConfigError, match=r"rules\[2\].per: anything judges each channel by itself"):
        rules(SITE, {"per": "area"})


def test_a_group_has_a_limit() -> None:
    with pytest.raises(ConfigError, match=f"{GROUP_MAX + 1} channels in area hall; a group takes {GROUP_MAX}"):
        rules([channel(row, "hall") for row in range(GROUP_MAX + 1)], BINDING=Binding.GROUP)


@pytest.mark.parametrize(
    ("said", "section", "channels", "latching"),
    [
        ({}, {}, SITE[:1], True),
        ({}, {}, SITE[3:4], False),
        ({"BINDING": Binding.GROUP, "LEVELS": (Level.WARNING, Level.HIGH)}, {}, [SITE[3], SITE[4]], True),
        ({"BINDING": Binding.GROUP}, {}, [SITE[3]], False),
        ({"BINDING": Binding.GROUP, "HAZARD": True}, {}, [SITE[3]], True),
        ({"LEVELS": (Level.WARNING,)}, {"latching": True}, SITE[:1], False),
        ({"LEVELS": (Level.FAULT,)}, {}, SITE[:1], False),
        ({}, {"latching": False}, SITE[:1], False),
    ],
)
def test_a_rule_latches_by_what_it_reports_and_of_what(
    said: dict[str, Any], section: dict[str, Any], channels: list[Channel], latching: bool
) -> None:
    (rule,) = rules(channels, section, **said)
    assert rule.latching is latching


def test_only_what_warns_has_a_budget_unless_the_site_file_gives_one() -> None:
    assert rules(SITE[:1])[0].budget_per_week is None
    assert rules(SITE[:1], LEVELS=(Level.WARNING,))[0].budget_per_week == 1.0
    assert rules(SITE[:1], {"budget_per_week": 3}, LEVELS=(Level.WARNING,))[0].budget_per_week == 3.0
    assert rules(SITE[:1], {"budget_per_week": 0.5})[0].budget_per_week == 0.5


def test_a_rule_carries_what_its_detector_says_of_itself() -> None:
    (rule,) = rules(SITE[:1], {"priority": 2}, JUDGED=Judged("{}/min", "change", "变化"), LEVELS=(Level.WARNING,))
    assert (rule.judged.unit, rule.levels) == ("{}/min", (Level.WARNING,))
    assert rule.priority[Level.WARNING] is Priority.ORANGE


def test_groups_share_a_detector_only_with_groups_of_their_size_and_no_channel_occurs_twice() -> None:
    two = rules([channel(0, "a"), channel(1, "a"), channel(2, "b"), channel(3, "b")], BINDING=Binding.GROUP)
    three = rules([channel(4, "c"), channel(5, "c"), channel(6, "c")], BINDING=Binding.GROUP)
    again = rules([channel(0, "a"), channel(1, "a")], BINDING=Binding.GROUP)
    sets = [[rule.id for rule in members] for _, members in arrange([*two, *three, *again])]
    assert sets == [["odd:a", "odd:b"], ["odd"], ["odd"]]


def test_peers_may_be_looked_at_by_many_rules_of_one_detector() -> None:
    ((name, members),) = arrange(rules(SITE[:2], BINDING=Binding.PEERS))
    assert (name, len(members)) == ("anything-0", 2)
