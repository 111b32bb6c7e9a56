"""Why an endpoint cannot be asked, or a value is not good, in words that say what to do."""

import os

from gateway.commissioning.adapters import users_of
from gateway.core.errors import NotConnectedError
from gateway.core.model import UNCERTAIN_FROM, Quality

TAKEN = "another process has the port; `hazgate ports` names it"
HINTS = {
    "Permission denied": "you may not open the port; `hazgate ports` says which group to join",
    "Resource temporarily unavailable": TAKEN,
    "Device or resource busy": TAKEN,
    "No such file or directory": "there is no such port; `hazgate ports` lists those there are",
    "Connection refused": "connection refused: nothing listens on that port of the host",
    "Inappropriate ioctl for device": "that is no serial port; `hazgate ports` lists those there are",
    "No route to host": "no route to the host: is it on, is the address right",
}

WHY = {
    Quality.COMMS_LOST: "does not answer",
    Quality.REFUSED: "refuses the register",
    Quality.UNREADABLE: "no value: see type, scale, unit",
    Quality.SENSOR_FAULT: "reports a fault of its sensor",
    Quality.WARM_UP: "warming up",
    Quality.CALIBRATION: "being calibrated",
    Quality.INHIBITED: "inhibited: its value is held",
    Quality.UNDER_RANGE: "far below its range",
    Quality.FROZEN: "heartbeat or value stands still",
    Quality.OVER_RANGE: "above its range",
    Quality.UNCERTAIN: "it or its status leaves a doubt",
    Quality.CLOCK_DOUBTFUL: "its clock is wrong",
    Quality.MAINTENANCE: "says it is in maintenance",
    Quality.TEST: "says it is being tested",
}
"""Few words, for a column of a table; the subject is the instrument."""


def reason(error: NotConnectedError) -> str:
    """Return the reason; the system's usual ones with what to do about them.

    >>> reason(NotConnectedError("rtu:///dev/ttyUSB0", "Resource temporarily unavailable"))
    'another process has the port; `hazgate ports` names it'
    """
    cause = error.__cause__
    # asyncio hides the system's words behind its own.
    said = os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else error.reason
    hint = next((text for key, text in HINTS.items() if key.lower() in said.lower()), error.reason)
    return _taken(error.endpoint) if hint is TAKEN else hint


def _taken(endpoint: str) -> str:
    """Return who has a port, and what a gateway that has it offers."""
    users = users_of(endpoint.removeprefix("rtu://"))
    if not users:
        return TAKEN
    more = "; a running gateway answers the same questions over its API" if any("hazgate" in u for u in users) else ""
    return f"in use by {', '.join(users)}{more}"


def why(quality: int) -> str:
    """Return why a reading is not good, in few words; empty where it is.

    >>> why(132), why(0)
    ('warming up', '')
    """
    if quality < UNCERTAIN_FROM:
        return ""
    try:
        return WHY.get(Quality(quality), "")
    except ValueError:
        return f"quality {quality}"
