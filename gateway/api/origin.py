"""Where a request comes from: this machine, another one, or another site's page."""

import ipaddress
import socket
from collections.abc import Callable, Mapping

from gateway.api.problems import ProblemError

_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def refuse_other_pages(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page sends (CSRF): nothing here is meant for other origins. Raises ProblemError.

    A page of the same host at another port is another origin too, though browsers send it the same cookies.
    """
    origin, host = headers.get("origin"), headers.get("host", "")
    # A proxy that ends TLS changes the scheme, so host and port decide.
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        raise ProblemError(403, f"a page of {origin!r} may not use this gateway")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise ProblemError(403, "a page of another site may not use this gateway")


def is_forwarded(headers: Mapping[str, str]) -> bool:
    """Return whether a proxy passed the request on: then the caller is somewhere else, whatever the address says."""
    return any(name in headers for name in _FORWARDED)


def is_encrypted(headers: Mapping[str, str], scheme: str) -> bool:
    """Return whether the browser came by https, here or to a proxy in front; who lies harms only himself.

    Args:
        headers: The request's headers.
        scheme: How the connection to this process was made.
    """
    said = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return "https" in (scheme, said) or headers.get("origin", "").lower().startswith("https://")


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("192.0.2.1"), is_loopback("")
    (True, True, False, False)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def is_own_name(host: str, own: Callable[[], str] = socket.gethostname) -> bool:
    """Return whether a `Host` header can only mean this machine: an IP address, `localhost`, or its own name.

    >>> is_own_name("127.0.0.1:8080"), is_own_name("[::1]:80"), is_own_name("evil.example:8080")
    (True, True, False)
    """
    name = host.lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        mine = own().lower()
        return name in ("localhost", mine, f"{mine}.local")
    return True
