"""Many like ones in a few lines of a scenario."""

from typing import Any

import pytest

from gateway.core.errors import ConfigError
from simulators.loading import checked


def many(count: Any, **more: Any):
    return {
        "name": "many",
        "rooms": {"hall": {"volume_m3": 500}},
        "buses": {
            "plc": {"type": "modbus-tcp", "port": 15900, "count": 3},
            "line": {"type": "modbus-rtu", "link": "/tmp/x", "count": 2},
            "air": {"type": "mqtt"},
        },
        "instruments": {
            "fixed": {"bus": "plc-1", "unit": 2, "at": "hall", "channels": {"co": {"address": 0}}},
            "head": {"bus": "plc", "count": count, "at": "hall", "channels": {"co": {"address": 0}}, **more},
        },
    }


def test_a_bus_with_a_count_stands_for_as_many_on_ports_and_links_of_their_own():
    buses = checked(many(3)).buses
    assert [(name, getattr(bus, "port", bus.type)) for name, bus in buses.items()] == [
        ("plc-1", 15900),
        ("plc-2", 15901),
        ("plc-3", 15902),
        ("line-1", "modbus-rtu"),
        ("line-2", "modbus-rtu"),
        ("air", 0),
    ]
    assert buses["line-2"].link == "/tmp/x-2"


def test_instruments_are_dealt_out_over_the_buses_and_take_units_that_are_free():
    found = checked(many(10)).instruments
    assert [(name, spec.bus, spec.unit) for name, spec in found.items()][:6] == [
        ("fixed", "plc-1", 2),
        ("head-01", "plc-1", 1),
        ("head-02", "plc-2", 1),
        ("head-03", "plc-3", 1),
        ("head-04", "plc-1", 3),
        ("head-05", "plc-2", 2),
    ]
    assert len(found) == 11


def test_topics_carry_the_number():
    found = checked(many(12, bus="air", topic="plant/{n}", channels={"co": {}})).instruments
    assert found["head-07"].topic == "plant/07"
    assert found["head-07"].unit is None


@pytest.mark.parametrize(
    ("count", "unit", "problem"),
    [(0, 1, "from 1"), ("ten", 1, "from 1"), (True, 1, "from 1"), (10, 246, "no unit left")],
)
def test_a_count_that_cannot_be_is_refused_with_its_place(count: Any, unit: int, problem: str):
    with pytest.raises(ConfigError, match=problem) as caught:
        checked(many(count, unit=unit))
    assert str(caught.value).startswith("instruments.head.count: ")
