"""Detector states across a restart: a checkpoint now and then, and the spooled readings since.

A detector's state is a function of the readings it has seen, so a delay that was running is found again by judging
the spooled readings after the last checkpoint once more, without telling anybody.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
import structlog

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
POSITION = "position"


def save_checkpoint(file: Path, state: State, position: int) -> None:
    """Keep detector states, whole or not at all; blocking.

    A file of its own and not the journal: a slow card must not let an alarm wait behind megabytes of state.

    Args:
        file: Where; replaced.
        state: What `Pipeline.save` returned.
        position: Number of the first reading that the states have not seen.
    """
    fresh = file.with_suffix(".new")
    try:
        with fresh.open("wb") as out:
            np.savez(out, allow_pickle=False, **state, **{POSITION: np.int64(position)})
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        log.warning("checkpoint not on disk", file=str(file), why=str(error))


def catch_up(file: Path, spool: Spool, pipeline: Pipeline) -> int:
    """Restore the detectors and judge the readings that came after; return how many."""
    newest = spool.durable
    position = _restored(file, pipeline)
    if position is None or position < spool.first_number:
        position = max(spool.first_number, newest - READINGS_MAX)
    seen = 0
    while position < newest:
        batch, following = spool.read(position, SLICE)
        if following <= position:
            break
        if len(batch):
            pipeline.catch_up(batch)
            seen += len(batch)
        position = following
    return seen


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


def _restored(file: Path, pipeline: Pipeline) -> int | None:
    """Return the checkpoint's position, or None where there is none that can be used."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            pipeline.restore({name: arrays[name] for name in arrays.files if name != POSITION})
            return int(arrays[POSITION])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        log.warning("checkpoint unreadable, judging the newest readings again", why=str(error))
        return None
