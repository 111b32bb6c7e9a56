"""Which way of reading registers gives what a display showed."""

import struct
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.survey.guess import ORDERS, WORDS, decode, rank
from drivers.modbus.survey.views import ordered, views
from gateway.core.commissioning import UNKNOWN_WORD, Sample, Verdict, Words


def float_words(value: float, order: str) -> list[int]:
    """The registers of a float, made the other way round than the code reads them."""
    a, b, c, d = struct.pack(">f", value)
    wire = {"ABCD": (a, b, c, d), "BADC": (b, a, d, c), "CDAB": (c, d, a, b), "DCBA": (d, c, b, a)}[order]
    return [wire[0] << 8 | wire[1], wire[2] << 8 | wire[3]]


def sample(words: Sequence[int], value: float, decimals: int = 1) -> Sample:
    return Sample(np.array([words], np.int32), value, decimals)


def ranked(samples: list[Sample], unit: str = "%LEL", full_scale: float | None = None) -> Verdict:
    return rank({"holding": samples}, 100, unit, full_scale)


@pytest.mark.parametrize("order", ORDERS)
def test_a_float_among_other_registers_is_found_in_its_order(order: str) -> None:
    values = (17.23, 41.87, 88.04, 5.51, 63.4)
    samples = [sample([0, 7, *float_words(v, order), 0, 300 + i], round(v, 1)) for i, v in enumerate(values)]
    verdict = ranked(samples)
    best = verdict.guesses[0]
    assert verdict.unique
    assert (best.address, best.type, best.order, best.scale) == (102, "float32", order, 1.0)


def test_a_scaled_integer_is_found_and_its_twins_are_named() -> None:
    verdict = ranked([sample([9, 172, 3], 17.2), sample([9, 418, 3], 41.8), sample([9, 55, 3], 5.5)])
    best = verdict.guesses[0]
    assert verdict.unique
    assert (best.address, best.type, best.scale) == (101, "uint16", 0.1)
    assert any(twin.startswith("int16 at 101") for twin in best.twins)


def test_a_quantity_that_may_be_negative_is_proposed_as_signed() -> None:
    assert ranked([sample([208], 20.8), sample([195], 19.5)], "°C").guesses[0].type == "int16"


def test_a_seen_negative_value_rules_unsigned_types_out() -> None:
    best = ranked([sample([0x10000 - 45], -4.5), sample([195], 19.5)], "°C").guesses[0]
    assert best.type == "int16"
    assert not any("uint16" in twin for twin in best.twins)


def test_a_type_that_ends_before_the_range_gives_way_to_the_longer_one() -> None:
    # With a scale of 0.001 sixteen bits end at 65.5; too short a type would read 66 %LEL as 0.5, and that looks safe.
    best = ranked([sample([0, 17_200], 17.2), sample([0, 41_800], 41.8)]).guesses[0]
    assert (best.address, best.type) == (100, "uint32")
    assert ranked([sample([0, 17_200], 17.2)], full_scale=60.0).guesses[0].type == "uint16"


def test_a_value_that_never_moves_is_not_called_unique_where_two_places_show_it() -> None:
    still = [sample([172, 0, 0, 172], 17.2)] * 4
    verdict = ranked(still)
    assert not verdict.unique
    assert "differs" in verdict.advice


def test_values_that_hardly_differ_are_not_called_unique() -> None:
    # What was read stands still, and another register happens to lie near: that is no proof.
    verdict = ranked([sample([2083], 20.8), sample([2091], 20.9)], "%VOL")
    assert len(verdict.guesses) == 1
    assert not verdict.unique
    assert "may be chance" in verdict.advice
    assert ranked([sample([2083], 20.8), sample([1791], 17.9)], "%VOL").unique


def test_one_value_is_never_enough() -> None:
    assert not ranked([sample([1723], 17.23, 2)]).unique


def test_a_value_in_two_tables_is_not_called_unique() -> None:
    samples = [sample([172], 17.2), sample([418], 41.8)]
    verdict = rank({"holding": samples, "input": samples}, 0, "%LEL")
    assert not verdict.unique
    assert {guess.table for guess in verdict.guesses} == {"holding", "input"}
    assert "Two tables" in verdict.advice


def test_one_mistyped_value_does_not_hide_the_answer() -> None:
    good = [sample([172], 17.2), sample([418], 41.8), sample([55], 5.5)]
    verdict = ranked([*good, sample([203], 99.9)])
    assert (verdict.guesses[0].matched, verdict.unique) == (3, False)
    assert "mistyped" in verdict.advice


def test_registers_that_hold_nothing_of_the_kind_give_no_guess() -> None:
    verdict = ranked([sample([1, 2, 3], 77.7)])
    assert verdict.guesses == ()
    assert not verdict.unique


def test_a_refused_register_is_part_of_no_guess() -> None:
    verdict = ranked([sample([UNKNOWN_WORD, 0x4148], 12.5), sample([UNKNOWN_WORD, 0x4208], 34.0)])
    assert all(guess.address != 100 for guess in verdict.guesses)


def test_a_value_that_moves_between_two_looks_still_fits() -> None:
    moving = Sample(np.array([[170], [176]], np.int32), 17.3, 1)
    assert ranked([moving, sample([418], 41.8)]).guesses[0].scale == 0.1


def test_no_value_gives_no_guess() -> None:
    assert rank({}, 0).guesses == ()


def test_nought_everywhere_is_answered_soon_and_called_unclear() -> None:
    began = time.process_time()
    verdict = ranked([sample([0] * 128, 0.0, 0)])
    assert not verdict.unique
    assert verdict.guesses
    # Sixteen thousand ways fit; compared with one another they would take minutes.
    assert time.process_time() - began < 10


@given(
    words=st.lists(st.integers(UNKNOWN_WORD, 0xFFFF), min_size=1, max_size=8),
    value=st.floats(-1000, 1000),
    decimals=st.integers(0, 3),
)
def test_whatever_stands_in_the_registers_every_guess_explains_the_value(
    words: list[int], value: float, decimals: int
) -> None:
    shown = round(value, decimals)
    for guess in ranked([sample(words, shown, decimals)]).guesses:
        assert abs(guess.value - shown) <= 10.0**-decimals + 1e-3
        assert 100 <= guess.address <= 100 + len(words) - WORDS[guess.type]


@given(high=st.integers(0, 0xFFFF), low=st.integers(0, 0xFFFF), order=st.sampled_from(ORDERS))
def test_the_view_and_the_guess_read_the_same_out_of_two_registers(high: int, low: int, order: str) -> None:
    [first, last] = views(Words("holding", 0, (high, low)))
    assert first.uint32 is not None
    assert first.uint32[order] == decode(np.array([[high, low]], np.int32), "uint32", order)[0, 0]
    assert first.uint32[order] == int.from_bytes(ordered(high, low, order), "big")
    assert last.uint32 is None


def test_a_float_is_shown_in_four_orders_side_by_side() -> None:
    for order in ORDERS:
        [view, _] = views(Words("holding", 7, tuple(float_words(12.5000086, order))))
        assert view.float32 is not None
        assert view.float32[order] == pytest.approx(12.5000086)
        assert [name for name, value in view.float32.items() if value == pytest.approx(12.5, abs=0.01)] == [order]


def test_a_refused_register_and_the_one_before_it_have_no_32_bit_reading() -> None:
    first, second, third = views(Words("holding", 0, (1, None, 3), {1: 2}))
    assert (first.word, first.uint32, second.word, third.uint32) == (1, None, None, None)
