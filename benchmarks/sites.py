"""Site files for benchmarks: many instruments of 125 registers, three rules a channel."""

from typing import Any

from benchmarks.peers import REGISTERS

WINDOW_S = 10.0
"""The rate rule's window. Until it has passed once, every reading is judged in full: not what a running site costs."""

RULES: list[dict[str, Any]] = [
    {"id": "limit", "type": "threshold", "channels": ["*"], "latching": False, "options": {"low": 50, "high": 80}},
    {
        "id": "rise",
        "type": "rate",
        "channels": ["*"],
        "latching": False,
        "options": {"low": 100, "high": 200, "window_s": WINDOW_S},
    },
    {"id": "fault", "type": "fault", "channels": ["*"], "options": {"delay_s": 5}},
]


def store(url: str) -> dict[str, Any]:
    return {"id": "database", "type": "influxdb", "options": {"url": url, "database": "hazgate"}}


def site(
    port: int,
    units: int,
    *,
    connections: int | None = None,
    registers: int = REGISTERS,
    period_s: float = 1.0,
    stores: list[dict[str, Any]] | None = None,
    rules: list[dict[str, Any]] | None = None,
    api: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a site of `units` instruments behind the C server, each with a connection of its own unless told less."""
    lines = connections or units
    return {
        "site": {"id": "bench", "gateway": "gw-1"},
        "connections": [
            {"id": f"line{k}", "type": "modbus", "options": {"endpoint": f"tcp://127.0.0.1:{port}", **(options or {})}}
            for k in range(lines)
        ],
        "instruments": [
            _instrument(unit, f"line{(unit - 1) % lines}", registers, period_s) for unit in range(1, units + 1)
        ],
        "rules": RULES if rules is None else rules,
        "stores": stores or [],
        "api": api or {"enabled": False},
    }


def _instrument(unit: int, connection: str, registers: int, period_s: float) -> dict[str, Any]:
    return {
        "id": f"th-{unit:03}",
        "connection": connection,
        "area": f"hall-{unit % 8}",
        "period_s": period_s,
        "options": {"unit": unit},
        "channels": [
            {
                "id": f"t{address:03}",
                "quantity": "temperature",
                "unit": "°C",
                "range": [-40, 1000],
                "decimals": 1,
                "options": {"table": "holding", "address": address, "type": "uint16", "scale": 0.1},
            }
            for address in range(registers)
        ],
    }
