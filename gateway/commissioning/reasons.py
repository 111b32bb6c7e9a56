"""Why an endpoint cannot be asked, in words that say what to do."""

import os

from gateway.core.errors import NotConnectedError

HINTS = {
    "Permission denied": "you may not open the port; `hazgate ports` says which group to join",
    "Resource temporarily unavailable": "another process has the port; `hazgate ports` names it",
    "Device or resource busy": "another process has the port; `hazgate ports` names it",
    "No such file or directory": "there is no such port; `hazgate ports` lists those there are",
    "Connection refused": "connection refused: nothing listens on that port of the host",
    "No route to host": "no route to the host: is it on, is the address right",
}


def reason(error: NotConnectedError) -> str:
    """Return the reason; the system's usual ones with what to do about them.

    >>> reason(NotConnectedError("rtu:///dev/ttyUSB0", "Resource temporarily unavailable"))
    'another process has the port; `hazgate ports` names it'
    """
    cause = error.__cause__
    # asyncio hides the system's words behind its own.
    said = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else error.reason
    return next((text for key, text in HINTS.items() if key.lower() in said.lower()), error.reason)
