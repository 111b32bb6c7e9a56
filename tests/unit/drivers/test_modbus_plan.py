from dataclasses import replace
from typing import Any

import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options, create
from drivers.modbus.places import Place, places
from drivers.modbus.plan import Block, blocks, character_s, plan_instrument, read_through, silence_s
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan


def place(address: int, length: int = 1, table: Any = "holding", row: int = 0, **options: Any) -> Place:
    return Place(Channel(row, f"i.c{row}", "i", "t"), table, address, length, **options)


def instrument(*channels: dict[str, Any], **options: Any) -> InstrumentPlan:
    plans = tuple(
        ChannelPlan(
            Channel(i, f"i.c{i}", "i", "t"),
            ChannelOptions.model_validate(c),
            ("instruments", 0, "channels", i),
        )
        for i, c in enumerate(channels)
    )
    return InstrumentPlan("i", 1.0, InstrumentOptions.model_validate(options), plans, ("instruments", 0))


def spans(found: list[Block]) -> list[tuple[str, int, int]]:
    return [(block.table, block.address, block.count) for block in found]


def test_neighbours_are_read_by_one_request_whatever_their_order() -> None:
    assert spans(blocks(1, [place(4, 2), place(0), place(1, 2)], 125, 1)) == [("holding", 0, 6)]


def test_a_gap_is_read_through_only_up_to_its_limit() -> None:
    assert spans(blocks(1, [place(0), place(5)], 125, 4)) == [("holding", 0, 6)]
    assert spans(blocks(1, [place(0), place(6)], 125, 4)) == [("holding", 0, 1), ("holding", 6, 1)]


def test_a_block_never_exceeds_what_the_instrument_gives() -> None:
    found = blocks(1, [place(a, 2) for a in range(0, 100, 2)], 15, 0)
    assert max(block.count for block in found) == 14
    assert sum(len(block.places) for block in found) == 50


def test_a_full_block_holds_125_registers_or_2000_bits() -> None:
    assert spans(blocks(1, [place(a) for a in range(126)], 125, 0)) == [("holding", 0, 125), ("holding", 125, 1)]
    bits = blocks(1, [place(a, 1, "coil") for a in range(2001)], 125, 0)
    assert spans(bits) == [("coil", 0, 2000), ("coil", 2000, 1)]


def test_overlapping_places_share_a_block() -> None:
    assert spans(blocks(1, [place(0, 4), place(1), place(1)], 125, 0)) == [("holding", 0, 4)]


def test_bit_tables_come_first_and_tables_are_never_mixed() -> None:
    mixed = [place(0), place(0, 1, "input"), place(0, 1, "coil"), place(0, 1, "discrete")]
    assert [block.table for block in blocks(1, mixed, 125, 9)] == ["discrete", "coil", "input", "holding"]


def test_halves_leave_out_the_unused_registers_between_them() -> None:
    block = Block(1, (place(0), place(1), place(8), place(9, 2)))
    halves = block.halves()
    assert halves is not None
    assert spans(list(halves)) == [("holding", 0, 2), ("holding", 8, 3)]


def test_bit_fields_of_one_register_cannot_be_cut_apart() -> None:
    assert Block(1, (place(3), place(3), place(3))).halves() is None
    halves = Block(1, (place(2), place(3), place(3), place(3))).halves()
    assert halves is not None
    assert [len(half.places) for half in halves] == [1, 3]


@pytest.mark.parametrize(
    ("baud", "parity", "gap", "silence"),
    [
        (9600, "E", 10, 3.5 * 11 / 9600),
        (19200, "E", 10, 3.5 * 11 / 19200),
        (38400, "E", 12, 0.00175),
        (115200, "E", 24, 0.00175),
    ],
)
def test_the_gap_worth_reading_follows_from_the_lines_speed(baud: int, parity: Any, gap: int, silence: float) -> None:
    options = Options(endpoint="rtu:///dev/null", baud=baud, parity=parity)
    assert read_through(options, 0.0) == gap
    assert silence_s(options) == pytest.approx(silence)
    assert character_s(options) == pytest.approx(11 / baud)


