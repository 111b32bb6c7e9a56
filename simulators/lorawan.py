"""The bytes that LoRaWAN heads send, written from their data sheets, and what a network does with their frames.

The heads are Milesight's GS101 (combustible gas, a contact), GS301 (NH3 and H2S), GS524N (smoke) and EM300-TH
(climate). Theirs are pairs of channel and type, little-endian; the GS524N has six bytes whose sum is 0.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from gateway.core.clock import NS_PER_S
from simulators.payloads import Value
from simulators.scenario import State

Values = Mapping[str, Value]
BATTERY_PERCENT = 100
HISTORY_IN_A_FRAME = 4
"""So that a frame stays within the 51 bytes of the slowest data rate."""
_POLARISING, _ERROR = 0xFFFE, 0xFFFF
_LIFE_S = 5 * 365 * 86_400


def _number(values: Values, key: str) -> float | None:
    value = values.get(key)
    return float(value) if isinstance(value, int | float) else None


def _int(value: float | None, scale: float, size: int, *, signed: bool = False) -> bytes:
    low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)
    number = min(max(round((value or 0.0) / scale), low), high)
    return number.to_bytes(size, "little", signed=signed)


def gs101(values: Values, states: Sequence[State]) -> bytes:
    """Return the gas status, valve, relay and remaining life; a defect as the event `device fault`."""
    alarm = bool(_number(values, "gas"))
    frame = b"\x05\x8e" + bytes((alarm,)) + b"\x06\x01\x00\x07\x01\x00\x08\x90" + _LIFE_S.to_bytes(4, "little")
    return frame + b"\xff\x3f\x02" if "fault" in states else frame


def gs301(values: Values, states: Sequence[State]) -> bytes:
    """Return battery, climate, NH3 and H2S in hundredths of a ppm; while it polarises or is broken, what says so."""
    frame = bytes((0x01, 0x75, BATTERY_PERCENT))
    frame += b"\x02\x67" + _int(_number(values, "temperature"), 0.1, 2, signed=True)
    frame += b"\x03\x68" + _int(_number(values, "humidity"), 0.5, 1)
    for channel, gas in ((4, "nh3"), (5, "h2s")):
        special = _ERROR if "fault" in states else _POLARISING if "warm_up" in states else None
        held = min(int.from_bytes(_int(_number(values, gas), 0.01, 2), "little"), _POLARISING - 1)
        frame += bytes((channel, 0x7D)) + (held if special is None else special).to_bytes(2, "little")
    return frame


def gs524n(values: Values, states: Sequence[State]) -> bytes:
    """Return message kind, battery, smoke in percent and temperature, with the byte that makes their sum 0."""
    kind = 5 if "fault" in states else 1 if _number(values, "alarm") else 7
    smoke = min(max(round(_number(values, "smoke") or 0.0), 0), 100)
    warm = min(max(round(_number(values, "temperature") or 0.0), -128), 127) & 0xFF
    body = bytes((0x22, 0x10 | kind, BATTERY_PERCENT, smoke, warm))
    return body + bytes((-sum(body) & 0xFF,))


def em300_th(values: Values, states: Sequence[State]) -> bytes:  # noqa: ARG001 - all heads alike
    """Return battery, temperature and humidity."""
    frame = bytes((0x01, 0x75, BATTERY_PERCENT))
    frame += b"\x03\x67" + _int(_number(values, "temperature"), 0.1, 2, signed=True)
    return frame + b"\x04\x68" + _int(_number(values, "humidity"), 0.5, 1)


FRAMES: Mapping[str, Callable[[Values, Sequence[State]], bytes]] = {
    "milesight-gs101": gs101,
    "milesight-gs301": gs301,
    "milesight-gs524n": gs524n,
    "milesight-em300-th": em300_th,
}


def history(payload: str, readings: Sequence[tuple[Values, int]]) -> Iterator[bytes]:
    """Yield frames with what an EM300-TH has kept while nobody heard it, oldest first; other heads keep nothing.

    Args:
        payload: The kind of head.
        readings: Values and their times in ns.
    """
    if payload != "milesight-em300-th":
        return
    for first in range(0, len(readings), HISTORY_IN_A_FRAME):
        frame = b""
        for values, time_ns in readings[first : first + HISTORY_IN_A_FRAME]:
            frame += b"\x20\xce" + (time_ns // NS_PER_S).to_bytes(4, "little")
            frame += _int(_number(values, "temperature"), 0.1, 2, signed=True)
            # The last byte is a state that this head does not have.
            frame += _int(_number(values, "humidity"), 0.5, 1) + b"\x00"
        yield frame


def heard_again(uplink: bytes, identifier: str) -> bytes:
    """Return an uplink event as a second network server tells it: another identifier, the same frame and counter."""
    event = json.loads(uplink)
    event["deduplicationId"] = identifier
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
