"""What people name in a scan, and what of its finds goes into a site file."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.commissioning import choices, paste
from gateway.core.commissioning import Fingerprint, Found, Guess, LineSettings
from gateway.site.load import load_site

SITE = "site: {id: s}\n"


def written(text: str, tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["", "1-", "-3", "5-2", "0-256", "a", "1,,2"])
def test_units_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unit address"):
        choices.units(text)


def test_units_keep_their_order_and_occur_once() -> None:
    assert choices.units("9,1-3,2") == (9, 1, 2, 3)


def test_a_network_is_refused() -> None:
    with pytest.raises(ValueError, match="network"):
        choices.endpoint("tcp://192.168.1.0/24")


def test_the_likeliest_settings_come_first_then_those_of_profiles() -> None:
    odd = LineSettings(2400, "E", 1)
    known = [Fingerprint("a", line=odd), Fingerprint("b", line=odd), Fingerprint("c", line=LineSettings(4800))]
    found = choices.lines((), (), (), known)
    assert found[:3] == (LineSettings(9600), odd, LineSettings(4800))
    assert len(set(found)) == len(found) == len(choices.BAUDS) * len(choices.PARITIES)


def test_rates_that_a_person_lists_are_tried_in_that_order() -> None:
    assert choices.lines((1200, 9600), ("N",), ()) == (LineSettings(1200), LineSettings(9600))


def test_a_sure_find_becomes_an_instrument_that_the_site_file_takes(tmp_path: Path) -> None:
    finds = [Found("rtu:///dev/ttyUSB0", 3, LineSettings(4800, "E"), profiles=("honeywell-xcd",), sure=True)]
    text = paste.of_finds(finds, {"rtu:///dev/ttyUSB0": "rtu:///dev/serial/by-id/usb-a"})
    site = load_site(written(text, tmp_path))
    options = site.connections[0].options
    assert options.endpoint == "rtu:///dev/serial/by-id/usb-a"  # type: ignore[attr-defined]  # the driver's own model
    assert (options.baud, options.parity) == (4800, "E")  # type: ignore[attr-defined]
    assert site.channels[0].instrument == "honeywell-xcd-3"


def test_a_find_that_is_not_sure_is_written_as_a_comment_only() -> None:
    text = paste.of_finds(
        [Found("tcp://a:502", 1, profiles=("xy-md02", "renke"), sure=False), Found("tcp://a:502", 2)], {}
    )
    data = YAML(typ="safe").load(text)
    assert data["instruments"] is None
    assert [c["id"] for c in data["connections"]] == ["net1"]
    assert "may be xy-md02 or renke" in text


def test_a_port_is_one_connection_with_the_setting_that_answered_first() -> None:
    even = LineSettings(9600, "E")
    finds = [
        Found("rtu:///a", 1, LineSettings(), profiles=("xy-md02",), sure=True),
        Found("rtu:///a", 1, even, profiles=("xy-md02",), sure=True),
        Found("rtu:///a", 2, LineSettings(4800), profiles=("xy-md02",), sure=True),
        Found("tcp://b:1", 1, profiles=("xy-md02",), sure=True),
    ]
    text = paste.of_finds(finds, {})
    data = YAML(typ="safe").load(text)
    assert [c["id"] for c in data["connections"]] == ["line1", "net1"]
    assert [(i["connection"], i["options"]["unit"]) for i in data["instruments"]] == [("line1", 1), ("net1", 1)]
    assert "# Unit 1 answers at 9600 8E1 too." in text
    assert "# Unit 2 answers at 4800 8N1 only" in text


def test_no_line_to_paste_is_wider_than_a_terminal() -> None:
    finds = [Found("tcp://127.0.0.1:15030", unit, profiles=("bacharach-mgs-400",)) for unit in (1, 26, 247)]
    assert max(map(len, paste.of_finds(finds, {}).splitlines())) <= paste.WIDTH


def test_a_guess_becomes_a_channel_that_the_site_file_takes(tmp_path: Path) -> None:
    guess = Guess("input", 12, "int16", "BADC", 0.01, 20.9, 5, 1.0)
    channel = paste.of_channel("input", guess, 12, "%VOL", 25.0)
    site = load_site(written(paste.instrument("tcp://10.0.0.7:502", 4, None, channel), tmp_path))
    plan = site.connections[0].instruments[0].channels[0]
    options = plan.options.model_dump(exclude_defaults=True)
    assert options == {"table": "input", "address": 12, "type": "int16", "order": "BADC", "scale": 0.01}
    assert (plan.channel.unit, plan.channel.range_high) == ("%VOL", 25.0)


@pytest.mark.parametrize("text", ["", "yes", "No", "°C", "%LEL", "3", "-a", 'say "x"', "a: b", "null"])
def test_words_that_yaml_would_take_for_something_else_are_quoted(text: str) -> None:
    assert YAML(typ="safe").load(paste.flow({"k": text})) == {"k": text}


def test_no_line_but_a_long_endpoint_is_wrapped_by_a_terminal_of_80_columns() -> None:
    end = "rtu:///dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A1-if00-port0"
    names = ("honeywell-sensepoint-xcd-rfd", "honeywell-sensepoint-xrl-xcl")
    finds = [Found(end, unit, LineSettings(), profiles=names, sure=unit < 3) for unit in range(1, 5)]
    long = [line for line in paste.of_finds([*finds, Found(end, 9, LineSettings())], {}).splitlines() if len(line) > 80]
    assert all(end in line or "may be" in line for line in long)
