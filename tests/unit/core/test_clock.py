import asyncio
from datetime import timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.clock import ManualClock, first_of, parse_rfc3339, rfc3339


@given(st.integers(0, 4_102_444_800 * 10**9), st.integers(-14, 14))
def test_a_time_survives_being_written_and_read_to_the_nanosecond(time_ns: int, hours: int) -> None:
    text = rfc3339(time_ns, timezone(timedelta(hours=hours)), digits=9)
    assert parse_rfc3339(text) == time_ns


@pytest.mark.parametrize("text", ["2023-11-14T22:13:20", "yesterday", "", "2023-13-01T00:00:00Z"])
def test_a_text_that_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_rfc3339(text)


def test_a_text_without_offset_takes_the_declared_zone() -> None:
    assert parse_rfc3339("1970-01-01T08:00:00", ZoneInfo("Asia/Shanghai")) == 0


async def test_a_step_moves_the_wall_and_not_the_monotonic_clock() -> None:
    clock = ManualClock(now_ns=10**18)
    clock.step(-3600)
    await clock.sleep(2)
    assert clock.monotonic_s() == 2
    assert clock.now_ns() == 10**18 - 3598 * 10**9


async def test_waiting_for_the_first_of_two_ends_with_either_and_leaves_nothing_behind() -> None:
    clock, news = ManualClock(), asyncio.Event()
    await first_of(clock, 2.0, news)
    assert clock.monotonic_s() == 2
    news.set()
    await first_of(clock, None, news)
    assert news.is_set()
    assert clock.monotonic_s() == 2
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
