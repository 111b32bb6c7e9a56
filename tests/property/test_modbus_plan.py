"""Whatever lies where: every place is read once, within the limits, around what is refused, for the least cost."""

from itertools import combinations, pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modbus.decode import Decoder
from drivers.modbus.options import ChannelOptions, InstrumentOptions, Options
from drivers.modbus.places import Place
from drivers.modbus.plan import Block, blocks, plan_instrument
from drivers.modbus.status import InstrumentState
from gateway.core.model import BAD_FROM, Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

TABLES = ["holding", "input", "coil", "discrete"]
QUALITIES = [quality.name.lower() for quality in Quality if quality >= Quality.UNCERTAIN]


def place(row: int, address: int, length: int = 1, **options: Any) -> Place:
    return Place(Channel(row, f"i.c{row}", "i", "t"), options.pop("table", "holding"), address, length, **options)


spots = st.lists(st.tuples(st.integers(0, 300), st.sampled_from([1, 2, 4])), min_size=1, max_size=40)


@st.composite
def sites(draw: Any) -> list[Place]:
    found = []
    for row in range(draw(st.integers(1, 40))):
        table = draw(st.sampled_from(TABLES))
        length = draw(st.sampled_from([1, 2, 4])) if table in ("holding", "input") else 1
        found.append(
            place(
                row,
                draw(st.integers(0, 200)),
                length,
                table=table,
                period_s=draw(st.sampled_from([0.5, 1.0, 10.0])),
                urgent=draw(st.booleans()),
            )
        )
    return found


def addresses(block: Block) -> range:
    return range(block.address, block.address + block.count)


@given(
    sites(),
    st.integers(4, 125),
    st.integers(0, 20),
    st.sets(st.tuples(st.sampled_from(TABLES), st.integers(0, 204)), max_size=12),
)
def test_a_plan_reads_each_place_once_in_time_and_crosses_no_refused_register(
    places: list[Place], limit: int, price: int, refused: set[Any]
) -> None:
    found = blocks(7, places, limit, price, refused)
    assert sorted(p.channel.row for block in found for p in block.places if p.channel) == list(range(len(places)))
    for block in found:
        bits = block.table in ("coil", "discrete")
        assert block.count <= (limit * 16 if bits else limit)
        assert {p.table for p in block.places} == {block.table}
        assert [p.address for p in block.places] == sorted(p.address for p in block.places)
        assert all(p.address in addresses(block) and p.end - 1 in addresses(block) for p in block.places)
        assert block.period_s == min(p.period_s for p in block.places)
        crossed = {a for table, a in refused if table == block.table} & set(addresses(block))
        # A place that is itself refused is asked alone, with nothing but what lies just where it lies.
        assert not crossed or len({(p.address, p.end) for p in block.places}) == 1
    assert [block.urgent for block in found] == sorted((block.urgent for block in found), reverse=True)


def brute_force(places: list[Place], limit: int, price: int) -> int:
    """Return the least cost by trying every set of cuts, and every order that matters, on few places."""
    ordered = sorted(places, key=lambda p: (p.address, p.end))
    best = None
    for k in range(len(ordered)):
        for cuts in combinations(range(1, len(ordered)), k):
            edges = [0, *cuts, len(ordered)]
            groups = [ordered[a:b] for a, b in pairwise(edges)]
            spans = [max(p.end for p in group) - min(p.address for p in group) for group in groups]
            cost = sum(price + span for span in spans)
            if max(spans) <= limit and (best is None or cost < best):
                best = cost
    assert best is not None
    return best


def cost(found: list[Block], price: int) -> int:
    return sum(price + block.count for block in found)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([1, 2, 4])), min_size=1, max_size=9),
    st.integers(4, 30),
    st.integers(0, 20),
)
def test_no_set_of_requests_is_cheaper(spots: list[Any], limit: int, price: int) -> None:
    places = [place(row, *spot) for row, spot in enumerate(spots)]
    assert cost(blocks(1, places, limit, price), price) == brute_force(places, limit, price)


def greedy(places: list[Place], limit: int, gap: int) -> list[list[Place]]:
    runs: list[list[Place]] = []
    start = end = 0
    for spot in sorted(places, key=lambda p: (p.address, p.length)):
        if not runs or spot.address - end > gap or max(end, spot.end) - start > limit:
            runs.append([])
            start, end = spot.address, spot.end
        runs[-1].append(spot)
        end = max(end, spot.end)
    return runs


@given(spots, st.integers(4, 125), st.integers(0, 20))
def test_a_plan_never_costs_more_than_taking_neighbours_as_they_come(spots: Any, limit: int, price: int) -> None:
    places = [place(row, *spot) for row, spot in enumerate(spots)]
    simple = greedy(places, limit, price)
    spans = [max(p.end for p in run) - run[0].address for run in simple]
    assert cost(blocks(1, places, limit, price), price) <= sum(price + span for span in spans)


@given(sites(), st.integers(4, 125), st.integers(0, 20))
def test_sharing_requests_between_periods_never_costs_the_line_more(
    places: list[Place], limit: int, price: int
) -> None:
    def rate(found: list[Block]) -> float:
        return sum(
            (price * (16 if block.table in ("coil", "discrete") else 1) + block.count) / block.period_s
            for block in found
        )

    classes: dict[Any, list[Place]] = {}
    for spot in places:
        classes.setdefault((spot.period_s, spot.urgent), []).append(spot)
    apart = sum(rate(blocks(1, group, limit, price)) for group in classes.values())
    assert rate(blocks(1, places, limit, price)) <= apart * (1 + 1e-9)


