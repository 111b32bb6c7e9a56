import numpy as np

from detectors.parts.groups import GroupJudge, Members, amount, listed, member_figures, named
from gateway.core.model import Channel, Reason, Rule
from gateway.core.plugin import PluginOptions


def rule(index: int, *rows: int) -> Rule:
    channels = tuple(Channel(row, f"c{row}", "i", "x", "°C", decimals=1) for row in rows)
    return Rule(index, f"r{index}", "x", channels, PluginOptions(), path=("rules", index))


def rows(*found: int) -> np.ndarray:
    return np.array(found, np.int32)


RULES = [rule(0, 4, 2, 7), rule(1, 9), rule(2, 3, 1)]


def test_each_row_finds_its_rule_and_its_place_in_it() -> None:
    slots, places = Members(RULES).find(rows(7, 9, 1, 0, 5, 10_000))
    assert slots.tolist() == [0, 1, 2, 3, 3, 3]
    assert places.tolist() == [2, 0, 1, 0, 0, 0]


def test_a_round_has_one_reading_a_rule_in_the_order_of_the_batch() -> None:
    batch = rows(2, 9, 7, 0, 1, 4, 3)
    found = [(at.tolist(), slots.tolist(), places.tolist()) for at, slots, places in Members(RULES).rounds(batch)]
    assert found == [([0, 1, 4], [0, 1, 2], [1, 0, 1]), ([2, 6], [0, 2], [2, 0]), ([5], [0], [0])]


def test_rounds_cover_every_reading_of_a_rule_once() -> None:
    random = np.random.default_rng(5)
    rules = [rule(k, *range(10 * k, 10 * k + 1 + k)) for k in range(8)]
    batch = random.permutation(80).astype(np.int32)
    seen = [at for at, _, _ in Members(rules).rounds(batch)]
    has_rule = np.isin(batch, [channel.row for one in rules for channel in one.channels])
    assert sorted(np.concatenate(seen).tolist()) == np.flatnonzero(has_rule).tolist()
    for at, slots, _ in Members(rules).rounds(batch):
        assert len(set(slots.tolist())) == len(slots) == len(at)


def test_rounds_of_some_rules_leave_the_others_out() -> None:
    only = np.array([False, True, True, True])
    found = [at.tolist() for at, _, _ in Members(RULES).rounds(rows(2, 9, 3, 1, 0), only)]
    assert found == [[1, 2], [3]]


def test_a_batch_without_members_has_no_rounds() -> None:
    assert list(Members(RULES).rounds(rows(0, 5))) == []
    assert list(Members(RULES).rounds(rows())) == []


def test_what_holds_for_rows_holds_for_their_members_only() -> None:
    by_row = np.zeros(8, np.bool_)
    by_row[[0, 2, 7]] = True
    held = Members(RULES).by_member(by_row)
    assert held.shape == (4, 3)
    assert np.argwhere(held).tolist() == [[0, 1], [0, 2]]
    assert not Members(RULES).by_member(np.zeros(0, np.bool_)).any()
    assert Members(RULES).by_member(np.ones(100, np.bool_)).sum() == 6


def test_member_columns_are_saved_by_rule_and_restored() -> None:
    first, second = GroupJudge(RULES), GroupJudge(RULES)
    for judge in (first, second):
        judge.member_column("seen", -1, np.int64)
        judge.rule_column("since", 5.0, np.float64)
    first.columns["seen"][0, 2] = 7
    assert {name: column.shape for name, column in first.save().items()} == {
        "level": (3,),
        "seen": (3, 3),
        "since": (3,),
    }
    second.restore(first.save())
    assert second.columns["seen"][0, 2] == 7
    assert second.columns["seen"].dtype == np.int64


def test_figures_of_members_have_a_spare_where_there_is_none() -> None:
    figures = member_figures(RULES, lambda rule, channel: rule.index * 100 + channel.row, np.inf)
    assert figures.tolist() == [[4, 2, 7], [109, np.inf, np.inf], [203, 201, np.inf], [np.inf] * 3]


def test_amounts_are_rounded_to_the_decimals_of_the_channel() -> None:
    gas = Channel(0, "g", "i", "ch4", "%LEL", decimals=0)
    assert amount(gas, 12.6) == "13 %LEL"
    assert amount(Channel(0, "g", "i", "x"), -1.0, signed=True) == "-1.00"


def test_channels_are_called_by_their_labels_where_they_have_some() -> None:
    assert named(Channel(0, "a.x", "a", "x")) == Reason("a.x", "a.x")
    assert named(Channel(0, "a.x", "a", "x", label="Boiler")) == Reason("Boiler", "Boiler")
    assert named(Channel(0, "a.x", "a", "x", label="Boiler", label_zh="锅炉")) == Reason("Boiler", "锅炉")


def test_lists_are_written_as_each_language_does() -> None:
    assert listed([]) == Reason("", "")
    assert listed([Reason("a", "甲")]) == Reason("a", "甲")
    assert listed([Reason("a", "甲"), Reason("b", "乙")]) == Reason("a and b", "甲和乙")
