"""Readings as InfluxDB's line protocol: `reading,<tags> quality=0i,value=12.34 <ns>`, one line a reading.

One schema for all sites, in `docs/reference/influxdb-schema.md`. The series keys are the bytes that influxdb-client's
`Point` writes; the lines are made from a prefix a channel, which costs a twentieth of that.
"""

from collections.abc import Sequence

import numpy as np

from gateway.core.model import BAD_FROM, Batch, Channel

MEASUREMENT = "reading"

TAGS = ("area", "channel", "instrument", "quantity", "site", "unit")
"""In the order of the bytes: InfluxDB sorts them otherwise itself."""

_ESCAPES = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": r"\n", "\t": r"\t", "\r": r"\r"})

_BAD_FROM = int(BAD_FROM)


def escaped(text: str) -> str:
    r"""Return a tag's key or value as it stands in a line.

    A backslash at the end would escape the comma after it, so a blank is put between.

    >>> escaped("tank farm, north")
    'tank\\ farm\\,\\ north'
    """
    text = text.translate(_ESCAPES)
    return f"{text} " if text.endswith("\\") else text


def series_key(site: str, channel: Channel) -> str:
    """Return measurement and tags of a channel; an empty tag is left out, as InfluxDB demands."""
    values = (channel.area, channel.id, channel.instrument, channel.quantity, site, channel.unit)
    tags = zip(TAGS, values, strict=True)
    return MEASUREMENT + "".join(f",{tag}={escaped(value)}" for tag, value in tags if value)


class LineProtocol:
    """Writes batches as lines.

    A value is rounded half to even to its channel's decimals: digits beyond them are noise and cost half the time. A
    BAD reading has its quality and no value at all, so that no query can take it for one.

    Args:
        site: The site's id.
        channels: The channel table in row order.
    """

    def __init__(self, site: str, channels: Sequence[Channel]) -> None:
        keys = [series_key(site, channel).replace("%", "%%") for channel in channels]
        # Bytes from the start: a unit such as °C would make every line of text dear to encode.
        self._bad = [f"{key} quality=%di ".encode() for key in keys]
        self._good = [
            f"{key} quality=%di,value=%.{max(0, channel.decimals)}f ".encode()
            for key, channel in zip(keys, channels, strict=True)
        ]

    def lines(self, batch: Batch) -> list[bytes]:
        """Return one line for each reading, in the batch's order and without line ends."""
        times, which = np.unique(batch.time_ns, return_inverse=True)
        stamps = [b"%d" % time_ns for time_ns in times.tolist()]
        columns = zip(batch.row.tolist(), batch.value.tolist(), batch.quality.tolist(), which.tolist(), strict=True)
        good, bad = self._good, self._bad
        if (batch.quality >= BAD_FROM).any():
            return [
                good[row] % (quality, value) + stamps[k] if quality < _BAD_FROM else bad[row] % quality + stamps[k]
                for row, value, quality, k in columns
            ]
        return [good[row] % (quality, value) + stamps[k] for row, value, quality, k in columns]
