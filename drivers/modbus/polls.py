"""What is polled: units and how they fare, their polls, and the blocks a poll asks for. Pure."""

import math
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from drivers.modbus.decode import Decoder
from drivers.modbus.frames import Request
from drivers.modbus.plan import Address, Block
from drivers.modbus.status import InstrumentState
from gateway.core.model import Int32  # noqa: TC001 - one place for all imports

BACKOFF_JITTER = 0.25
REFUSED_AGAIN_S = 60.0
"""After how long a refused register is asked again."""
FAILED_AGAIN_S = 5.0
"""The same where nothing of a block is answered, and not because it has no such registers: a failure may pass."""
Replan = Callable[[Block, Collection[Address]], list[Block]]
"""Returns the requests that read a block's places without crossing refused addresses."""


class Backoff(NamedTuple):
    """How long an instrument that does not answer is left alone, in seconds."""

    first_s: float = 1.0
    max_s: float = 60.0


BACKOFF = Backoff()


class Unit:
    """One unit address and what is known of it; several instruments may be behind it.

    Args:
        address: The unit address.
        name: The ids of the instruments there, for messages.
        turnaround_s: Seconds that it needs between its reply and the next request to it.
        in_flight: Requests to it on the way at once.

    Attributes:
        flying: Requests to it on the way now.
        failures: Polls in a row without an answer.
        retry_s: Until then it is left alone.
        free_s: Until then it needs its pause.
        polls: All of its polls.
        reason: Why it gave no answer last.
    """

    __slots__ = (
        "address",
        "failures",
        "flying",
        "free_s",
        "in_flight",
        "name",
        "polls",
        "reason",
        "retry_s",
        "turnaround_s",
    )

    def __init__(self, address: int, name: str, turnaround_s: float = 0.0, in_flight: int = 1) -> None:
        self.address = address
        self.name = name
        self.turnaround_s = turnaround_s
        self.in_flight = in_flight
        self.polls: list[Poll] = []
        self.reason = ""
        self.flying = self.failures = 0
        self.retry_s = self.free_s = 0.0

    def join(self, name: str, turnaround_s: float, in_flight: int) -> None:
        """Take another instrument in; the more careful of two wishes counts."""
        self.name += f", {name}"
        self.turnaround_s = max(self.turnaround_s, turnaround_s)
        self.in_flight = min(self.in_flight, in_flight)

    @property
    def limit(self) -> int:
        """Requests that may be on the way at once; one where it is not known to answer."""
        return 1 if self.failures else self.in_flight

    def begin(self) -> None:
        """Start on a new connection: nothing is on the way, and it is asked at once, also where it was left alone."""
        self.flying = 0
        self.retry_s = self.free_s = 0.0
        self.doubt()

    def doubt(self) -> None:
        """Believe no word any more that its instruments have said: they may have been started anew."""
        for poll in self.polls:
            poll.state.doubt()
            poll.first = True

    def fail(self, now_s: float, backoff: Backoff) -> None:
        """Count a poll without an answer.

        The first costs nothing but the poll: a single lost frame is no dead instrument. From the second on the
        unit is left alone, each time twice as long, up to a quarter more or less so that several do not return in
        step; the same unit always in the same way.
        """
        self.failures += 1
        if self.failures > 1:
            pause_s = min(backoff.max_s, backoff.first_s * 2.0 ** min(self.failures - 2, 20))
            part = zlib.crc32(f"{self.name}:{self.failures}".encode()) / 0xFFFFFFFF
            self.retry_s = now_s + pause_s * (1.0 + BACKOFF_JITTER * (2.0 * part - 1.0))