def test_a_slow_instrument_makes_longer_gaps_worth_reading() -> None:
    options = Options(endpoint="rtu:///dev/null", parity="E")
    assert read_through(options, 0.04) > read_through(options, 0.0)
    assert read_through(Options(endpoint="tcp://x", read_through=3), 9.0) == 3


@pytest.mark.parametrize(
    ("channel", "key", "words"),
    [
        ({"address": 65535, "type": "uint32"}, "address", "beyond 65535"),
        ({"address": 65533, "type": "float64"}, "address", "beyond 65535"),
        ({"address": 0, "type": "bit"}, "type", "holds registers"),
        ({"address": 0, "type": "uint16", "table": "coil"}, "type", "holds bits"),
        ({"address": 0, "bit": 16}, "bit", "has 16"),
        ({"address": 0, "bits": [10, 8]}, "bits", "has 16"),
        ({"address": 0, "type": "int16", "bit": 1}, "bit", "no bits to take"),
        ({"address": 0, "type": "float32", "bits": [0, 2]}, "bits", "no bits to take"),
        ({"address": 0, "bit": 1, "bits": [0, 2]}, "bits", "exclude"),
        ({"address": 0, "special": {65536: "sensor_fault"}}, "special", "no raw value"),
        ({"address": 0, "special": {-1: "sensor_fault"}}, "special", "no raw value"),
        ({"address": 0, "special": {1.5: "sensor_fault"}}, "special", "no raw value"),
        ({"address": 0, "bits": [0, 2], "special": {4: "sensor_fault"}}, "special", "no raw value"),
        ({"address": 0, "scale": 0.0}, "scale", "the same"),
        ({"address": 0, "scale": 1e300}, "scale", "too large"),
    ],
)
def test_contradictions_are_told_with_their_place(channel: dict[str, Any], key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        create(Options(endpoint="tcp://x"), [instrument({"address": 1}, channel)], ManualClock())
    assert caught.value.path == ("instruments", 0, "channels", 1, "options", key)


def test_a_value_longer_than_the_instruments_replies_is_refused() -> None:
    with pytest.raises(ConfigError, match="registers_max is 1"):
        places(instrument({"address": 0, "type": "uint32"}, registers_max=1))


@pytest.mark.parametrize(
    ("options", "unit", "path"),
    [
        ({"endpoint": "rtu:///dev/null", "baud": 12345}, 1, ("baud",)),
        ({"endpoint": "rtu:///dev/null", "in_flight": 2}, 1, ("in_flight",)),
        ({"endpoint": "rtu:///dev/null"}, 0, ("instruments", 0, "options", "unit")),
        ({"endpoint": "rtu+tcp://x:1", "in_flight": 2}, 1, ("in_flight",)),
    ],
)
def test_a_line_that_cannot_be_is_refused(options: dict[str, Any], unit: int, path: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        create(Options.model_validate(options), [instrument({"address": 0}, unit=unit)], ManualClock())
    assert caught.value.path == path


def test_a_connection_without_instruments_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to"):
        create(Options(endpoint="tcp://x"), [], ManualClock())


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "10.0.0.1:502",
        "http://x",
        "tcp://",
        "tcp://x:99999",
        "tcp://x/path",
        "rtu://dev/ttyS0",
        "rtu:///",
        "rtu+tcp://x",
    ],
)
def test_an_endpoint_that_names_nothing_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Options(endpoint=endpoint)


def test_fault_codes_of_signed_registers_may_be_written_as_they_lie_on_the_wire() -> None:
    found = places(instrument({"address": 0, "type": "int16", "special": {0xFFFF: "sensor_fault", -2: "warm_up"}}))
    assert found[0].special == ((-1, Quality.SENSOR_FAULT), (-2, Quality.WARM_UP))


