"""The backlog's arithmetic against sets of numbers, whatever the peer, the log and the power do."""

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.store.backlog import GAPS_MAX, Backlog, head_of


class BacklogMachine(RuleBasedStateMachine):
    """`owed` is what the peer has not acknowledged, by the book of one set."""

    def __init__(self) -> None:
        super().__init__()
        self.backlog = Backlog(0, rewind_s=10.0)
        self.end = 0
        self.held = 0
        self.now_s = 0.0
        self.ever: set[int] = set()
        self.owed: set[int] = set()
        self.counted = 0
        self.lost = 0

    def waiting(self) -> set[int]:
        gaps = {number for start, stop in self.backlog.gaps for number in range(start, stop)}
        return gaps | set(range(self.backlog.head, self.end))

    @rule(count=st.integers(1, 60))
    def append(self, count: int) -> None:
        self.owed |= set(range(self.end, self.end + count))
        self.end += count

    @rule(limit=st.integers(1, 40), backfill=st.booleans(), seconds=st.floats(0, 4))
    def acknowledge(self, limit: int, backfill: bool, seconds: float) -> None:
        self.now_s += seconds
        job = self.backlog.next(self.end, backfill=backfill)
        if job is None:
            assert not self.owed
            return
        stop = min(job.stop, job.start + limit)
        written = set(range(job.start, stop))
        assert written <= self.waiting()
        fresh = self.backlog.done(job.start, stop, self.now_s)
        assert fresh == len(written - self.ever)
        self.counted += fresh
        self.ever |= written
        self.owed -= written

    @rule(back=st.integers(0, 30))
    def jump(self, back: int) -> None:
        self.backlog.jump(max(self.backlog.head, self.end - back))

    @rule()
    def lose_connection(self) -> None:
        before = self.waiting()
        opened = self.backlog.rewind()
        assert len(self.waiting() - before) == opened
        assert self.waiting() - before <= self.ever, "only what was acknowledged is opened again"

    @rule(count=st.integers(0, 80))
    def drop_oldest(self, count: int) -> None:
        self.held = min(self.end, self.held + count)
        gone = {number for number in self.owed if number < self.held}
        lost = self.backlog.clip(self.held)
        assert lost == len(gone - self.ever)
        self.lost += lost
        self.owed -= gone

    @precondition(lambda self: self.ever)
    @rule()
    def restart(self) -> None:
        text = self.backlog.text()
        assert head_of(text) == self.backlog.head
        assert len(text) < 4_000
        before = self.waiting()
        self.backlog = Backlog.parse(text, rewind_s=10.0)
        assert before <= self.waiting(), "a restart forgets nothing that is owed"
        self.backlog.clip(self.held)
        # What waited at the end of one life is new to the next; what the restart itself opens again is not.
        self.owed = {number for number in before if number >= self.held}
        self.ever = set(range(self.end)) - self.owed

    @invariant()
    def nothing_owed_is_forgotten(self) -> None:
        assert self.owed <= self.waiting() | set(range(self.held))

    @invariant()
    def numbers_agree(self) -> None:
        assert self.backlog.waiting(self.end) == len(self.waiting())
        assert len(self.backlog.gaps) <= GAPS_MAX
        assert self.backlog.gaps == sorted(self.backlog.gaps)
        assert all(start < stop <= self.backlog.head for start, stop in self.backlog.gaps)
        assert json.loads(self.backlog.text())["head"] == self.backlog.head
        if self.waiting():
            assert self.backlog.oldest() == min(self.waiting())


TestBacklog = BacklogMachine.TestCase
TestBacklog.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_more_gaps_than_the_limit_are_merged_and_nothing_is_counted_twice() -> None:
    backlog = Backlog(0)
    counted = 0
    for number in range(0, 1_000, 10):
        backlog.jump(number + 8)
        counted += backlog.done(number + 8, number + 10, 0.0)
    assert len(backlog.gaps) == GAPS_MAX
    while job := backlog.next(1_000, backfill=True):
        counted += backlog.done(job.start, min(job.stop, job.start + 7), 0.0)
    assert counted == 1_000