class Leaf:
    """A block that is asked as it stands; a part of its root where that was refused as a whole.

    Attributes:
        refused: The instrument refuses it and it cannot be cut further.
        answered: It has been read at least once.
        leads: It holds a word that speaks of a value in another block, and goes before that.
        took_s: Seconds from the last request to its reply; None before the first.
    """

    __slots__ = ("answered", "block", "decoder", "leads", "refused", "request", "root", "took_s")

    def __init__(self, block: Block, root: "Root") -> None:
        self.block = block
        self.root = root
        self.request = block.request()
        self.leads = block.leads
        self.decoder = Decoder(block, root.state)
        self.refused = self.answered = False
        self.took_s: float | None = None


class Root:
    """A planned block and the leaves it is asked in.

    Args:
        block: The block.
        state: What the instrument's words say.
        replan: Plans what is left of it, once it is known what is refused.

    Attributes:
        state: The same.
        planned: The leaves are those of a new plan, and no longer of the search.
        told: Names of refused places that have been logged.
        thorough: When the whole was last asked again, its parts were to be asked too.
        fails: It was last refused for another reason than that there is no such register.
    """

    __slots__ = ("_glance_s", "_replan", "again_s", "fails", "leaves", "planned", "state", "thorough", "told", "whole")

    def __init__(self, block: Block, state: InstrumentState, replan: Replan | None = None) -> None:
        self.state = state
        self._replan = replan
        self.whole = Leaf(block, self)
        self.leaves = [self.whole]
        self.planned = False
        self.told: set[str] = set()
        self.again_s = self._glance_s = 0.0
        self.thorough, self.fails = True, False

    @property
    def broken(self) -> bool:
        """Whether the instrument has refused it as a whole."""
        return self.leaves[0] is not self.whole or self.whole.refused

    def due(self, now_s: float) -> list[Leaf]:
        """Return what to ask: the leaves that are not refused or, from time to time, the whole again."""
        if not self.broken:
            return self.leaves
        if now_s >= self.again_s:
            self.thorough = True
            self.again_s, self._glance_s = now_s + REFUSED_AGAIN_S, now_s + FAILED_AGAIN_S
            return [self.whole]
        if self.fails and now_s >= self._glance_s and all(leaf.refused for leaf in self.leaves):
            self.thorough = False
            self._glance_s = now_s + FAILED_AGAIN_S
            return [self.whole]
        self._settle()
        return _words_first([leaf for leaf in self.leaves if not leaf.refused])

    def refused_leaves(self) -> list[Leaf]:
        """Return what the instrument does not have."""
        return [leaf for leaf in self.leaves if leaf.refused]

    def parts(self) -> list[Leaf]:
        """Return the leaves to ask when the whole is still refused, the refused ones too."""
        parts = [leaf for leaf in self.leaves if leaf is not self.whole]
        for leaf in parts:
            leaf.refused = False
        return _words_first(parts)

    def mend(self) -> None:
        """Take the whole back into use."""
        self.leaves = [self.whole]
        self.whole.refused = self.planned = False
        self.told.clear()

    def cut(self, leaf: Leaf, now_s: float) -> list[Leaf]:
        """Replace a refused leaf by its halves and return them, or mark it where it cannot be cut."""
        if not self.broken:
            self.again_s, self._glance_s = now_s + REFUSED_AGAIN_S, now_s + FAILED_AGAIN_S
        halves = leaf.block.halves()
        if halves is None:
            leaf.refused = True
            return []
        new = [Leaf(half, self) for half in halves]
        at = self.leaves.index(leaf)
        self.leaves[at : at + 1] = new
        return _words_first(new)

    def _settle(self) -> None:
        """Plan anew when the search is over.

        Bisection leaves many small blocks around a bad register; two requests read what lies on its two sides. A new
        plan that is refused again is cut up like any block, and then stays as it is until the whole answers.
        """
        if self.planned or self._replan is None or not all(leaf.refused or leaf.answered for leaf in self.leaves):
            return
        self.planned = True
        good = [leaf for leaf in self.leaves if not leaf.refused]
        if len(good) < 2:
            return
        refused = self.whole.block.unanswered([leaf.block for leaf in good])
        new = [Leaf(block, self) for block in self._replan(self.whole.block, refused)]
        if len(new) >= len(self.leaves):
            return
        bad = {name for leaf in self.leaves if leaf.refused for name in leaf.block.names}
        for leaf in new:
            leaf.refused = bad.issuperset(leaf.block.names)
        self.leaves = new