def test_good_is_no_special_quality() -> None:
    with pytest.raises(ValueError, match="no doubt or fault"):
        ChannelOptions(address=0, special={1: "good"})


# --- costs --------------------------------------------------------------------------------------------------------


def test_where_replies_are_short_the_cut_falls_into_the_widest_gap() -> None:
    # Taking neighbours as they come fills the first reply and then reads through the gap of four as well.
    spots = [place(a) for a in (0, 2, 4, 9, 11)]
    assert spans(blocks(1, spots, 10, 8)) == [("holding", 0, 5), ("holding", 9, 3)]


def test_no_request_crosses_a_refused_register_to_reach_another() -> None:
    spots = [place(a) for a in (0, 2, 4, 6)]
    assert spans(blocks(1, spots, 125, 9, {("holding", 3), ("input", 1)})) == [("holding", 0, 3), ("holding", 4, 3)]


def test_a_refused_place_is_asked_alone_and_its_neighbours_around_it() -> None:
    spots = [place(0), place(1, 2), place(2), place(3)]
    assert spans(blocks(1, spots, 125, 9, {("holding", 1)})) == [
        ("holding", 0, 1),
        ("holding", 1, 2),
        ("holding", 2, 2),
    ]


def test_refusals_are_found_by_what_no_part_answers() -> None:
    block = Block(1, (place(0), place(5), place(16, 2), place(20)))
    first, second = block.halves() or ()
    assert spans([first, second]) == [("holding", 0, 6), ("holding", 16, 5)]
    assert block.unanswered([first, second]) == {("holding", a) for a in range(6, 16)}
    assert block.unanswered([first]) == {("holding", a) for a in range(6, 21)}
    assert block.unanswered([]) == {("holding", a) for a in range(21)}


# --- periods and urgency ------------------------------------------------------------------------------------------


def periods(found: list[Block]) -> dict[int, tuple[int, float, bool]]:
    return {block.address: (block.count, block.period_s, block.urgent) for block in found}


def test_a_value_read_seldom_rides_free_within_a_request_sent_often() -> None:
    spots = [place(0), place(4, period_s=60.0), place(8)]
    assert periods(blocks(1, spots, 125, 10)) == {0: (9, 1.0, True)}


def test_a_value_read_seldom_lengthens_a_request_only_where_that_is_cheaper() -> None:
    # One register each second costs more than a request of 11 registers each minute, less than one every 10 s.
    assert periods(blocks(1, [place(0), place(1, period_s=60.0)], 125, 10)) == {
        0: (1, 1.0, True),
        1: (1, 60.0, True),
    }
    assert periods(blocks(1, [place(0), place(1, period_s=10.0)], 125, 10)) == {0: (2, 1.0, True)}


def test_what_can_wait_is_asked_last_and_lengthens_nothing_urgent_by_more_than_a_request() -> None:
    short = [place(0, urgent=False), place(5), place(20, table="coil", urgent=False)]
    assert periods(blocks(1, short, 125, 10)) == {0: (6, 1.0, True), 20: (1, 1.0, False)}
    long = [place(a, urgent=False) for a in range(40)] + [place(40)]
    found = blocks(1, long, 125, 10)
    assert [(b.address, b.count, b.urgent) for b in found] == [(40, 1, True), (0, 40, False)]


def test_a_frequent_request_that_can_wait_does_not_become_urgent_by_a_rider() -> None:
    spots = [place(0, period_s=0.5, urgent=False), place(4, period_s=0.5, urgent=False), place(2)]
    found = blocks(1, spots, 125, 10)
    assert [(b.address, b.count, b.period_s, b.urgent) for b in found] == [(2, 1, 1.0, True), (0, 5, 0.5, False)]


