"""An instrument of the site file laid over its profile, and who is told of which mistake."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from gateway import assembly
from gateway.core.clock import ManualClock
from gateway.core.errors import SiteFileError
from gateway.core.plugin import InstrumentPlan
from gateway.site.load import Site, load_site
from gateway.site.profiles import doubts, load_profile, profile_names, shipped_profiles

MINE = """\
profile: my-head
driver: modbus
period_s: 5
options: {unit: 1, registers_max: 32, status: [{address: 9, channels: [gas, peak], flags: {0: sensor_fault}}]}
uncertain:
  - {what: gas as ordered, why: many, check: the label, settled_by: [channels.gas.quantity, channels.gas.unit]}
  - {what: address base, why: not said, check: compare, settled_by: [options.address_offset]}
line: {baud: 4800}
channels:
  - {id: gas, quantity: ch4, unit: "%LEL", range: [0, 100], options: {address: 0, special: {65535: sensor_fault}}}
  - {id: temperature, unit: °C, period_s: 60, options: {address: 1, type: int16}}
  - {id: peak, extra: true, options: {address: 3}}
point:
  first: 1
  last: 99
  channels: [{id: "p{n}", label: "Point {n}", quantity: contact, options: {table: input, address: 100}}]
  status: [{table: input, address: 200, stride: 2, channels: ["p{n}"], flags: {3: sensor_fault}}]
"""
SITE = """\
site: {id: s}
connections:
  - {id: line1, type: modbus, options: {endpoint: "rtu:///dev/ttyUSB0", baud: 9600}}
  - {id: broker, type: mqtt}