def _words_first(leaves: list[Leaf]) -> list[Leaf]:
    """Return leaves in the order of asking: a value must not be judged by what its word said a period ago."""
    return sorted(leaves, key=lambda leaf: not leaf.leads)


class Poll:
    """The blocks of one instrument that are due together.

    Args:
        instrument: The instrument's id.
        unit: Its unit.
        blocks: In the order of asking; all of one period and urgency.
        state: What the instrument's words say.
        timeout_s: Seconds to wait for a reply; the connection's where None.
        replan: Plans what is left of a block when some of it is refused.
        stale_after_s: How long its channels' readings are believed.

    Attributes:
        rows: int32[n], the channels read.
        open: Its requests that are queued or on the way.
        failed: It has gone without an answer; its other requests are not asked.
        splits: Blocks cut up in this poll.
        first: It has not begun since the connection was made, or the unit was silent.
        due_s: When it is due next.
        begun_s: When the poll that runs, or ran last, was due.
    """

    __slots__ = (
        "begun_s",
        "due_s",
        "failed",
        "first",
        "instrument",
        "open",
        "period_s",
        "roots",
        "rows",
        "splits",
        "stale_after_s",
        "state",
        "timeout_s",
        "unit",
        "urgent",
    )

    def __init__(
        self,
        instrument: str,
        unit: Unit,
        blocks: Sequence[Block],
        state: InstrumentState,
        *,
        timeout_s: float | None = None,
        replan: Replan | None = None,
        stale_after_s: float = math.inf,
    ) -> None:
        self.instrument = instrument
        self.unit = unit
        unit.polls.append(self)
        self.state = state
        self.timeout_s = timeout_s
        self.stale_after_s = stale_after_s
        self.period_s = blocks[0].period_s
        self.urgent = blocks[0].urgent
        self.roots = [Root(block, state, replan) for block in blocks]
        self.rows: Int32 = np.concatenate([root.whole.decoder.rows for root in self.roots])
        self.open = self.splits = 0
        self.failed = False
        self.first = True
        self.due_s = self.begun_s = 0.0

    @property
    def leads(self) -> bool:
        """Whether it asks for words that speak of values of other requests."""
        return any(root.whole.leads for root in self.roots)

    def next_due_s(self, now_s: float) -> float:
        """Return the next poll's time on its own grid; periods that have passed are skipped."""
        late = now_s - self.due_s
        return self.due_s + self.period_s * max(1, math.floor(late / self.period_s) + 1)


class Job:
    """One request that waits for its turn or its answer.

    Args:
        unit: Whom it is for.
        request: What is asked.
        rank: 0 for what is switched, 1 for what alarms depend on, 2 for everything else.
        deadline_s: What ends first comes first within a rank.
        patience_s: From then on it gets a turn among those of a better rank.
        timeout_s: Seconds to wait for the reply; the connection's where None.
        leaf: What a poll asks for; None for single questions.
        poll: The poll.

    Attributes:
        again: It was asked before and the connection broke under it.
    """

    __slots__ = ("again", "deadline_s", "leaf", "patience_s", "poll", "rank", "request", "timeout_s", "unit")

    def __init__(
        self,
        unit: Unit,
        request: Request,
        rank: int,
        deadline_s: float,
        patience_s: float,
        *,
        timeout_s: float | None = None,
        leaf: Leaf | None = None,
        poll: Poll | None = None,
    ) -> None:
        self.unit = unit
        self.request = request
        self.rank = rank
        self.deadline_s = deadline_s
        self.patience_s = patience_s
        self.timeout_s = timeout_s
        self.leaf = leaf
        self.poll = poll
        self.again = False
