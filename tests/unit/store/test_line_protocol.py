"""Lines: what a good, a doubtful and a bad reading look like."""

from pathlib import Path

import numpy as np
import pytest

from gateway.core.model import Batch, Channel, Quality, quality_name
from gateway.store.line_protocol import TAGS, LineProtocol, escaped, series_key

CHANNELS = [
    Channel(row=0, id="gd-01.ch4", instrument="gd-01", quantity="ch4", unit="%LEL", decimals=1, area="tank farm"),
    Channel(row=1, id="t-01.t", instrument="t-01", quantity="temperature", decimals=0),
    Channel(row=2, id="gd-02.co", instrument="gd-02", quantity="co", unit="ppm", decimals=3),
]
T = 1_700_000_000_000_000_001
CH4 = r"reading,area=tank\ farm,channel=gd-01.ch4,instrument=gd-01,quantity=ch4,site=park-1,unit=%LEL"
WARM = "reading,channel=t-01.t,instrument=t-01,quantity=temperature,site=park-1"


def lines(*readings: tuple[int, float, int]) -> list[str]:
    rows, values, qualities = zip(*readings, strict=True)
    lines = LineProtocol("park-1", CHANNELS).lines(Batch.of(rows, T, values, qualities))
    return [line.decode() for line in lines]


def test_a_reading_is_one_line_with_its_channels_decimals() -> None:
    assert lines((0, 12.345, 0), (2, 1.0, 0)) == [
        f"{CH4} quality=0i,value=12.3 {T}",
        rf"reading,channel=gd-02.co,instrument=gd-02,quantity=co,site=park-1,unit=ppm quality=0i,value=1.000 {T}",
    ]


def test_an_empty_tag_is_left_out() -> None:
    assert lines((1, 21.0, 0)) == [f"{WARM} quality=0i,value=21 {T}"]


def test_a_bad_reading_has_no_value_field() -> None:
    assert lines((0, np.nan, Quality.COMMS_LOST), (1, 21.0, 0)) == [
        f"{CH4} quality=129i {T}",
        f"{WARM} quality=0i,value=21 {T}",
    ]


def test_a_doubtful_reading_has_both() -> None:
    assert lines((0, 100.0, Quality.OVER_RANGE)) == [f"{CH4} quality=66i,value=100.0 {T}"]


@pytest.mark.parametrize(("value", "text"), [(0.5, "0"), (1.5, "2"), (2.5, "2"), (-0.5, "-0"), (1e15, "1" + "0" * 15)])
def test_values_are_rounded_half_to_even(value: float, text: str) -> None:
    assert lines((1, value, 0)) == [f"{WARM} quality=0i,value={text} {T}"]


def test_no_reading_is_no_line() -> None:
    assert LineProtocol("park-1", CHANNELS).lines(Batch.concat([])) == []


def test_a_backslash_at_the_end_does_not_escape_what_follows() -> None:
    assert escaped("north\\") == "north\\ "
    assert escaped("a=b,c d\n") == r"a\=b\,c\ d\n"


def test_the_documented_schema_names_every_tag_and_quality() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "influxdb-schema.md").read_text(encoding="utf-8")
    for tag in TAGS:
        assert f"| tag | `{tag}` |" in page
    for quality in Quality:
        assert f"| {int(quality)} | {quality_name(quality)} |" in page


def test_the_series_key_is_sorted_by_tag() -> None:
    tags = [part.split("=")[0] for part in series_key("park-1", CHANNELS[0]).replace(r"\ ", "").split(",")[1:]]
    assert tags == sorted(tags)
