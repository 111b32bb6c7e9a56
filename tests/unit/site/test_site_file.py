import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway import assembly
from gateway.core.clock import ManualClock
from gateway.core.errors import SiteFileError
from gateway.site.load import Site, load_site

SITE = """\
site: {id: boiler-room, name: Boiler room 3, timezone: Asia/Shanghai}
connections:
  - id: line1
    type: modbus
    options: {endpoint: "tcp://127.0.0.1:1502", timeout_s: 0.3}
instruments:
  - id: gd-01
    connection: line1
    area: burner
    period_s: 1
    options: {unit: 1}
    channels:
      - {id: ch4, unit: "%LEL", range: [0, 100], decimals: 1, options: {table: holding, address: 0, type: uint16}}
      - {id: t, quantity: temperature, unit: "°C", range: [-40, 85], options: {table: holding, address: 1, type: int16}}
rules:
  - {id: gas, type: threshold, channels: ["*.ch4"], options: {low: 10, high: 25}}
  - {id: hot, type: threshold, channels: [gd-01.t], options: {low: 60, high: 75}, priority: 2}
"""


def write(folder: Path, text: str = SITE) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def checked(folder: Path, text: str) -> Site:
    site = load_site(write(folder, text))
    assembly.check(site, ManualClock())
    return site


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SiteFileError) as caught:
        checked(folder, text)
    return "\n".join(caught.value.lines)


def test_a_site_becomes_channels_rules_and_plans(tmp_path: Path) -> None:
    site = checked(tmp_path, SITE)
    assert [c.id for c in site.channels] == ["gd-01.ch4", "gd-01.t"]
    assert [c.row for c in site.channels] == [0, 1]
    assert [r.id for r in site.rules] == ["gas:gd-01.ch4", "hot", "fault:gd-01.ch4", "fault:gd-01.t"]
    assert [r.index for r in site.rules] == [0, 1, 2, 3]
    assert site.connections[0].instruments[0].channels[1].channel.range_low == -40


def test_gas_latches_by_itself_and_temperature_and_faults_do_not(tmp_path: Path) -> None:
    assert [r.latching for r in checked(tmp_path, SITE).rules] == [True, False, False, False]


def test_a_channel_that_no_fault_rule_names_is_supervised_all_the_same(tmp_path: Path) -> None:
    text = SITE + "  - {id: f, type: fault, channels: [gd-01.t], options: {delay_s: 30}}\n"
    faults = [r.id for r in checked(tmp_path, text).rules if r.type == "fault"]
    assert faults == ["f", "fault:gd-01.ch4"]


def test_json_is_a_site_file_too(tmp_path: Path) -> None:
    path = tmp_path / "site.json"
    path.write_text(json.dumps(YAML(typ="safe").load(SITE)), encoding="utf-8")
    assert len(load_site(path).channels) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("timeout_s", "timeout", "site.yaml:5:49: connections[0].options.timeout: unknown key; did you mean"),
        ("period_s: 1", "perid_s: 1", "site.yaml:10:5: instruments[0].perid_s: unknown key; did you mean 'period_s'?"),
        ("Asia/Shanghai", "Asia/Foshan", "site.yaml:1:46: site.timezone: unknown time zone 'Asia/Foshan'"),
        ('"*.ch4"', '"*.ch5"', "rules[0].channels[0]: no channel is called '*.ch5'"),
        ("type: modbus", "type: modbuss", "there is no driver 'modbuss'; there are"),
        ("type: threshold, channels: [g", "type: treshold, channels: [g", "there is no detector 'treshold'"),
        ("connection: line1", "connection: line2", "instruments[0].connection: no connection 'line2'; there are"),
        ("range: [0, 100]", "range: [100, 0]", "the range must rise"),
        ("id: t, quantity", "id: ch4, quantity", "'ch4' is used twice in gd-01"),
        ("address: 1", "address: 70000", "site.yaml:14"),
        ("high: 25", "high: 60", "GB/T 50493-2019"),
        ("site: {id: boiler-room, ", "site: {", "site.id: is missing"),
        ("id: hot", "id: gas", "'gas' is already the id of rules[0]"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_is_allowed(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in SITE
    assert words in refusal(tmp_path, SITE.replace(old, new, 1))


def test_an_uplink_may_not_be_called_like_a_store(tmp_path: Path) -> None:
    both = """
stores: [{id: city, type: influxdb, options: {url: "http://127.0.0.1:8086", database: hazgate}}]
uplinks: [{id: city, type: webhook, options: {url: "http://127.0.0.1:9", secret: s}}]
"""
    assert "uplinks[0].id: 'city' is already the id of stores[0]" in refusal(tmp_path, SITE + both)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = SITE.replace("timeout_s", "timeout").replace("low: 10", "lo: 10").replace('"*.ch4"', '"*.ch5"')
    assert len(refusal(tmp_path, text).splitlines()) >= 3


@pytest.mark.parametrize("text", ["- a list", "a: [", "a: 1\na: 2", "\x00", "{", "*x", "a: !!python/object:os.x {}"])
def test_a_text_that_is_no_site_file_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    lines = refusal(tmp_path, text).splitlines()
    assert lines
    assert lines[0].startswith("site.yaml")


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="cannot be read"):
        load_site(tmp_path / "none.yaml")


def test_secrets_come_from_files_and_the_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("s3cret\n", encoding="utf-8")
    monkeypatch.setenv("HAZGATE_TEST_SECRET", "from-env")
    text = SITE + "secrets: {a: {file: key}, b: {env: HAZGATE_TEST_SECRET}}\n"
    site = checked(tmp_path, text)
    assert site.secrets == {"a": "s3cret", "b": "from-env"}
    assert "s3cret" not in repr(site)
    assert "secrets.b.env: the environment has no NOT_THERE" in refusal(
        tmp_path, text.replace("HAZGATE_TEST_SECRET", "NOT_THERE")
    )
