"""What words say of values, and that a word that says nothing is never taken for GOOD."""

import math
import struct
from dataclasses import replace
from typing import Any

import pytest

from drivers.modbus import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.decode import Decoder
from drivers.modbus.plan import Block, plan_instrument
from drivers.modbus.status import COMPLAINTS_MAX, InstrumentState, outranks
from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

OPTIONS = Options(endpoint="tcp://x", read_through=0)
GOOD, UNCERTAIN = Quality.GOOD, Quality.UNCERTAIN


def instrument(*channels: dict[str, Any], period_s: float = 1.0, unit: str = "ppm", **options: Any) -> InstrumentPlan:
    plans = tuple(
        ChannelPlan(
            Channel(10 + i, f"gd.c{i}", "gd", "co", unit=unit, range_low=0, range_high=100, period_s=period_s),
            ChannelOptions.model_validate(channel),
            ("instruments", 0, "channels", i),
        )
        for i, channel in enumerate(channels)
    )
    return InstrumentPlan("gd", period_s, InstrumentOptions.model_validate(options), plans, ("instruments", 0))


class Bench:
    """An instrument of registers, read block by block through its decoders."""

    def __init__(self, plan: InstrumentPlan) -> None:
        self.state = InstrumentState(plan)
        self.blocks = plan_instrument(OPTIONS, plan)
        self.decoders = [Decoder(block, self.state) for block in self.blocks]
        self.registers: dict[int, int] = {}
        self.absent: set[int] = set()

    def data(self, block: Block) -> bytes:
        values = [self.registers.get(a, 0) for a in range(block.address, block.address + block.count)]
        if block.table in ("coil", "discrete"):
            return sum(1 << i for i, v in enumerate(values) if v).to_bytes((len(values) + 7) // 8, "little")
        return struct.pack(f">{len(values)}H", *values)

    def read(self, now_s: float) -> dict[int, tuple[float, Quality]]:
        found = {}
        for block, decoder in zip(self.blocks, self.decoders, strict=True):
            if block.address in self.absent:
                decoder.refused(now_s)
                continue
            batch = decoder.decode(self.data(block), 1, now_s)
            for row, value, quality in zip(
                batch.row.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
            ):
                assert math.isnan(value) == (quality >= Quality.BAD)
                found[row - 10] = (value, Quality(quality))
        return found

    def quality(self, now_s: float, channel: int = 0) -> Quality:
        return self.read(now_s)[channel][1]


STATUS = {"address": 50, "values": {"2": "warm_up", "3": "inhibited", "1100..1199": "sensor_fault"}}


@pytest.mark.parametrize(
    ("raw", "quality"),
    [
        (0, GOOD),
        (2, Quality.WARM_UP),
        (3, Quality.INHIBITED),
        (1099, GOOD),
        (1100, Quality.SENSOR_FAULT),
        (1199, Quality.SENSOR_FAULT),
        (1200, GOOD),
    ],
)
def test_a_status_word_makes_the_values_what_it_says(raw: int, quality: Quality) -> None:
    bench = Bench(instrument({"address": 0}, status=[STATUS]))
    bench.registers = {0: 7, 50: raw}
    value, found = bench.read(0.0)[0]
    assert found is quality
    assert value == 7.0 or quality >= Quality.BAD


def test_the_status_is_asked_before_the_values_it_speaks_of() -> None:
    bench = Bench(instrument({"address": 0}, {"address": 3, "table": "discrete"}, status=[STATUS]))
    assert [(block.table, block.address) for block in bench.blocks] == [
        ("holding", 50),
        ("discrete", 3),
        ("holding", 0),
    ]
    assert bench.decoders[0].rows.tolist() == []
    assert len(bench.decoders[0].decode(b"\x00\x00", 1, 0.0)) == 0


def test_a_status_beside_its_value_is_read_by_the_same_request() -> None:
    bench = Bench(instrument({"address": 51}, status=[STATUS]))
    assert [(block.address, block.count) for block in bench.blocks] == [(50, 2)]
    bench.registers = {50: 3, 51: 9}
    assert bench.quality(0.0) is Quality.INHIBITED


def test_a_word_that_is_a_channel_too_is_read_once() -> None:
    plan = instrument({"address": 50}, {"address": 50, "bits": [0, 4]}, status=[STATUS])
    bench = Bench(plan)
    assert [(block.address, block.count) for block in bench.blocks] == [(50, 1)]


def test_flags_and_other_values_speak_too() -> None:
    status = {"address": 50, "flags": {4: "uncertain", 5: "sensor_fault"}, "values": {"0": "good", "16": "good"}}
    bench = Bench(instrument({"address": 0}, status=[{**status, "other": "calibration"}]))
    for raw, quality in ((0, GOOD), (16, UNCERTAIN), (1, Quality.CALIBRATION), (32, Quality.CALIBRATION)):
        bench.registers[50] = raw
        assert bench.quality(0.0) is quality
    bench = Bench(instrument({"address": 0}, status=[status]))
    for raw, quality in ((0b110000, Quality.SENSOR_FAULT), (0b010000, UNCERTAIN), (0b001111, GOOD)):
        bench.registers[50] = raw
        assert bench.quality(0.0) is quality


def test_codes_of_signed_words_may_be_written_as_they_lie_on_the_wire() -> None:
    status = {"address": 50, "type": "int16", "values": {"65535": "sensor_fault", "-3..-2": "warm_up"}}
    bench = Bench(instrument({"address": 0}, status=[status]))
    for raw, quality in ((0xFFFF, Quality.SENSOR_FAULT), (0xFFFE, Quality.WARM_UP), (0xFFFC, GOOD), (1, GOOD)):
        bench.registers[50] = raw
        assert bench.quality(0.0) is quality


@pytest.mark.parametrize(
    ("first", "second", "quality"),
    [
        ("warm_up", "inhibited", Quality.WARM_UP),
        ("test", "maintenance", Quality.TEST),
        ("uncertain", "sensor_fault", Quality.SENSOR_FAULT),
        ("sensor_fault", "uncertain", Quality.SENSOR_FAULT),
        ("maintenance", "over_range", Quality.OVER_RANGE),
        ("good", "test", Quality.TEST),
    ],
)
def test_bad_outranks_doubt_and_the_earlier_word_the_later(first: str, second: str, quality: Quality) -> None:
    words = [{"address": 50 + 9 * i, "values": {"0": name}} for i, name in enumerate((first, second))]
    assert Bench(instrument({"address": 0}, status=words)).quality(0.0) is quality


def test_a_word_speaks_only_of_its_channels() -> None:
    bench = Bench(instrument({"address": 0}, {"address": 1}, status=[{**STATUS, "channels": ["c1"]}]))
    bench.registers[50] = 3
    assert {i: q for i, (_, q) in bench.read(0.0).items()} == {0: GOOD, 1: Quality.INHIBITED}


def test_a_status_bit_may_be_a_coil() -> None:
    bench = Bench(instrument({"address": 0}, status=[{"table": "coil", "address": 9, "values": {"1": "maintenance"}}]))
    assert bench.quality(0.0) is GOOD
    bench.registers[9] = 1
    assert bench.read(0.0)[0] == (0.0, Quality.MAINTENANCE)


def test_a_status_that_was_never_read_is_doubt_and_not_good() -> None:
    bench = Bench(instrument({"address": 0}, status=[STATUS]))
    value_only = bench.decoders[1].decode(b"\x00\x07", 1, 0.0)
    assert (value_only.value.tolist(), value_only.quality.tolist()) == ([7.0], [UNCERTAIN])


def test_a_status_that_is_refused_is_doubt_from_then_on() -> None:
    bench = Bench(instrument({"address": 0}, status=[STATUS]))
    assert bench.quality(0.0) is GOOD
    bench.absent = {50}
    assert bench.quality(1.0) is UNCERTAIN
    bench.absent = set()
    assert bench.quality(2.0) is GOOD


def test_a_status_not_confirmed_for_three_periods_and_five_seconds_counts_as_never_read() -> None:
    bench = Bench(instrument({"address": 0}, status=[STATUS], period_s=2.0))
    bench.registers[50] = 3
    assert bench.quality(100.0) is Quality.INHIBITED
    status, value = bench.decoders
    assert value.decode(b"\x00\x00", 1, 111.0).quality.tolist() == [Quality.INHIBITED]
    assert value.decode(b"\x00\x00", 1, 111.1).quality.tolist() == [UNCERTAIN]
    status.decode(b"\x00\x00", 1, 112.0)
    assert value.decode(b"\x00\x00", 1, 123.0).quality.tolist() == [GOOD]
    assert value.decode(b"\x00\x00", 1, 123.1).quality.tolist() == [UNCERTAIN]


def test_a_confirmed_status_lives_on_beside_one_that_is_lost() -> None:
    bench = Bench(instrument({"address": 0}, {"address": 1}, status=[
        {**STATUS, "channels": ["c0"]}, {**STATUS, "address": 60, "channels": ["c1"]}
    ]))  # fmt: skip
    for now_s in range(20):
        found = bench.read(float(now_s))
        if now_s == 3:
            bench.decoders[1] = Decoder(bench.blocks[0], bench.state)
            bench.blocks[1] = bench.blocks[0]
    assert {i: q for i, (_, q) in found.items()} == {0: GOOD, 1: UNCERTAIN}


def test_a_word_that_speaks_tells_more_than_one_that_is_refused() -> None:
    test = {"address": 60, "values": {"1": "test"}}
    bench = Bench(instrument({"address": 0}, status=[STATUS, test]))
    bench.registers[60] = 1
    bench.absent = {50}
    assert bench.quality(0.0) is Quality.TEST


def test_a_status_reply_of_the_wrong_size_says_nothing() -> None:
    bench = Bench(instrument({"address": 0}, status=[STATUS]))
    assert bench.quality(0.0) is GOOD
    assert len(bench.decoders[0].decode(b"\x00", 1, 1.0)) == 0
    assert bench.decoders[1].decode(b"\x00\x07", 1, 1.0).quality.tolist() == [UNCERTAIN]


# --- heartbeat ----------------------------------------------------------------------------------------------------

BEAT = {"address": 50, "stalls_after_s": 15}


def test_a_heartbeat_is_doubt_until_it_was_seen_to_change_and_good_while_it_does() -> None:
    bench = Bench(instrument({"address": 0}, heartbeat=BEAT))
    assert bench.quality(0.0) is UNCERTAIN
    assert bench.quality(1.0) is UNCERTAIN
    for now_s in range(2, 40):
        bench.registers[50] = now_s // 10
        assert bench.quality(float(now_s)) is (GOOD if now_s >= 10 else UNCERTAIN)


def test_a_heartbeat_that_stands_still_makes_the_values_frozen_until_it_changes() -> None:
    bench = Bench(instrument({"address": 0}, heartbeat=BEAT))
    bench.read(0.0)
    bench.registers[50] = 1
    found = [bench.quality(float(now_s)) for now_s in range(1, 20)]
    assert found == [GOOD] * 16 + [Quality.FROZEN] * 3
    bench.registers[50] = 2
    assert bench.quality(20.0) is GOOD


def test_a_heartbeat_that_could_not_be_read_has_not_stood_still() -> None:
    bench = Bench(instrument({"address": 0}, heartbeat=BEAT))
    bench.read(0.0)
    bench.registers[50] = 1
    assert bench.quality(1.0) is GOOD
    # Long silence; the same value by chance (a toggling bit): no evidence either way.
    found = [bench.quality(float(now_s)) for now_s in range(60, 77)]
    assert found == [UNCERTAIN] * 16 + [Quality.FROZEN]


def test_a_heartbeat_that_stood_still_before_a_silence_and_after_it_is_frozen_at_once() -> None:
    bench = Bench(instrument({"address": 0}, heartbeat=BEAT))
    for now_s in range(20):
        bench.read(float(now_s))
    assert bench.quality(20.0) is Quality.FROZEN
    assert bench.quality(200.0) is Quality.FROZEN


def test_a_frozen_instruments_status_is_as_old_as_its_values() -> None:
    bench = Bench(instrument({"address": 0}, heartbeat=BEAT, status=[{**STATUS, "address": 60}]))
    bench.registers[60] = 3
    assert bench.quality(0.0) is Quality.INHIBITED
    for now_s in range(20):
        found = bench.quality(float(now_s))
    assert found is Quality.FROZEN


def test_what_a_frozen_instrument_shows_is_frozen_whatever_it_shows() -> None:
    bench = Bench(instrument({"address": 0, "special": {7: "sensor_fault"}}, heartbeat=BEAT))
    bench.registers[0] = 7
    found = [bench.quality(float(now_s)) for now_s in range(20)]
    assert (found[0], found[-1]) == (Quality.SENSOR_FAULT, Quality.FROZEN)


def test_a_heartbeat_is_read_three_times_within_the_time_it_may_stand_still() -> None:
    slow = plan_instrument(OPTIONS, instrument({"address": 0}, period_s=60.0, heartbeat=BEAT))
    assert {block.address: block.period_s for block in slow} == {50: 5.0, 0: 60.0}
    fast = plan_instrument(OPTIONS, instrument({"address": 0}, period_s=1.0, heartbeat=BEAT))
    assert {block.address: block.period_s for block in fast} == {50: 1.0, 0: 1.0}


# --- scale and unit -----------------------------------------------------------------------------------------------

SCALE = {"address": 50, "values": {0: 1, 1: 0.1, 2: 0.01}}


def test_a_scale_word_multiplies_exactly() -> None:
    bench = Bench(instrument({"address": 0, "scale_from": SCALE, "offset": -1.0}))
    bench.registers = {0: 111, 50: 1}
    assert bench.read(0.0)[0] == (11.1 - 1.0, GOOD)
    bench.registers[50] = 2
    assert bench.read(1.0)[0] == (1.11 - 1.0, GOOD)


def test_an_unknown_scale_makes_the_value_unreadable_and_is_told_once() -> None:
    bench = Bench(instrument({"address": 0, "scale_from": SCALE}, {"address": 1}))
    bench.registers = {0: 7, 1: 7, 50: 9}
    for now_s in range(3):
        found = bench.read(float(now_s))
    assert (found[0][1], found[1]) == (Quality.UNREADABLE, (7.0, GOOD))
    (complaint,) = bench.state.complaints()
    assert "gd.c0 scale_from: 9 in holding 50" in complaint
    assert bench.state.complaints() == []


def test_without_its_scale_a_value_is_unreadable() -> None:
    bench = Bench(instrument({"address": 0, "scale_from": SCALE}))
    bench.absent = {50}
    assert bench.quality(0.0) is Quality.UNREADABLE
    assert bench.state.complaints() == []


@pytest.mark.parametrize(("raw", "word"), [(7, 9), (65535, 3)])
def test_without_a_range_too_no_scale_makes_a_value_that_is_no_number_good(raw: int, word: int) -> None:
    scale = {"address": 50, "values": {0: 1, 3: 1e307}}
    plan = instrument({"address": 0, "scale_from": scale})
    unbounded = replace(plan.channels[0].channel, range_low=math.nan, range_high=math.nan)
    bench = Bench(replace(plan, channels=(replace(plan.channels[0], channel=unbounded),)))
    bench.registers = {0: raw, 50: word}
    assert bench.quality(0.0) is Quality.UNREADABLE
    bench.registers[50] = 0
    assert bench.read(1.0)[0] == (float(raw), GOOD)


def test_a_range_is_that_of_the_scaled_value() -> None:
    bench = Bench(instrument({"address": 0, "scale_from": SCALE}))
    bench.registers = {0: 1001, 50: 1}
    assert bench.read(0.0)[0] == (100.1, Quality.OVER_RANGE)
    bench.registers[50] = 2
    assert bench.read(1.0)[0] == (10.01, GOOD)


@pytest.mark.parametrize(
    ("raw", "quality", "words"),
    [(4, GOOD, None), (6, GOOD, None), (5, Quality.UNREADABLE, "says %LEL"), (9, Quality.UNREADABLE, "is no unit")],
)
def test_a_unit_other_than_the_site_files_makes_the_value_unreadable(raw: int, quality: Quality, words: Any) -> None:
    unit = {"address": 50, "values": {4: "ppm", 5: "%LEL", 6: " PPM"}}
    bench = Bench(instrument({"address": 0, "unit_from": unit}))
    bench.registers[50] = raw
    assert bench.quality(0.0) is quality
    told = bench.state.complaints()
    assert len(told) == (0 if words is None else 1)
    assert words is None or words in told[0]
    assert [words in text for text in bench.state.said.values()] == ([] if words is None else [True])


def test_a_register_full_of_noise_does_not_fill_the_log() -> None:
    bench = Bench(instrument({"address": 0, "unit_from": {"address": 50, "values": {70000: "ppm"}}}))
    for now_s in range(COMPLAINTS_MAX + 50):
        bench.registers[50] = now_s
        bench.read(float(now_s))
    assert len(bench.state.complaints()) == COMPLAINTS_MAX


# --- values and words together ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "told", "quality"),
    [
        (7, "uncertain", UNCERTAIN),
        (7, "test", Quality.TEST),
        (200, "test", Quality.OVER_RANGE),
        (200, "inhibited", Quality.INHIBITED),
        (7, "over_range", Quality.OVER_RANGE),
        (0xFFF0, "over_range", Quality.OVER_RANGE),
        (0xFFF1, "warm_up", Quality.SENSOR_FAULT),
        (0xFFF1, "uncertain", Quality.SENSOR_FAULT),
        (0xFFF0, "uncertain", Quality.TEST),
    ],
)
def test_the_worse_of_a_value_and_its_status_wins(own: int, told: str, quality: Quality) -> None:
    special = {0xFFF0: "test", 0xFFF1: "sensor_fault"}
    bench = Bench(instrument({"address": 0, "special": special}, status=[{"address": 50, "other": told}]))
    bench.registers[0] = own
    assert bench.quality(0.0) is quality


