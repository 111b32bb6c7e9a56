"""Real recordings, whole."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from drivers import replay
from gateway.core.clock import ManualClock
from gateway.core.errors import EndOfRecordingError
from gateway.core.model import Batch, Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan

SHIPPED = Path(__file__).parents[2] / "config" / "recordings"
FILES = sorted(SHIPPED.glob("*.csv"))
MORE = os.environ.get("HAZGATE_RECORDINGS", "")
"""A folder with the whole NIST recordings (github.com/firemodels/exp), where somebody has fetched them."""
MORE_FILES = sorted(Path(MORE).glob("NIST_Smoke_Alarms_*.csv")) if MORE else []


def columns_of(file: Path) -> list[str]:
    with file.open(newline="") as text:
        return [name for name in next(csv.reader(text)) if name != "TIME"]


async def replayed(file: Path) -> Batch:
    channels = tuple(
        ChannelPlan(Channel(i, name, "nist", name), replay.ChannelOptions(column=name))
        for i, name in enumerate(columns_of(file))
    )
    plan = InstrumentPlan("nist", 2.0, replay.InstrumentOptions(), channels)
    options = replay.Options(file=file, time_column="TIME", speed=0, start="file")
    driver = replay.create(options, [plan], ManualClock())
    await driver.connect()
    found: list[Batch] = []
    try:
        while True:
            found.append(await driver.read())
    except EndOfRecordingError:
        return Batch.concat(found)


def test_a_recording_is_shipped_with_its_notice() -> None:
    assert FILES
    assert sum(file.stat().st_size for file in FILES) < 100_000
    assert "NIST" in (SHIPPED / "LICENSE.md").read_text()
    for file in FILES:
        assert file.name in (SHIPPED / "README.md").read_text()


@pytest.mark.skipif(not MORE_FILES, reason="HAZGATE_RECORDINGS names no folder with the whole NIST recordings")
async def test_whole_recordings_come_out_as_they_were_made() -> None:
    for file in MORE_FILES:
        await test_a_recording_comes_out_as_it_was_made(file)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recording_comes_out_as_it_was_made(file: Path) -> None:
    names = columns_of(file)
    batch = await replayed(file)
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    expected = np.array([[float(row[name]) if row[name].strip() else np.nan for name in names] for row in rows])
    present = ~np.isnan(expected)
    assert len(batch) == present.sum()
    assert batch.value.tolist() == expected[present].tolist()
    assert not batch.quality.any()
    times = np.array([round(float(row["TIME"]) * 1e9) for row in rows])
    assert batch.time_ns.tolist() == np.repeat(times, present.sum(axis=1)).tolist()
