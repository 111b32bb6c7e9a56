"""When a reading was made: the time in the payload where the instrument's clock can be believed, else the arrival."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

import numpy as np

from drivers.values import NS_PER_UNIT, NUMBER, TEXT_MAX
from gateway.core.clock import NS_PER_S, parse_rfc3339
from gateway.core.model import Float64, Int64, Quality, UInt8

UNKNOWN_NS = -(1 << 63)
"""Stands for a time that cannot be read; as far from any arrival as a time can be, so it is doubtful by itself."""
LIMIT_NS = 1 << 62
DAY_NS = 86_400 * NS_PER_S
DATE_TIME = r"(?:19[7-9]|20\d|21\d)\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d"
ISO = re.compile(rf"{DATE_TIME}(?:\.(?P<digits>\d{{1,9}}))?(?P<offset>Z|[+-]\d\d:\d\d|)", re.ASCII)
DOUBTFUL = int(Quality.CLOCK_DOUBTFUL)


class TimeReader:
    """Reads times of one unit.

    Args:
        unit: `s`, `ms`, `us`, `ns` since 1970, or `iso`.
        zone: What an ISO time without offset is in; None where such a time is not to be believed.
    """

    def __init__(self, unit: str, zone: tzinfo | None) -> None:
        self._ns = self.unit_ns = NS_PER_UNIT.get(unit, 0)
        self._per_us = self._ns / 1000
        self._zone = zone

    def one(self, raw: object) -> int:
        """Return UTC nanoseconds, or UNKNOWN_NS for anything that is no time in this unit."""
        try:
            if not self._ns:
                found = parse_rfc3339(raw, self._zone) if type(raw) is str and len(raw) <= TEXT_MAX else UNKNOWN_NS
                return found if abs(found) < LIMIT_NS else UNKNOWN_NS  # the year 9999 is no time that fits
            if type(raw) is str and len(raw) <= TEXT_MAX and NUMBER.fullmatch(raw):
                raw = float(raw) if "." in raw or "e" in raw.lower() else int(raw)
            return self._scaled(raw)
        except (ValueError, OverflowError):
            return UNKNOWN_NS

    def _scaled(self, raw: object) -> int:
        if type(raw) is int:
            found = raw * self._ns
        elif type(raw) is float:
            # A double holds seconds of today to 0.24 µs; what stands below the microsecond is noise.
            found = round(raw * self._per_us) * 1000 if self._ns > 1000 else int(raw // 1.0) * self._ns
        else:
            return UNKNOWN_NS
        return found if abs(found) < LIMIT_NS else UNKNOWN_NS

    def integers(self, raw: Int64) -> Int64:
        """Return the same for integers of any unit but `iso`, all at once."""
        limit = LIMIT_NS // self._ns
        return np.where((raw > -limit) & (raw < limit), raw * self._ns, UNKNOWN_NS)

    def column(self, raw: Float64) -> Int64:
        """Return the same for numbers of any unit but `ns` and `iso`, all at once."""
        with np.errstate(invalid="ignore"):
            usable = np.abs(raw) < LIMIT_NS / self._ns
        return np.where(usable, self.near(np.where(usable, raw, 0.0)), UNKNOWN_NS)

    def near(self, raw: Int64 | Float64) -> Int64:
        """Return the same for numbers that are known to be times of this age."""
        if raw.dtype == np.int64:
            return raw * self._ns  # type: ignore[return-value]  # of integers, which mypy does not see
        if self._ns > 1000:
            return np.rint(raw * self._per_us).astype(np.int64) * 1000
        return np.floor(raw).astype(np.int64) * self._ns

    def texts(self, raw: list[str]) -> Int64 | None:
        """Return the same for ISO times all written alike, all at once; None where they have to be read one by one."""
        found = ISO.fullmatch(raw[0]) if raw else None
        if found is None or not _alike(found["digits"] or "", found["offset"]).fullmatch("\n".join(raw)):
            return None
        end = found.start("offset")
        try:
            times = np.array([text[:end] for text in raw], "datetime64[ns]").astype(np.int64)
        except ValueError:  # the thirtieth of February
            return None
        offset_ns = self._offset_ns(found["offset"], int(times.min()), int(times.max()))
        return None if offset_ns is None else times - offset_ns

    def _offset_ns(self, text: str, low_ns: int, high_ns: int) -> int | None:
        """Return the offset from UTC of all times between these two, None where it is not one."""
        if text == "Z":
            return 0
        if text:
            minutes = int(text[1:3]) * 60 + int(text[4:6])
            return (-minutes if text[0] == "-" else minutes) * 60 * NS_PER_S
        if self._zone is None or high_ns - low_ns > DAY_NS:
            return None
        # Half a day to each side, so that no change of summer time lies between the times themselves.
        offsets = {self._offset_at(low_ns - DAY_NS // 2), self._offset_at(high_ns + DAY_NS // 2)}
        return offsets.pop() if len(offsets) == 1 else None

    def _offset_at(self, time_ns: int) -> int:
        moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC).replace(tzinfo=self._zone)
        return round((moment.utcoffset() or timedelta(0)) / timedelta(seconds=1)) * NS_PER_S


@lru_cache(maxsize=64)
def _alike(digits: str, offset: str) -> re.Pattern[str]:
    """Return what matches lines of ISO times with so many decimals and this offset."""
    fraction = rf"\.\d{{{len(digits)}}}" if digits else ""
    line = DATE_TIME + fraction + re.escape(offset)
    return re.compile(rf"{line}(?:\n{line})*", re.ASCII)


def believable(low_ns: int, high_ns: int, arrival_ns: int, tolerance_ns: int, backlog_ns: int) -> bool:
    """Whether no time between these two is doubtful; see `judge`."""
    return abs(high_ns - arrival_ns) <= tolerance_ns and low_ns >= high_ns - backlog_ns


def judge(times: Int64, arrival_ns: int, tolerance_ns: int, backlog_ns: int) -> UInt8 | None:
    """Replace times that cannot be believed by the arrival, in place, and return their qualities; None: all are good.

    The newest time that is not in the future says whether the instrument's clock is right: it must be within the
    tolerance of the arrival. If it is, older times are believed as far back as `backlog_ns` before it.
    """
    if believable(int(times.min()), int(times.max()), arrival_ns, tolerance_ns, backlog_ns):
        return None
    doubtful = times > arrival_ns + tolerance_ns
    newest = int(times[~doubtful].max(initial=UNKNOWN_NS))
    doubtful |= times < (newest - backlog_ns if newest >= arrival_ns - tolerance_ns else LIMIT_NS)
    times[doubtful] = arrival_ns
    return np.where(doubtful, np.uint8(DOUBTFUL), np.uint8(0))
