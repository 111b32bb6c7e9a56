"""What a changed site file changes, before anything is touched."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.reload import Change, Prints, compare, ended, refusals
from gateway.site.load import load_site
from gateway.site.plans import Site

Edit = Callable[[dict[str, Any]], None]


def head(name: str, line: str, address: int = 0) -> dict[str, Any]:
    channel = {"id": "ch4", "unit": "%LEL", "range": [0, 100], "options": {"address": address}}
    return {"id": name, "connection": line, "options": {"unit": int(name[-1])}, "channels": [channel]}


def site_data() -> dict[str, Any]:
    relay = {"unit": 9, "table": "coil", "address": 0}
    return {
        "site": {"id": "s", "name": "Plant"},
        "connections": [
            {"id": "a", "type": "modbus", "options": {"endpoint": "tcp://127.0.0.1:502"}},
            {"id": "b", "type": "modbus", "options": {"endpoint": "tcp://127.0.0.1:503"}},
        ],
        "instruments": [head("gd-1", "a"), head("gd-2", "a"), head("gd-3", "b")],
        "rules": [{"id": "gas", "type": "threshold", "channels": ["*"], "options": {"low": 10, "high": 25}}],
        "outputs": [{"id": "horn", "connection": "b", "alarms": ["gas:*"], "options": relay}],
        "stores": [{"id": "db", "type": "influxdb", "options": {"url": "http://127.0.0.1:8086", "database": "x"}}],
        "uplinks": [{"id": "park", "type": "webhook", "options": {"url": "http://127.0.0.1:9/a", "secret": "key"}}],
        "secrets": {"key": {"file": "key"}},
    }


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[dict[str, Any]], Site]:
    (tmp_path / "key").write_text("whsec_" + "c2VjcmV0" * 5)

    def load(data: dict[str, Any]) -> Site:
        path = tmp_path / "site.json"
        path.write_text(json.dumps(data))
        return load_site(path)

    return load


def changed(loaded: Callable[[dict[str, Any]], Site], edit: Edit) -> Change:
    data = site_data()
    before = Prints.of(loaded(data))
    edit(data)
    return compare(before, Prints.of(loaded(data)))


def test_a_file_that_says_the_same_changes_nothing(loaded: Callable[[dict[str, Any]], Site]) -> None:
    assert changed(loaded, lambda _: None) == Change("")


def test_the_order_of_connections_rules_and_stores_is_no_change(loaded: Callable[[dict[str, Any]], Site]) -> None:
    def turn(data: dict[str, Any]) -> None:
        data["connections"].reverse()
        data["instruments"] = [data["instruments"][2], *data["instruments"][:2]]

    assert not changed(loaded, turn).words


EDITS: list[tuple[Edit, str, set[str]]] = [
    (lambda d: d["instruments"].append(head("gd-4", "b")), "instrument gd-4 added", {"b"}),
    (lambda d: d["instruments"].pop(0), "instrument gd-1 removed", {"a"}),
    (lambda d: d["instruments"][2]["options"].update(unit=7), "instrument gd-3 changed", {"b"}),
    (lambda d: d["instruments"][2].update(period_s=2), "instrument gd-3 changed", {"b"}),
    (lambda d: d["instruments"][2]["channels"][0].update(unit="%VOL"), "instrument gd-3 changed", {"b"}),
    (lambda d: d["instruments"][2]["channels"][0].update(decimals=0), "instrument gd-3 changed", {"b"}),
    (lambda d: d["instruments"][2].update(area="hall", label="Head"), "instrument gd-3 changed", set()),
    (lambda d: d["instruments"][1].update(connection="b"), "instrument gd-2 changed", {"a", "b"}),
    (lambda d: d["instruments"].insert(0, d["instruments"].pop(1)), "the order of instruments changed", {"a"}),
    (lambda d: d["connections"][0]["options"].update(endpoint="tcp://127.0.0.1:9"), "connection a changed", {"a"}),
    (lambda d: d["rules"][0]["options"].update(low=12), "rule gas changed", set()),
    # Who is urgent on a slow line is the driver's to know.
    (lambda d: d["rules"][0].update(channels=["gd-1.*"]), "rule gas changed", {"a", "b"}),
    (lambda d: d["outputs"][0].update(repeat_s=5), "output horn changed", set()),
    (lambda d: d["outputs"][0]["options"].update(address=1), "output horn changed", {"b"}),
    (lambda d: d["site"].update(name="Works"), "the site's own section changed", set()),
    (lambda d: d["stores"][0]["options"].update(database="y"), "store db changed", set()),
    (lambda d: d.update(uplinks=[]), "uplink park removed", set()),
    # How people run the site touches no bus, and a change of it alone is a change.
    (lambda d: d.update(areas=[{"id": "hall", "phone": "119"}]), "areas changed", set()),
    (lambda d: d.update(alarms={"first_out_s": 10}), "how alarms are run changed", set()),
    (lambda d: d.update(shifts=[{"name": "day", "begins": "08:00"}]), "shifts changed", set()),
    (lambda d: d["instruments"][0].update(checklist=[{"id": "f", "text": "Clean?"}]), "instrument gd-1 changed", set()),
]


@pytest.mark.parametrize(("edit", "words", "touched"), EDITS)
def test_a_change_is_told_and_only_connections_whose_reading_it_concerns_are_made_anew(
    loaded: Callable[[dict[str, Any]], Site], edit: Edit, words: str, touched: set[str]
) -> None:
    found = changed(loaded, edit)
    assert found.words == words
    assert found.gone == found.fresh == touched


def test_sinks_are_made_anew_where_they_or_what_they_are_told_of_the_site_changed(
    loaded: Callable[[dict[str, Any]], Site],
) -> None:
    both = {("store", "db"), ("uplink", "park")}

    def of(edit: Edit) -> set[tuple[str, str]]:
        found = changed(loaded, edit)
        assert found.closed == found.opened
        return set(found.closed)

    assert of(lambda d: d["rules"][0]["options"].update(low=12)) == set()
    assert of(lambda d: d["stores"][0]["options"].update(database="y")) == {("store", "db")}
    assert of(lambda d: d["instruments"][2].update(area="hall")) == both
    assert of(lambda d: d["site"].update(timezone="Asia/Shanghai")) == both
    gone = changed(loaded, lambda d: d.update(stores=[]))
    assert (set(gone.closed), set(gone.opened), set(gone.dropped)) == ({("store", "db")}, set(), {("store", "db")})


def test_a_changed_secret_is_told_and_reaches_the_sinks(
    loaded: Callable[[dict[str, Any]], Site], tmp_path: Path
) -> None:
    before = Prints.of(loaded(site_data()))
    (tmp_path / "key").write_text("whsec_" + "b3RoZXI=" * 5)
    found = compare(before, Prints.of(loaded(site_data())))
    assert found.words == "secrets changed"
    assert ("uplink", "park") in found.opened
    assert not found.gone


def test_a_drawing_that_was_drawn_anew_is_a_change_that_restarts_nothing(
    loaded: Callable[[dict[str, Any]], Site], tmp_path: Path
) -> None:
    picture = tmp_path / "floor.svg"
    picture.write_text('<svg viewBox="0 0 4 3"/>', encoding="utf-8")
    data = site_data() | {"plans": [{"id": "floor", "image": "floor.svg"}]}
    before = Prints.of(loaded(data))
    picture.write_text('<svg viewBox="0 0 4 3"><rect/></svg>', encoding="utf-8")
    assert compare(before, Prints.of(loaded(data))) == Change("drawings changed")


def test_many_names_are_counted(loaded: Callable[[dict[str, Any]], Site]) -> None:
    found = changed(loaded, lambda d: d["instruments"].extend(head(f"x-{n}{n % 9 + 1}", "a") for n in range(12)))
    assert found.words.startswith("12 instruments added (x-01, x-12, ")
    assert found.words.endswith("and 7 more)")


def test_what_needs_a_restart_is_named_with_both_values(loaded: Callable[[dict[str, Any]], Site]) -> None:
    before, data = loaded(site_data()), site_data()
    data["site"]["gateway"] = "gw-2"
    data["storage"] = {"history_days": 3}
    data["api"] = {"bind": "127.0.0.1:9000"}
    found = {problem.path: problem.problem for problem in refusals(before, loaded(data))}
    assert found.keys() == {("site", "gateway"), ("storage", "history_days"), ("api", "bind")}
    assert found["site", "gateway"] == "'gw-2' instead of 'gw-1' needs a restart"
    assert refusals(before, loaded(site_data())) == []


def test_system_alarms_end_with_what_they_are_about_and_no_others() -> None:
    change = Change("", removed=frozenset({"a"}), dropped=frozenset({("store", "db"), ("uplink", "both")}),
                    opened=frozenset({("store", "both")}))  # fmt: skip
    alarms = ["system/connection/a", "system/connection/b", "system/uplink/db", "system/uplink/both", "system/disk/x"]
    alarms += ["system/rule/gas:x", "system/rule/gas:y", "system/output/horn", "system/output/lamp", "gas:a"]
    found = ended(alarms, change, frozenset({"gas:y"}), ["lamp"])
    assert set(found) == {"system/connection/a", "system/uplink/db", "system/rule/gas:x", "system/output/horn"}
