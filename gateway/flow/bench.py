"""Detectors with their rules, and how each rule finds its state again on another bench.

After a restart, or when the site file has changed, each rule that is still what it was goes on where it stood.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from gateway.core.model import Rule, UInt8
from gateway.core.plugin import Detector

log = structlog.get_logger()

State = dict[str, NDArray[np.generic]]
Columns = Mapping[str, NDArray[np.generic]]
Index = NDArray[np.intp]

PRINT_BYTES = 16


@dataclass(slots=True)
class Bench:
    """A detector and the rules it judges; no channel occurs twice among those that they judge.

    Attributes:
        name: Type and number, e.g. `threshold-0`.
        rules: The rules in the detector's order.
        detector: The detector.
        quarantined: Rows that are not judged here any more, as their rule failed; None while all are well.
        prints: uint8[rules, 16], a hash of all that makes a rule what it is: its id and type, its options, and what
            its channels measure. A saved state belongs to a rule with the same one.
    """

    name: str
    rules: tuple[Rule, ...]
    detector: Detector
    quarantined: NDArray[np.bool_] | None = None
    prints: UInt8 = field(init=False)

    def __post_init__(self) -> None:
        """Take the hashes once; rules of one section share their options, which are written out once."""
        options = {key: one.model_dump_json() for key, one in {id(r.options): r.options for r in self.rules}.items()}
        made = b"".join(_print(rule, options[id(rule.options)]) for rule in self.rules)
        self.prints = np.frombuffer(made, np.uint8).reshape(-1, PRINT_BYTES)


def _print(rule: Rule, options: str) -> bytes:
    parts = [rule.id, rule.type, options]
    parts += [f"{c.id} {c.quantity} {c.unit} {c.range_low} {c.range_high}" for c in rule.channels]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=PRINT_BYTES).digest()


def arrange(rules: Sequence[Rule]) -> list[tuple[str, list[Rule]]]:
    """Sort rules into sets of one type in which no judged channel occurs twice; a detector judges one set.

    Rules of groups share a set only with groups of as many channels, and rules that count readings (`options.keeps`)
    only with those that count as many: what a detector keeps of each is then of one shape, and a head more in one area
    changes nothing for the others.

    Returns:
        Pairs of name (`threshold-0`) and rules in the order of the site file.
    """
    sets: dict[str, list[_Set]] = {}
    for rule in rules:
        rows = {channel.row for channel in rule.judges}
        mine = sets.setdefault(rule.type, [])
        size = len(rule.channels) if rule.group else 0, int(getattr(rule.options, "keeps", 0))
        found = next((each for each in mine if each.size == size and each.rows.isdisjoint(rows)), None)
        if found is None:
            found = _Set(size, set(), [])
            mine.append(found)
        found.rows.update(rows)
        found.rules.append(rule)
    return [(f"{kind}-{k}", each.rules) for kind, members in sets.items() for k, each in enumerate(members)]


class _Set(NamedTuple):
    size: tuple[int, int]
    rows: set[int]
    rules: list[Rule]


class Part(NamedTuple):
    """Rules of one bench that were rules of another one: their places there and here."""

    source: str
    there: Index
    here: Index


def match(saved: Mapping[str, UInt8], bench: Bench) -> list[Part]:
    """Return where the rules of a bench stood before.

    Args:
        saved: The `prints` of the benches that were, by name.
        bench: The bench that is.
    """
    here = {bytes(one): k for k, one in enumerate(bench.prints)}
    parts: list[Part] = []
    for name, prints in saved.items():
        if name.rpartition("-")[0] != bench.rules[0].type:
            continue
        pairs = [(k, here[key]) for k, one in enumerate(prints) if (key := bytes(one)) in here]
        if pairs:
            there, place = np.array(pairs, np.intp).T
            parts.append(Part(name, there, place))
    return parts


def take_over(bench: Bench, parts: Sequence[Part], saved: Callable[[str], Columns]) -> bool:
    """Give the rules of a bench the state that they had; the others stay as they begin.

    Args:
        bench: The bench; what its detector has saved is written to, and is no part of the detector.
        parts: What `match` has found.
        saved: Returns what `Detector.save` has returned for a bench that was, by its name.

    Returns:
        Whether that was possible; where not, all rules of the bench begin afresh, which is logged.
    """
    if not parts:
        return True
    state = bench.detector.save()
    try:
        for source, there, here in parts:
            columns = saved(source)
            for name, column in state.items():
                column[here] = _fitting(columns[name], column)[there]
        bench.detector.restore(state)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a saved state, the rules must be judged
        log.warning("rules begin afresh", detector=bench.name, why=repr(error))
        return False
    return True


def _fitting(column: NDArray[np.generic], like: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a saved column whose rows are of the kind that is wanted. Raises ValueError."""
    if column.dtype != like.dtype or column.shape[1:] != like.shape[1:]:
        raise ValueError(f"rows of {column.dtype}{list(column.shape[1:])}, not {like.dtype}{list(like.shape[1:])}")
    return column
