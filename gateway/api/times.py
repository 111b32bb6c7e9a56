"""Times as requests write them."""

import math

from gateway.api.problems import ProblemError
from gateway.core.clock import NS_PER_S, parse_rfc3339

TIME_MAX_S = 253_402_300_799
"""The last second of the year 9999, beyond which RFC 3339 has no words."""
NS_MAX = 2**63 - 1
"""In the year 2262: no reading and no event is later, as times are kept in 64 bits."""


def time_of(name: str, text: str, now_ns: int) -> int:
    """Return a time in nanoseconds from RFC 3339 or seconds ago, at most `NS_MAX`. Raises ProblemError."""
    try:
        ago_s = float(text)
    except ValueError:
        ago_s = math.nan
    try:
        # A `+` in a query arrives as a blank.
        time_ns = parse_rfc3339(text.replace(" ", "+")) if math.isnan(ago_s) else now_ns - round(ago_s * NS_PER_S)
    except (ValueError, OverflowError) as error:
        raise ProblemError(422, f"{name}: {text!r} is neither RFC 3339 with offset nor seconds ago") from error
    if not 0 <= time_ns <= TIME_MAX_S * NS_PER_S:
        raise ProblemError(422, f"{name}: {text!r} lies before 1970 or after 9999")
    return min(time_ns, NS_MAX)
