"""The line protocol against influxdb-client's own writer, for any names and values."""

import math
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client import Point

from gateway.core.model import Batch, Channel, Quality
from gateway.store.line_protocol import LineProtocol

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("a, =\\\n\t\r\"'#", max_size=8)
channels = st.builds(
    Channel,
    row=st.just(0),
    id=names,
    instrument=names,
    quantity=names,
    unit=names,
    area=names,
    decimals=st.integers(0, 9),
)


@given(
    channel=channels,
    site=names,
    value=st.floats(allow_nan=False, allow_infinity=False),
    time_ns=st.integers(0, 2**62),
    quality=st.sampled_from([quality for quality in Quality if quality < Quality.BAD]),
)
def test_a_line_has_the_series_and_time_of_a_point_and_its_value_rounded(
    channel: Channel, site: str, value: float, time_ns: int, quality: Quality
) -> None:
    [line] = LineProtocol(site, [channel]).lines(Batch.of([0], time_ns, [value], [quality]))
    ours = line.decode()
    series, fields, time_text = theirs_split(
        point(channel, site).field("quality", int(quality)).field("value", value).time(time_ns)
    )
    assert ours.startswith(f"{series} quality={int(quality)}i,value=")
    assert ours.endswith(f" {time_text}")
    written = float(ours[len(series) :].split("value=")[1].split(" ")[0])
    assert written == float(f"{value:.{channel.decimals}f}")
    assert abs(written - value) <= max(0.5000001 * 10.0**-channel.decimals, math.ulp(value))
    assert re.fullmatch(r"quality=\d+i,value=\S+", fields)


@given(channel=channels, site=names, reason=st.sampled_from([quality for quality in Quality if quality >= Quality.BAD]))
def test_a_bad_reading_is_the_line_of_a_point_without_value(channel: Channel, site: str, reason: Quality) -> None:
    [line] = LineProtocol(site, [channel]).lines(Batch.of([0], 5, [np.nan], [reason]))
    ours = line.decode()
    assert ours == point(channel, site).field("quality", int(reason)).time(5).to_line_protocol()


def point(channel: Channel, site: str) -> Point:
    made = Point("reading").tag("area", channel.area).tag("channel", channel.id).tag("instrument", channel.instrument)
    return made.tag("quantity", channel.quantity).tag("site", site).tag("unit", channel.unit)


def theirs_split(made: Point) -> tuple[str, str, str]:
    """Series, fields and time of a point: the last two never hold a blank."""
    series, fields, time_text = made.to_line_protocol().rsplit(" ", 2)
    return series, fields, time_text