def test_periods_and_urgency_come_from_the_channels() -> None:
    plan = instrument({"address": 0}, {"address": 100})
    slow = Channel(1, "i.c1", "i", "t", period_s=30.0)
    channels = (plan.channels[0], replace(plan.channels[1], channel=slow, alarmed=False))
    found = plan_instrument(Options(endpoint="tcp://x"), replace(plan, channels=channels))
    assert periods(found) == {0: (1, 1.0, True), 100: (1, 30.0, False)}


# --- offsets, files, queues, selections ---------------------------------------------------------------------------


def test_an_address_offset_counts_for_everything_that_is_read_or_selected() -> None:
    plan = instrument(
        {"address": 40003, "scale_from": {"address": 40011, "values": {0: 1}}},
        {"address": 40020, "select": {"address": 40100, "values": [1]}},
        address_offset=-40001,
        status=[{"address": 40007, "other": "uncertain"}],
        heartbeat={"address": 40008},
    )
    found = plan_instrument(Options(endpoint="tcp://x", read_through=0), plan)
    assert sorted(block.address for block in found) == [2, 6, 10, 19]
    assert next(b for b in found if b.address == 6).count == 2
    assert next(b for b in found if b.address == 19).places[0].select == (99, (1,))


@pytest.mark.parametrize(("address", "offset", "fits"), [(65536 - 1, 0, True), (0, -1, False), (65535, 1, False)])
def test_addresses_are_checked_after_the_offset(address: int, offset: int, fits: bool) -> None:
    plan = instrument({"address": address}, address_offset=offset)
    if fits:
        assert places(plan)[0].address == address + offset
    else:
        with pytest.raises(ConfigError, match=f"address_offset {offset} makes it {address + offset}"):
            places(plan)


def test_files_queues_and_selections_have_requests_of_their_own() -> None:
    plan = instrument(
        {"address": 0},
        {"table": "file", "file": 4, "address": 1, "type": "float32"},
        {"table": "file", "file": 4, "address": 3},
        {"table": "file", "file": 5, "address": 3},
        {"table": "fifo", "address": 70},
        {"table": "fifo", "address": 71},
        {"address": 1, "select": {"address": 200, "values": [1, 2]}},
        {"address": 1, "select": {"address": 200, "values": [3, 4]}},
    )
    found = plan_instrument(Options(endpoint="tcp://x"), plan)
    assert [(b.table, b.address, b.count, b.places[0].file, b.places[0].select) for b in found] == [
        ("holding", 0, 1, 0, None),
        ("holding", 1, 1, 0, (200, (1, 2))),
        ("holding", 1, 1, 0, (200, (3, 4))),
        ("file", 1, 3, 4, None),
        ("file", 3, 1, 5, None),
        ("fifo", 70, 1, 0, None),
        ("fifo", 71, 1, 0, None),
    ]
    assert [b.request().function for b in found] == [3, 23, 23, 20, 20, 24, 24]


@pytest.mark.parametrize(
    ("channel", "key", "words"),
    [
        ({"address": 0, "file": 2}, ("file",), "table is holding"),
        ({"address": 10000, "table": "file"}, ("address",), "beyond 9999"),
        ({"address": 0, "table": "input", "select": {"address": 0, "values": [1]}}, ("select",), "table is input"),
        ({"address": 0, "select": {"address": 65535, "values": [1, 2]}}, ("select", "address"), "beyond 65535"),
    ],
)
def test_files_and_selections_that_cannot_be_are_told_with_their_place(channel: Any, key: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        places(instrument(channel))
    assert caught.value.path == ("instruments", 0, "channels", 0, "options", *key)


def test_a_queue_at_the_last_address_may_hold_long_values() -> None:
    assert places(instrument({"address": 65535, "table": "fifo", "type": "uint32"}))[0].length == 2


def test_a_tls_or_udp_endpoint_costs_what_tcp_costs() -> None:
    for endpoint in ("tcp://x", "tls://x", "udp://x"):
        assert read_through(Options(endpoint=endpoint), 1.0) == 16