@given(sites(), st.integers(4, 125))
def test_what_can_wait_is_never_made_urgent(places: list[Place], limit: int) -> None:
    for block in blocks(1, places, limit, 10):
        fastest_urgent = min((p.period_s for p in block.places if p.urgent), default=None)
        assert fastest_urgent is None or block.period_s == fastest_urgent


@given(spots, st.data())
def test_what_no_answered_part_holds_is_where_the_refusal_lies(spots: Any, data: Any) -> None:
    places = [place(row, *spot) for row, spot in enumerate(spots)]
    block = blocks(1, places, 125, 120)[0]
    parts = [block]
    for _ in range(data.draw(st.integers(0, 5))):
        half = parts[0].halves()
        parts = [*(half or parts[:1]), *parts[1:]]
    answered = [part for part in parts if data.draw(st.booleans())]
    refused = block.unanswered(answered)
    inside = {a for part in answered for a in addresses(part)}
    assert {a for _, a in refused} == set(addresses(block)) - inside
    for again in blocks(1, list(block.places), 125, 120, refused):
        crossed = {a for _, a in refused} & set(addresses(again))
        assert not crossed or len({(p.address, p.end) for p in again.places}) == 1


@given(st.lists(st.sampled_from(["good", *QUALITIES]), min_size=1, max_size=6))
def test_what_several_status_words_say_follows_their_ranks_and_order(names: list[str]) -> None:
    status = [{"address": i, "values": {"0": name}} for i, name in enumerate(names)]
    channel = ChannelPlan(Channel(0, "i.c", "i", "t"), ChannelOptions(address=100))
    plan = InstrumentPlan("i", 1.0, InstrumentOptions.model_validate({"status": status}), (channel,))
    state = InstrumentState(plan)
    for block in plan_instrument(Options(endpoint="tcp://x"), plan):
        Decoder(block, state).decode(bytes(2 * block.count), 1, 0.0)
    said = [Quality[name.upper()] for name in names if name != "good"]
    bad = [quality for quality in said if quality >= Quality.BAD]
    over = [quality for quality in said if quality == Quality.OVER_RANGE]
    assert state.quality.tolist() == [(*bad, *over, *said, Quality.GOOD)[0]]


words = st.fixed_dictionaries(
    {"address": st.integers(0, 12), "table": st.just("holding")},
    optional={
        "values": st.dictionaries(st.integers(0, 3).map(str), st.sampled_from([*QUALITIES, "good"]), min_size=1),
        "other": st.sampled_from(QUALITIES),
    },
).filter(lambda word: "values" in word or "other" in word)


@settings(max_examples=60)
@given(
    st.lists(words, max_size=3),
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.booleans(),
    st.data(),
)
def test_any_bytes_in_any_order_make_lawful_readings(status: Any, values: Any, beats: Any, data: Any) -> None:
    options: dict[str, Any] = {"status": status}
    if beats:
        options["heartbeat"] = {"address": 5, "stalls_after_s": 3}
    channels = []
    for row, (address, scaled, typed) in enumerate(values):
        channel: dict[str, Any] = {"address": address, "special": {7: data.draw(st.sampled_from(QUALITIES))}}
        if scaled:
            channel["scale_from"] = {"address": 3, "values": {0: 1, 1: 0.1, 2: 1e300}}
        if typed:
            channel["type"] = "float32"
        made = Channel(row, f"i.c{row}", "i", "t", unit="ppm", range_low=0, range_high=100)
        channels.append(ChannelPlan(made, ChannelOptions.model_validate(channel)))
    plan = InstrumentPlan("i", 1.0, InstrumentOptions.model_validate(options), tuple(channels))
    state = InstrumentState(plan)
    found = plan_instrument(Options(endpoint="tcp://x", read_through=data.draw(st.integers(0, 4))), plan)
    decoders = [(block, Decoder(block, state)) for block in found]
    now_s = 0.0
    for _ in range(data.draw(st.integers(1, 8))):
        block, decoder = data.draw(st.sampled_from(decoders))
        now_s += data.draw(st.sampled_from([0.1, 1.0, 30.0]))
        if data.draw(st.integers(0, 5)) == 0:
            decoder.refused(now_s)
            continue
        # Small numbers hit upon what the words list; a reply of the wrong size is no reply.
        size = 2 * block.count + (0 if data.draw(st.integers(0, 5)) else 2)
        raw = data.draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 7, 255]), min_size=size, max_size=size))
        batch = decoder.decode(bytes(raw), 9, now_s)
        assert batch.row.tolist() == decoder.rows.tolist()
        assert np.array_equal(np.isnan(batch.value), batch.quality >= BAD_FROM)
        assert not np.isinf(batch.value).any()
        told = state.quality[[state.positions[row] for row in batch.row.tolist()]]
        assert (batch.quality[told >= BAD_FROM] >= BAD_FROM).all()
        assert (batch.quality[told >= Quality.UNCERTAIN] >= Quality.UNCERTAIN).all()
