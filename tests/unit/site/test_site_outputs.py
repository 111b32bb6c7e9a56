"""Outputs, periods of channels and who is urgent, as the site file says it."""

import math
from pathlib import Path

import pytest

from gateway.core.errors import SiteFileError
from gateway.site.load import Site, load_site

SITE = """\
site: {id: s}
connections:
  - {id: line1, type: modbus, options: {endpoint: "tcp://127.0.0.1:1502"}}
  - {id: relays, type: modbus, options: {endpoint: "tcp://127.0.0.1:1503"}}
  - {id: broker, type: mqtt}
instruments:
  - id: gd-01
    connection: line1
    area: boiler
    period_s: 2
    channels:
      - {id: ch4, options: {address: 0}}
      - {id: t, period_s: 30, options: {address: 1}}
      - {id: h, period_s: 0.5, stale_after_s: 3, options: {address: 2}}
rules:
  - {id: gas, type: threshold, channels: ["*.ch4"], options: {low: 10}}
  - {id: lost, type: fault, channels: ["*.t"]}
outputs:
  - {id: sounder, connection: relays, alarms: ["gas:*"], areas: [boiler], options: {unit: 9, address: 0}}
"""


def loaded(folder: Path, old: str = "", new: str = "") -> Site:
    assert old in SITE
    path = folder / "site.yaml"
    path.write_text(SITE.replace(old, new) if old else SITE, encoding="utf-8")
    return load_site(path)


def test_a_channels_own_period_decides_when_it_is_stale(tmp_path: Path) -> None:
    channels = loaded(tmp_path).channels
    assert [(c.period_s, c.stale_after_s) for c in channels] == [(2, 10), (30, 90), (0.5, 3)]


def test_only_a_rule_that_is_no_fault_supervision_makes_a_channel_urgent(tmp_path: Path) -> None:
    site = loaded(tmp_path)
    assert [plan.alarmed for plan in site.connections[0].instruments[0].channels] == [True, False, False]
    assert [p.alarmed for p in site.lean().connections[0].instruments[0].channels] == [True, False, False]


def test_an_output_stands_with_its_connection_even_where_nothing_is_read(tmp_path: Path) -> None:
    site = loaded(tmp_path)
    (output,) = site.outputs
    assert (output.id, output.connection, output.section.release) == ("sounder", "relays", "silence")
    assert [c.id for c in site.connections] == ["line1", "relays"]
    assert site.connections[0].outputs == ()
    (plan,) = site.connections[1].outputs
    assert (plan.id, plan.options.address, plan.path) == ("sounder", 0, ("outputs", 0))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("connection: relays, a", "connection: relais, a", "outputs[0].connection: no connection 'relais'; there are:"),
        ("connection: relays, a", "connection: broker, a", "connection: broker is mqtt, which switches nothing"),
        ('["gas:*"]', '["gaz:*"]', "outputs[0].alarms[0]: no alarm is called 'gaz:*'"),
        ("[boiler]", "[boilr]", "outputs[0].areas[0]: no area is called 'boilr'; there are boiler"),
        ("address: 0}}\n", "adress: 0}}\n", "adress: unknown key; did you mean 'address'?"),
        ("unit: 9", "unit: 0", "outputs[0].options.unit: input should be greater than or equal to 1, not 0"),
    ],
)
def test_an_output_that_cannot_be_is_told_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        loaded(tmp_path, old, new)
    assert any(words in line for line in caught.value.lines)


def test_system_alarms_may_be_named_before_there_are_any(tmp_path: Path) -> None:
    assert loaded(tmp_path, '["gas:*"]', '["system/*", "*"]').outputs[0].section.alarms == ("system/*", "*")


def test_a_second_output_of_the_same_id_is_told(tmp_path: Path) -> None:
    again = "outputs:\n  - {id: sounder, connection: relays, options: {address: 1}}\n"
    with pytest.raises(SiteFileError, match="'sounder' is already the id of outputs"):
        loaded(tmp_path, "outputs:\n", again)


def test_a_channel_without_a_range_has_none(tmp_path: Path) -> None:
    assert all(math.isnan(channel.range_low) for channel in loaded(tmp_path).channels)