instruments:
"""


FILL = {"name": "x", "id": "x", "dev_eui": "x"}
LINES = {"modbus": {"endpoint": "tcp://127.0.0.1"}, "mqtt": {}, "uart": {"port": "/dev/ttyS0"}}


def written(folder: Path, *instruments: str, mine: str = MINE, rules: str = "") -> Path:
    (folder / "mine.yaml").write_text(mine, encoding="utf-8")
    path = folder / "site.yaml"
    items = "".join("  - " + dedent(item).strip().replace("\n", "\n    ") + "\n" for item in instruments)
    path.write_text(SITE + items + rules, encoding="utf-8")
    return path


def loaded(folder: Path, *instruments: str, **texts: str) -> Site:
    site = load_site(written(folder, *instruments, **texts))
    assembly.check(site, ManualClock())
    return site


def plan(folder: Path, instrument: str) -> InstrumentPlan:
    return loaded(folder, instrument).connections[0].instruments[0]


def refusal(folder: Path, *instruments: str, **texts: str) -> list[str]:
    with pytest.raises(SiteFileError) as caught:
        loaded(folder, *instruments, **texts)
    return list(caught.value.lines)


def where(made: InstrumentPlan) -> dict[str, Any]:
    return {item.channel.id: item.options for item in made.channels}


def test_a_profile_and_an_address_are_enough(tmp_path: Path) -> None:
    made = plan(tmp_path, "{id: a, connection: line1, profile: ./mine.yaml, options: {unit: 7}}")
    assert [item.channel.id for item in made.channels] == ["a.gas", "a.temperature"]
    assert (made.period_s, made.options.unit, made.options.registers_max) == (5, 7, 32)  # type: ignore[attr-defined]
    gas, temperature = (item.channel for item in made.channels)
    assert (gas.quantity, gas.unit, gas.range_high, gas.period_s, gas.stale_after_s) == ("ch4", "%LEL", 100, 5, 15)
    assert (temperature.quantity, temperature.period_s, temperature.stale_after_s) == ("temperature", 60, 180)


def test_what_the_site_file_says_outranks_the_profile_key_by_key(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        """
        id: a
        connection: line1
        profile: ./mine.yaml
        period_s: 2
        channels:
          - {id: gas, quantity: co, unit: ppm, options: {scale: 1, special: {65534: warm_up}}}
          - {id: own, options: {address: 50}}
          - {id: peak, label: peak}
        """,
    )
    options = where(made)
    assert list(options) == ["a.gas", "a.temperature", "a.peak", "a.own"]
    assert (options["a.gas"].address, options["a.gas"].scale) == (0, 1)
    assert options["a.gas"].special == {65535: "sensor_fault", 65534: "warm_up"}
    assert (made.channels[0].channel.quantity, made.channels[0].channel.range_high) == ("co", 100)
    assert made.period_s == 2


def test_a_key_of_the_profile_is_taken_away_by_null(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        "{id: a, connection: line1, profile: honeywell-xcd, channels: [{id: gas, options: {unit_from: null}}]}",
    )
    assert where(made)["a.gas"].unit_from is None


def test_an_omitted_channel_is_gone_and_no_word_speaks_of_it_any_more(tmp_path: Path) -> None:
    made = plan(tmp_path, "{id: a, connection: line1, profile: ./mine.yaml, omit: [gas]}")
    assert list(where(made)) == ["a.temperature"]
    assert made.options.status == ()  # type: ignore[attr-defined]


def test_points_of_a_panel_have_their_own_addresses_and_status(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        "{id: a, connection: line1, profile: ./mine.yaml, points: [1, 4-5], channels: [{id: p4, label: Boiler}]}",
    )
    options = where(made)
    assert list(options) == ["a.gas", "a.temperature", "a.p1", "a.p4", "a.p5"]
    assert [options[f"a.p{n}"].address for n in (1, 4, 5)] == [100, 103, 104]
    assert [item.channel.label for item in made.channels[2:]] == ["Point 1", "Boiler", "Point 5"]
    words = [(word.address, word.channels) for word in made.options.status]  # type: ignore[attr-defined]
    assert words == [(9, ("gas",)), (200, ("p1",)), (206, ("p4",)), (208, ("p5",))]


def test_instruments_of_one_profile_share_what_they_do_not_change(tmp_path: Path) -> None:
    site = loaded(tmp_path, *(f"{{id: i{n}, connection: line1, profile: ./mine.yaml}}" for n in (1, 2)))
    first, second = site.connections[0].instruments
    assert first.channels[0].options is second.channels[0].options
    assert first.channels[0].channel.row != second.channels[0].channel.row


@pytest.mark.parametrize(
    ("instrument", "words"),
    [
        ("profile: ./none.yaml", "site.yaml:6:32: instruments[0].profile: there is no file "),
        (
            "profile: honeywell-xdc",
            "profile: there is no profile 'honeywell-xdc'; did you mean honeywell-xcl or honeywell-xcd",
        ),
        ("profile: ./mine.yaml, omit: [gass]", "instruments[0].omit[0]: 'gass' is no channel of my-head"),
        ("profile: ./mine.yaml, points: [100]", "instruments[0].points: 100 is no point; there are 1 to 99"),
        ("profile: honeywell-xcd, points: [1]", "points: the profile honeywell-sensepoint-xcd-rfd describes no points"),
        ("profile: igd-toc-635", "instruments[0].channels: igd-toc-635 leaves no channel: name its points or channels"),
        ("profile: z2m-hs1sa", "profile: the profile z2m-hs1sa is read by mqtt, its connection is modbus"),
        ("omit: [gas], channels: [{id: a, options: {address: 0}}]", "instruments[0].omit: needs a profile"),
        ("label: nothing", "instruments[0].channels: an instrument has at least one channel, here or through its"),
        ("profile: ./mine.yaml, points: [1-]", "instruments[0].points: '1-' is no point"),
        ("profile: ./mine.yaml, channels: {id: x}", "instruments[0].channels: input should be a valid tuple"),
    ],
)
def test_what_cannot_be_is_told_at_the_site_files_line(tmp_path: Path, instrument: str, words: str) -> None:
    (line,) = refusal(tmp_path, f"{{id: a, connection: line1, {instrument}}}")
    assert line.startswith("site.yaml:6:")
    assert words in line


def test_a_mistake_in_a_channel_that_the_site_changes_is_told_where_it_was_written(tmp_path: Path) -> None:
    lines = refusal(
        tmp_path,
        """
        id: a
        connection: line1
        profile: ./mine.yaml
        channels:
          - {id: temperature, options: {adress: 5}}
          - {id: gas, decimals: 99}
          - {id: own, options: {}}
          - {id: own, options: {address: 1}}
        """,
    )
    assert lines == [
        "site.yaml:11:19: instruments[0].channels[1].decimals: input should be less than or equal to 9, not 99",
        "site.yaml:10:37: instruments[0].channels[0].options.adress: unknown key; did you mean 'address'?",
        "site.yaml:12:19: instruments[0].channels[2].options.address: is missing",
        "site.yaml:13:10: instruments[0].channels[3].id: 'own' is used twice in a",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("registers_max", "registrs_max", "mine.yaml:4:20: options.registrs_max: unknown key; did you mean 'regis"),
        ("type: int16", "typ: int16", "mine.yaml:11:69: channels[1].options.typ: unknown key; did you mean 'type'?"),
        ("extra:", "extr:", "mine.yaml:12:16: channels[2].extr: unknown key; did you mean 'extra'?"),
        ("{3: sensor_fault}", "{3: broken}", "mine.yaml:17:80: point.status[0].flags[3]: 'broken' is no doubt"),
        ("[gas, peak]", "[gas, pek]", "mine.yaml:4:"),
        ('"p{n}", label', '"p", label', "mine.yaml:13:1: point: the channel 'p' needs {n} in its id"),
        ("driver: modbus", "driver: modbuss", "mine.yaml:2:1: driver: there is no driver 'modbuss'"),
        ("id: peak", "id: gas", "mine.yaml:9:1: channels: the channel 'gas' is there twice"),
        ("last: 99", "last: 0", "mine.yaml:13:1: point: points from 1 to 0: the last is below the first"),
        ("profile: my-head", "- my-head", "mine.yaml:2:"),
    ],
)
def test_every_mistake_in_a_profile_is_told_once_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    instruments = [f"{{id: i{n}, connection: line1, profile: ./mine.yaml}}" for n in (1, 2)]
    assert old in MINE
    (line,) = refusal(tmp_path, *instruments, mine=MINE.replace(old, new))
    assert line.startswith(words)


def test_mistakes_of_the_profile_and_of_its_drivers_options_are_told_at_once(tmp_path: Path) -> None:
    bad = MINE.replace("driver: modbus", "driver: modbus\nconfidence: sure")
    bad = bad.replace("options: {address: 3", "options: {adress: 3")
    lines = refusal(tmp_path, "{id: a, connection: line1, profile: ./mine.yaml}", mine=bad)
    peak = "channels[2].options"
    assert [line.split(": ")[1] for line in lines] == ["confidence", f"{peak}.address", f"{peak}.adress"]


def test_a_part_of_a_name_finds_the_name(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, "{id: a, connection: line1, profile: xcd}")
    assert "honeywell-xcd or" in line


def test_what_only_the_driver_finds_wrong_is_told_at_the_profiles_line(tmp_path: Path) -> None:
    bad = MINE.replace("options: {address: 3}", "options: {address: 3, table: coil, type: float32}")
    instrument = "{id: a, connection: line1, profile: ./mine.yaml, channels: [{id: peak}]}"
    (line,) = refusal(tmp_path, instrument, mine=bad)
    assert line.startswith("mine.yaml:12:")
    assert "channels[2].options" in line
    twice = MINE.replace("address: 200", "address: 65535")
    (line,) = refusal(tmp_path, "{id: a, connection: line1, profile: ./mine.yaml, points: [1, 2]}", mine=twice)
    assert line.startswith("mine.yaml:17:27: point.status[0].address: ")


def test_what_the_profile_leaves_to_the_site_file_is_told_at_the_site_files_line(tmp_path: Path) -> None:
    (line,) = refusal(tmp_path, "{id: a, connection: broker, profile: z2m-hs1sa}")
    assert line.startswith(
        "site.yaml:6:5: instruments[0].options.fill.name: is missing: the topic 'zigbee2mqtt/{name}'"
    )


def test_doubts_are_told_until_the_site_file_settles_them(tmp_path: Path) -> None:
    open_ = "{id: a, connection: line1, profile: ./mine.yaml}"
    settled = """
        id: b
        connection: line1
        profile: ./mine.yaml
        options: {address_offset: 0}
        channels: [{id: gas, quantity: ch4, unit: "%LEL"}]
    """
    half = '{id: c, connection: line1, profile: ./mine.yaml, channels: [{id: gas, unit: "%LEL"}]}'
    found = [(d.instrument, d.what) for d in doubts(loaded(tmp_path, open_, settled, half))]
    assert found == [
        ("a", "gas as ordered"),
        ("a", "address base"),
        ("a", "line speed"),
        ("b", "line speed"),
        ("c", "gas as ordered"),
        ("c", "address base"),
        ("c", "line speed"),
    ]
    assert doubts(loaded(tmp_path, open_).lean()) == []


def test_an_alias_is_the_profile_itself() -> None:
    assert load_profile("honeywell-xcd", Path()) is load_profile("honeywell-sensepoint-xcd-rfd", Path())
    names = profile_names()
    aliases = [alias for profile in shipped_profiles() for alias in profile.file.aliases]
    assert not set(aliases) & set(names)
    assert len(set(aliases)) == len(aliases)
    assert all(load_profile(alias, Path()).name in names for alias in aliases)


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_works_with_its_name_and_an_address(tmp_path: Path, name: str) -> None:
    file = load_profile(name, tmp_path).file
    items: dict[str, Any] = {"id": "a", "connection": "c", "profile": name}
    items |= {"modbus": {"options": {"unit": 3}}, "mqtt": {"options": {"fill": FILL}}, "uart": {}}[file.driver]
    if file.point is not None:
        items["points"] = [file.point.first]
    elif all(channel.extra for channel in file.channels):
        items["channels"] = [{"id": file.channels[0].id}]  # a generic one reads only what is named
    connection = {"id": "c", "type": file.driver, "options": LINES[file.driver]}
    path = tmp_path / "site.json"
    path.write_text(json.dumps({"site": {"id": "s"}, "connections": [connection], "instruments": [items]}))
    site = load_site(path)
    assembly.check(site, ManualClock())
    assert site.channels
    assert {channel.instrument for channel in site.channels} == {"a"}
