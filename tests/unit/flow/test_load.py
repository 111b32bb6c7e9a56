"""What learns gives way to what alarms where judging does not keep up."""

from itertools import pairwise

from gateway.flow.load import REST_MAX_S, REST_S, WINDOW_S, Load


def passes(load: Load, begun_s: float, seconds: float, busy: float) -> list[float]:
    """Let passes take a part of each second for a while; return when resting changed."""
    changed = []
    for k in range(round(seconds)):
        now_s = begun_s + k
        if load.note(now_s, now_s + busy):
            changed.append(now_s - begun_s)
    return changed


def test_what_keeps_up_never_rests() -> None:
    load = Load()
    assert passes(load, 0.0, 3600, 0.7) == []
    assert not load.resting


def test_what_does_not_keep_up_rests_after_a_while_and_is_tried_again_ever_later() -> None:
    load = Load()
    first, again, second = passes(load, 100_000.0, 3 * REST_S, 0.95)[:3]
    assert first <= 2 * WINDOW_S + 1
    assert REST_S <= again - first <= REST_S + 2
    assert second - again <= WINDOW_S + 2
    assert load.resting
    rests = passes(load, 100_000.0 + 3 * REST_S, 6 * REST_MAX_S, 0.95)
    assert max(b - a for a, b in pairwise(rests)) <= REST_MAX_S + 2


def test_a_single_long_pass_is_no_reason() -> None:
    load = Load()
    passes(load, 0.0, 100, 0.1)
    assert not load.note(100.0, 103.0)
    assert passes(load, 104.0, 100, 0.1) == []


def test_after_a_calm_window_the_next_rest_is_short_again() -> None:
    load = Load()
    passes(load, 0.0, 1200, 0.95)
    while load.resting:
        load.note(1e5, 1e5)
    passes(load, 1e5, 60, 0.1)
    first, again = passes(load, 1e5 + 60, 3 * REST_S, 0.95)[:2]
    assert again - first <= REST_S + 2
