"""When a reading was made: the time in the payload where the instrument's clock can be believed, else the arrival."""

from datetime import tzinfo

import numpy as np

from drivers.values import NS_PER_UNIT, NUMBER, TEXT_MAX
from gateway.core.clock import parse_rfc3339
from gateway.core.model import Float64, Int64, Quality, UInt8

UNKNOWN_NS = -(1 << 63)
"""Stands for a time that cannot be read; as far from any arrival as a time can be, so it is doubtful by itself."""
LIMIT_NS = 1 << 62
DOUBTFUL = int(Quality.CLOCK_DOUBTFUL)


class TimeReader:
    """Reads times of one unit.

    Args:
        unit: `s`, `ms`, `us`, `ns` since 1970, or `iso`.
        zone: What an ISO time without offset is in; None where such a time is not to be believed.
    """

    def __init__(self, unit: str, zone: tzinfo | None) -> None:
        self._ns = self.unit_ns = NS_PER_UNIT.get(unit, 0)
        self._zone = zone

    def one(self, raw: object) -> int:
        """Return UTC nanoseconds, or UNKNOWN_NS for anything that is no time in this unit."""
        try:
            if not self._ns:
                return parse_rfc3339(raw, self._zone) if type(raw) is str and len(raw) <= TEXT_MAX else UNKNOWN_NS
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
            whole, part = divmod(raw, 1.0)
            found = int(whole) * self._ns + (round(part * self._ns / 1000) * 1000 if self._ns > 1000 else 0)
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
        whole = np.floor(np.where(usable, raw, 0.0))
        found = whole.astype(np.int64) * self._ns
        part = np.where(usable, raw, 0.0) - whole
        if part.any() and self._ns > 1000:
            found += np.rint(part * (self._ns / 1000)).astype(np.int64) * 1000
        return found if usable.all() else np.where(usable, found, UNKNOWN_NS)


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
