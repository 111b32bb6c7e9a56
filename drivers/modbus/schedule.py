"""Whose turn it is: what is waiting, by urgency and deadline, and what a line can carry at all. Pure."""

import heapq
import itertools
import math
from collections.abc import Sequence

from drivers.modbus.options import InstrumentOptions, Options
from drivers.modbus.plan import Block, character_s, plan_instrument, silence_s
from drivers.modbus.polls import Job, Leaf, Poll, Unit
from gateway.core.plugin import InstrumentPlan

SWITCHING, URGENT, REST = range(3)
"""Ranks: an output, what alarms depend on, everything else."""
PATIENCE_PERIODS = 10.0
"""So many of its periods does a poll of the last rank wait before it gets a turn among the urgent ones."""
QUESTION_PATIENCE_S = 0.5
"""So long a single question waits before it does."""

Entry = tuple[float, int, Job]


class Waiting:
    """Requests that wait for their turn.

    The order is: outputs, then what alarms depend on, then everything else; within a rank by deadline, and then as
    they came. On a line that is too slow for everything the last rank would never come to speech; so whatever has
    waited beyond its patience gets a turn, one for each turn of the urgent ones, and urgent polls are delayed by no
    more than one request. A unit that has its fill of requests, or needs its pause, is passed over.
    """

    def __init__(self) -> None:
        self._by_unit: dict[Unit, tuple[list[Entry], list[Entry], list[Entry]]] = {}
        self._numbers = itertools.count()
        self._front = itertools.count(-1, -1)
        self._size = 0
        self._turn_given = False

    def __len__(self) -> int:
        return self._size

    def add(self, job: Job, *, front: bool = False) -> None:
        """Queue a request; in front of all others of its rank and deadline where it belongs to one that was asked."""
        queues = self._by_unit.get(job.unit)
        if queues is None:
            queues = self._by_unit[job.unit] = ([], [], [])
        number = next(self._front) if front else next(self._numbers)
        heapq.heappush(queues[job.rank], (job.deadline_s, number, job))
        self._size += 1

    def add_leaves(self, poll: Poll, leaves: Sequence[Leaf], *, front: bool = False) -> None:
        """Queue what a poll asks for, in that order."""
        poll.open += len(leaves)
        patience_s = poll.begun_s + min(PATIENCE_PERIODS * poll.period_s, poll.stale_after_s)
        deadline_s = poll.begun_s if poll.first else poll.begun_s + poll.period_s
        rank = URGENT if poll.urgent else REST
        for leaf in reversed(leaves) if front else leaves:
            job = Job(
                poll.unit, leaf.request, rank,
                # The first time a word that is read once an hour must be known before the values are.
                -math.inf if poll.first and leaf.leads else deadline_s,
                patience_s,
                timeout_s=poll.timeout_s, leaf=leaf, poll=poll,
            )  # fmt: skip
            self.add(job, front=front)

    def take(self, now_s: float) -> Job | None:
        """Take out the request whose turn it is, or None where none may be sent now."""
        found = self._best(now_s)
        if found is None:
            return None
        queue, patient = found
        self._turn_given = patient
        job = heapq.heappop(queue)[2]
        self._forget_empty(job.unit)
        self._size -= 1
        return job

    def rank(self, now_s: float) -> int | None:
        """Return the rank of the request whose turn it is, or None where none may be sent now."""
        found = self._best(now_s)
        return None if found is None else found[0][0][2].rank

    def free_s(self, now_s: float) -> float:
        """Return when the first unit that has something waiting will have had its pause, or infinity."""
        return min((u.free_s for u in self._by_unit if u.free_s > now_s and u.flying < u.limit), default=math.inf)

    def withdraw(self, unit: Unit) -> list[Job]:
        """Take out all requests of a unit's polls and return them; single questions stay."""
        queues = self._by_unit.get(unit)
        if queues is None:
            return []
        found: list[Job] = []
        for queue in queues[URGENT:]:
            found.extend(entry[2] for entry in queue if entry[2].poll is not None)
            queue[:] = [entry for entry in queue if entry[2].poll is None]
            heapq.heapify(queue)
        self._size -= len(found)
        self._forget_empty(unit)
        return found

    def remove(self, job: Job) -> bool:
        """Take out one request; return whether it was waiting."""
        queues = self._by_unit.get(job.unit)
        for queue in queues or ():
            for entry in queue:
                if entry[2] is job:
                    queue.remove(entry)
                    heapq.heapify(queue)
                    self._size -= 1
                    self._forget_empty(job.unit)
                    return True
        return False

    def clear(self) -> list[Job]:
        """Take out everything and return it."""
        found = [entry[2] for queues in self._by_unit.values() for queue in queues for entry in queue]
        self._by_unit.clear()
        self._size = 0
        return found

    def _forget_empty(self, unit: Unit) -> None:
        if not any(self._by_unit[unit]):
            del self._by_unit[unit]

    def _only(self, now_s: float) -> tuple[list[Entry], bool] | None:
        for unit, queues in self._by_unit.items():
            if unit.flying < unit.limit and unit.free_s <= now_s:
                return queues[0] or queues[1] or queues[2], False
        return None

    def _best(self, now_s: float) -> tuple[list[Entry], bool] | None:
        """Return the queue whose first entry is next, and whether it goes before a better rank by its patience."""
        if self._size == 1:  # most polls of a connection that is not at its limit
            return self._only(now_s)
        best: list[list[Entry] | None] = [None, None, None]
        for unit, queues in self._by_unit.items():
            if unit.flying >= unit.limit or unit.free_s > now_s:
                continue
            for rank, queue in enumerate(queues):
                other = best[rank]
                if queue and (other is None or queue[0][:2] < other[0][:2]):
                    best[rank] = queue
        switching, urgent, rest = best
        if switching is not None:
            return switching, False
        if urgent is None or rest is None:
            found = urgent or rest
            return None if found is None else (found, False)
        if not self._turn_given and rest[0][2].patience_s <= now_s:
            return rest, True
        return urgent, False


def load(options: Options, instruments: Sequence[InstrumentPlan]) -> float | None:
    """Return what part of its time a line needs for all of its polls, by theory; None where it is no line.

    With 1.0 and more the line cannot keep its periods. A request with `n` registers takes (13 + 2 n) characters, two
    silences and the instrument's own turnaround.

    Args:
        options: The connection's.
        instruments: What is on it.

    Raises:
        ConfigError: As from `create`.
    """
    if not options.parts.scheme.serial:
        return None
    return sum(
        block_s(options, block, turnaround_s(plan)) / block.period_s
        for plan in instruments
        for block in plan_instrument(options, plan)
    )


def turnaround_s(plan: InstrumentPlan) -> float:
    """Return the pause that an instrument asks for."""
    assert isinstance(plan.options, InstrumentOptions)
    return plan.options.turnaround_s


def block_s(options: Options, block: Block, turnaround_s: float = 0.0) -> float:
    """Return the seconds that a request and its reply take on a line, with a silence after each."""
    request = block.request()
    characters = len(request.rtu) + request.length + 2
    return characters * character_s(options) + 2 * silence_s(options) + turnaround_s
