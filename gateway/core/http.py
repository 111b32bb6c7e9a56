"""What an HTTP answer means to a sink: pure functions, no client."""

from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from gateway.core.clock import NS_PER_S

WORDS_MAX = 300
"""Characters of a peer's answer that go into messages and dead letters."""


def retry_after_s(header: str | None, now_ns: int) -> float | None:
    """Return the seconds of a `Retry-After` header, never negative, or None where there is none that can be read.

    Args:
        header: Seconds or an HTTP-date (RFC 9110, 10.2.3).
        now_ns: The present time, for dates.

    >>> retry_after_s("120", 0), retry_after_s("Thu, 01 Jan 1970 00:01:00 GMT", 0), retry_after_s("soon", 0)
    (120.0, 60.0, None)
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, moment.timestamp() - now_ns / NS_PER_S)
    except (ValueError, OverflowError, OSError):
        return None


def words(status: int, body: str) -> str:
    r"""Return a peer's answer as one line for messages.

    >>> words(503, "try\nlater")
    '503: try later'
    """
    text = " ".join(body.split())[:WORDS_MAX]
    return f"{status}: {text}" if text else str(status)


def checked_url(url: str) -> str:
    """Return a URL that a sink can write to, without a slash at its end.

    Raises:
        ValueError: It is not `http://` or `https://` with a host, or it holds a password.

    >>> checked_url("http://127.0.0.1:8086/")
    'http://127.0.0.1:8086'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no URL; it begins with http:// or https:// and names a host")
    if parts.username or parts.password:
        raise ValueError(f"a password does not stand in the URL of {parts.hostname}; name a secret instead")
    if parts.port == 0 or parts.fragment:
        raise ValueError(f"{url!r} has port 0 or a part after #")
    return url.rstrip("/")
