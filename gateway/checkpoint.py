"""Detector states across a restart: a checkpoint now and then, and the spooled readings since.

A detector's state is a function of the readings it has seen, so a delay that was running is found again by judging
the spooled readings after the last checkpoint once more, without telling anybody.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import structlog

from gateway.core.alarm import AlarmEvent
from gateway.core.model import Batch
from gateway.flow.bench import State
from gateway.flow.pipeline import Pipeline
from gateway.store.history import History
from gateway.store.spool import Spool

log = structlog.get_logger()

READINGS_MAX = 1_000_000
"""Readings judged again at a start at the most; without a checkpoint, the newest so many."""
SLICE = 50_000
REFILL_READINGS_MAX = 5_000_000
"""Readings given to a history that has lost its file at the most; older ones stay in the spool."""
POSITION, EVENTS = "position", "events"
Relearnt = Callable[[int], Sequence[AlarmEvent]]
"""Returns the events of relearning from a number on, in their order."""


def save_checkpoint(file: Path, state: State, position: int, events: int) -> None:
    """Keep detector states, whole or not at all; blocking.

    A file of its own and not the journal: a slow card must not let an alarm wait behind megabytes of state.

    Args:
        file: Where; replaced.
        state: What `Pipeline.save` returned.
        position: Number of the first reading that the states have not seen.
        events: Number of the first event that they have not seen.
    """
    fresh = file.with_suffix(".new")
    try:
        with fresh.open("wb") as out:
            np.savez(out, allow_pickle=False, **state, **{POSITION: np.int64(position), EVENTS: np.int64(events)})
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        log.warning("checkpoint not on disk", file=str(file), why=str(error))


def catch_up(file: Path, spool: Spool, pipeline: Pipeline, relearnt: Relearnt = lambda _: ()) -> int:
    """Restore the detectors and judge the readings that came after; return how many.

    Args:
        file: The checkpoint.
        spool: The readings.
        pipeline: Whose detectors they are.
        relearnt: What people had learned anew since, which happens again at the time when it happened.
    """
    newest = spool.durable
    position, events = _restored(file, pipeline)
    if position is None or position < spool.first_number:
        position = max(spool.first_number, newest - READINGS_MAX)
    waiting = deque(relearnt(events))
    seen = 0
    while position < newest:
        batch, following = spool.read(position, SLICE)
        if following <= position:
            break
        if len(batch):
            _judge_again(batch, pipeline, waiting)
            seen += len(batch)
        position = following
    for event in waiting:
        pipeline.forget(event.channel)
    return seen


def _judge_again(batch: Batch, pipeline: Pipeline, waiting: deque[AlarmEvent]) -> None:
    """Judge stored readings, and on the way have relearned what was relearned before the next of them came."""
    while waiting:
        later = batch.time_ns >= waiting[0].time_ns
        if not later.any():
            break
        first = int(np.argmax(later))
        if first:
            pipeline.catch_up(batch.take(slice(first)))
            batch = batch.take(slice(first, None))
        pipeline.forget(waiting.popleft().channel)
    pipeline.catch_up(batch)


def refill(spool: Spool, history: History) -> None:
    """Give the history the readings whose minutes it had not written when the gateway ended; blocking."""
    position = max(spool.number_since(history.resume_from_ns), spool.durable - REFILL_READINGS_MAX)
    while position < spool.durable:
        batch, following = spool.read(position, SLICE)
        if following <= position:
            break
        if len(batch):
            history.replay(batch)
        position = following


def _restored(file: Path, pipeline: Pipeline) -> tuple[int | None, int]:
    """Return the checkpoint's position and event number; None and 0 where there is none that can be used."""
    try:
        with file.open("rb") as source, np.load(source, allow_pickle=False) as arrays:
            found = int(arrays[POSITION]), int(arrays[EVENTS]) if EVENTS in arrays.files else 0
            pipeline.restore({name: arrays[name] for name in arrays.files if name not in (POSITION, EVENTS)})
            return found
    except FileNotFoundError:
        return None, 0
    except Exception as error:  # noqa: BLE001 - a flipped bit may become any error; it must not keep the limits unwatched
        log.warning("checkpoint unreadable, judging the newest readings again", why=repr(error))
        return None, 0
