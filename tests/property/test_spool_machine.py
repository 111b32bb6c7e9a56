"""The spool against a plain list, through flushes, kills, restarts, changed channel tables and a full disk."""

import errno
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway.core.errors import StorageError
from gateway.core.model import Batch
from gateway.store.segment import Segment
from gateway.store.spool import Spool
from gateway.store.table import Table

NAMES = [f"c{n}" for n in range(12)]


class SpoolMachine(RuleBasedStateMachine):
    """Durable readings are a run of the appended ones up to `durable`; the lost are the oldest, and counted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.ids = list(NAMES)
        self.model: dict[int, tuple[str, float]] = {}
        self.value = 0.1
        self.spool = self.open()

    def open(self) -> Spool:
        return Spool.open(self.folder, self.ids, bytes_max=1 << 20, segment_bytes=256 << 10)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 30_000) | st.integers(1, 5), width=st.integers(1, 12))
    def append(self, count: int, width: int) -> None:
        rows = np.arange(count) % min(width, len(self.ids))
        values = self.value + np.arange(count) * 0.7
        self.value = float(values[-1]) + 0.01
        first = self.spool.next_number
        self.model.update(enumerate(zip([self.ids[row] for row in rows], values.tolist(), strict=True), first))
        self.spool.append(Batch.of(rows, first, values))

    @rule()
    def flush(self) -> None:
        assert self.spool.flush() == self.spool.next_number

    @rule()
    def disk_full(self) -> None:
        def refuse(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        pending, before = self.spool.next_number > self.spool.durable, self.spool.durable
        put, Segment.put = Segment.put, refuse  # type: ignore[method-assign,assignment]
        try:
            if pending:
                with pytest.raises(StorageError):
                    self.spool.flush()
        finally:
            Segment.put = put  # type: ignore[method-assign]
        assert self.spool.durable == before

    @rule()
    def restart(self) -> None:
        self.spool.close()
        dropped = self.spool.dropped
        self.spool = self.open()
        assert self.spool.dropped == dropped

    @rule()
    def kill(self) -> None:
        durable = self.spool.durable
        for segment in self.spool._segments:
            segment.release()
        self.spool = self.open()
        assert self.spool.durable == self.spool.next_number == durable
        self.model = {number: reading for number, reading in self.model.items() if number < durable}

    @rule(count=st.integers(1, 12), seed=st.randoms(use_true_random=False))
    def change_channels(self, count: int, seed: object) -> None:
        self.spool.close()
        self.ids = NAMES[:count]
        seed.shuffle(self.ids)  # type: ignore[attr-defined]
        self.spool = self.open()

    @rule(count=st.integers(1, 12), seed=st.randoms(use_true_random=False))
    def change_channels_while_running(self, count: int, seed: object) -> None:
        self.ids = NAMES[:count]
        seed.shuffle(self.ids)  # type: ignore[attr-defined]
        self.spool.change_table(Table.of(self.ids))

    @invariant()
    def what_is_kept_is_what_was_given(self) -> None:
        number, found = 0, []
        while number < self.spool.durable:
            batch, following = self.spool.read(number, 50_000)
            assert following > number
            found += list(zip([self.ids[row] for row in batch.row], batch.value.tolist(), strict=True))
            number = following
        first = self.spool.first_number
        should = [self.model[n] for n in range(first, self.spool.durable) if self.model[n][0] in self.ids]
        assert found == should
        assert self.spool.dropped == first

    @invariant()
    def limits_hold(self) -> None:
        used = sum(path.stat().st_size for path in self.folder.iterdir())
        assert used == self.spool.bytes_used <= 1 << 20


SpoolMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestSpool = SpoolMachine.TestCase
