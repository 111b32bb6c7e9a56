"""The public sets in the layout in which they are published, where somebody has them: `HAZGATE_RECORDINGS`."""

import os
from pathlib import Path

import numpy as np
import pytest

from gateway.core.model import BAD_FROM
from gateway.evaluation.loaders import format_of, load

ROOT = os.environ.get("HAZGATE_RECORDINGS", "")
SETS = {
    "nab": ("nab", {"anomaly"}),
    "skab": ("skab", {"anomaly", "change"}),
    "nist_smoke_alarms": ("nist", {"fire"}),
    "nist_fires": ("nist", {"fire"}),
    "sensor_faults": ("faults", {"fault:random", "fault:malfunction", "fault:bias", "fault:drift", "fault:polydrift"}),
}


@pytest.mark.parametrize("name", SETS)
def test_a_public_set_is_recognised_and_read_whole(name: str) -> None:
    folder = Path(ROOT) / name
    if not ROOT or not folder.is_dir():
        pytest.skip(f"HAZGATE_RECORDINGS has no {name}")
    kind, kinds = SETS[name]
    assert format_of(folder) == kind
    recordings = list(load(folder))
    assert len({recording.name for recording in recordings}) == len(recordings)
    assert {truth.kind for recording in recordings for truth in recording.truths} == kinds
    for recording in recordings:
        assert len({channel.id for channel in recording.channels}) == len(recording.channels)
        assert (np.isnan(recording.value) == (recording.quality >= BAD_FROM)).all()
        assert all(recording.begin_ns <= truth.end_ns for truth in recording.truths)
        assert all(truth.start_ns <= recording.end_ns for truth in recording.truths)