def test_warm_up_explains_a_value_that_is_no_number() -> None:
    bench = Bench(instrument({"address": 0, "type": "float32"}, status=[{"address": 50, "values": {"1": "warm_up"}}]))
    bench.registers = {0: 0x7FC0, 1: 0, 50: 1}
    assert bench.quality(0.0) is Quality.WARM_UP
    bench.registers[50] = 0
    assert bench.quality(1.0) is Quality.UNREADABLE


def test_only_bad_over_range_and_other_doubts_outrank_in_this_order() -> None:
    order = [(GOOD, Quality.BACKFILLED), (UNCERTAIN, Quality.TEST), (Quality.OVER_RANGE,), (Quality.BAD, Quality.STALE)]
    for i, low in enumerate(order):
        for j, high in enumerate(order):
            assert all(outranks(new, old) == (j > i) for new in high for old in low)


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "path", "words"),
    [
        ({"status": [{"address": 1}]}, ("status", 0), "says nothing"),
        ({"status": [STATUS, {"address": 1, "flags": {16: "bad"}}]}, ("status", 1, "flags"), "bit 16"),
        ({"status": [{"address": 1, "values": {"65536": "bad"}}]}, ("status", 0, "values"), "no raw value"),
        ({"status": [{**STATUS, "channels": ["c0", "ch4"]}]}, ("status", 0, "channels", 1), "no channel of gd; c0 are"),
        ({"status": [{**STATUS, "type": "float32"}]}, ("status", 0, "type"), "no word"),
        ({"status": [{**STATUS, "table": "file"}]}, ("status", 0, "table"), "coil, discrete"),
        ({"status": [{**STATUS, "table": "coil", "type": "uint16"}]}, ("status", 0, "type"), "holds bits"),
        ({"heartbeat": {**BEAT, "period_s": 15}}, ("heartbeat", "period_s"), "stand still"),
        ({"heartbeat": {**BEAT, "bit": 16}}, ("heartbeat", "bit"), "has 16"),
        ({"heartbeat": BEAT, "address_offset": -51}, ("heartbeat", "address"), "makes it -1"),
    ],
)
def test_words_that_contradict_themselves_are_told_with_their_place(options: Any, path: Any, words: str) -> None:
    plan = instrument({"address": 60}, **options)
    for use in (lambda: plan_instrument(OPTIONS, plan), lambda: InstrumentState(plan)):
        with pytest.raises(ConfigError, match=words) as caught:
            use()
        assert caught.value.path == ("instruments", 0, "options", *path)


@pytest.mark.parametrize(
    ("channel", "unit", "key", "words"),
    [
        ({"scale_from": {"address": 1, "values": {0: 0.0}}}, "ppm", ("scale_from", "values"), "the same"),
        ({"unit_from": {"address": 1, "values": {0: "ppm"}}}, "", ("unit_from",), "has no unit"),
    ],
)
def test_a_scale_or_unit_that_cannot_be_is_told_at_its_channel(channel: Any, unit: str, key: Any, words: str) -> None:
    plan = instrument({"address": 0}, {"address": 0, **channel}, unit=unit)
    with pytest.raises(ConfigError, match=words) as caught:
        InstrumentState(plan)
    assert caught.value.path == ("instruments", 0, "channels", 1, "options", *key)
