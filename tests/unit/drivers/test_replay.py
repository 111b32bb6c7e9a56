"""The replay driver on a clock that moves only when it sleeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import replay
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch, Channel, Quality
from gateway.core.plugin import ChannelPlan, InstrumentPlan

S = 1_000_000_000
NOW = 1_700_000_000 * S


def write(folder: Path, text: str) -> Path:
    path = folder / "recording.csv"
    path.write_text(text, encoding="utf-8")
    return path


def make(file: Path, *columns: str | dict[str, Any], clock: ManualClock | None = None, **options: Any) -> Any:
    wheres = [{"column": c} if isinstance(c, str) else c for c in columns]
    plan = InstrumentPlan(
        "gd",
        1.0,
        replay.InstrumentOptions(),
        tuple(
            ChannelPlan(
                Channel(i, f"gd.c{i}", "gd", "co"), replay.ChannelOptions(**w), ("instruments", 0, "channels", i)
            )
            for i, w in enumerate(wheres)
        ),
    )
    options = {"time_column": "t", "speed": 0, **options}
    return replay.create(replay.Options(file=file, **options), [plan], clock or ManualClock(NOW))


async def everything(driver: Any, batches_max: int = 1000) -> list[Batch]:
    await driver.connect()
    found = []
    try:
        while len(found) < batches_max:
            found.append(await driver.read())
    except EndOfRecordingError:
        pass
    await driver.close()
    return found


def seconds(batch: Batch) -> list[float]:
    return ((batch.time_ns - NOW) / S).tolist()


async def test_rows_become_readings_that_keep_their_distance_from_now(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a,b\n100,1,2\n102.5,3,4\n")
    (batch,) = await everything(make(file, "a", {"column": "b", "scale": 10, "offset": 1}))
    assert batch.row.tolist() == [0, 1, 0, 1]
    assert seconds(batch) == [0, 0, 2.5, 2.5]
    assert batch.value.tolist() == [1, 21, 3, 41]
    assert not batch.quality.any()


@pytest.mark.parametrize(
    ("unit", "cell"), [("s", "1700000000"), ("ms", "1700000000000"), ("ns", f"{NOW}"), ("iso", "2023-11-14T22:13:20Z")]
)
async def test_times_of_the_file_are_kept_and_moved_by_the_offset(tmp_path: Path, unit: str, cell: str) -> None:
    file = write(tmp_path, f"t,a\n{cell},1\n")
    (batch,) = await everything(make(file, "a", start="file", time_unit=unit, offset_s=1.5))
    assert seconds(batch) == [1.5]


async def test_empty_cells_are_no_readings_and_unreadable_ones_are_bad(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a,b\n0,,5\n1, ,x\n2,NaN\n3,inf,1e999\n")
    (batch,) = await everything(make(file, "a", "b"))
    found = list(zip(seconds(batch), batch.row.tolist(), batch.quality.tolist(), strict=True))
    bad = Quality.UNREADABLE
    assert found == [(0, 1, 0), (1, 1, bad), (2, 0, bad), (3, 0, bad), (3, 1, bad)]
    assert np.isnan(batch.value[1:]).all()


async def test_special_numbers_and_texts_have_their_quality(tmp_path: Path) -> None:
    file = write(tmp_path, "t;a\n0;-9999\n1;fault\n")
    where = {"column": "a", "special": {-9999: "comms_lost", "fault": "sensor_fault"}}
    (batch,) = await everything(make(file, where, delimiter=";"))
    assert batch.quality.tolist() == [Quality.COMMS_LOST, Quality.SENSOR_FAULT]


async def test_rows_whose_time_goes_back_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n10,1\n5,2\n11,3\n")
    for speed in (0, 1):
        found = Batch.concat(await everything(make(file, "a", speed=speed)))
        assert (found.value.tolist(), seconds(found)) == ([1, 2, 3], [0, -5, 1])


async def test_a_row_without_a_readable_time_is_taken_at_the_time_before(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\nx,0\n1,1\n\n,2\n1e400,3\n2,4\n")
    (batch,) = await everything(make(file, "a", start="file"))
    assert batch.time_ns.tolist() == [S, S, S, 2 * S]
    assert batch.value.tolist() == [1, 2, 3, 4]


async def test_as_fast_as_possible_gives_a_thousand_rows_a_batch_and_no_waiting(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a,b\n" + "".join(f"{i},{i},{-i}\n" for i in range(2_500)))
    clock = ManualClock(NOW)
    found = await everything(make(file, "a", "b", clock=clock))
    assert [len(batch) for batch in found] == [2_000, 2_000, 1_000]
    assert clock.monotonic_s() == 0
    assert Batch.concat(found).value[::2].tolist() == list(range(2_500))


@pytest.mark.parametrize("speed", [1.0, 4.0])
async def test_rows_come_when_they_are_due(tmp_path: Path, speed: float) -> None:
    file = write(tmp_path, "t,a\n0,1\n2,2\n2,3\n6,4\n")
    clock = ManualClock(NOW)
    driver = make(file, "a", clock=clock, speed=speed)
    await driver.connect()
    found = []
    for _ in range(3):
        batch = await driver.read()
        found.append((batch.value.tolist(), clock.monotonic_s() * speed, seconds(batch)[0]))
    assert found == [([1], 0, 0), ([2, 3], pytest.approx(2), 2), ([4], pytest.approx(6), 6)]
    await driver.close()


async def test_a_reader_that_is_late_gets_all_that_is_due(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n0,1\n1,2\n2,3\n9,4\n")
    clock = ManualClock(NOW)
    driver = make(file, "a", clock=clock, speed=1)
    await driver.connect()
    await driver.read()
    clock.advance(5)
    assert (await driver.read()).value.tolist() == [2, 3]
    await driver.close()


@pytest.mark.parametrize("start", ["now", "file"])
async def test_a_loop_goes_on_one_distance_after_the_last_row(tmp_path: Path, start: str) -> None:
    file = write(tmp_path, "t,a\n1700000000,1\n1700000002,2\n")
    found = Batch.concat(await everything(make(file, "a", loop=True, start=start), batches_max=3))
    assert seconds(found) == [0, 2, 4, 6, 8, 10]
    assert found.value.tolist() == [1, 2, 1, 2, 1, 2]


async def test_a_loop_over_nothing_ends(tmp_path: Path) -> None:
    assert await everything(make(write(tmp_path, "t,a\n1,\n2,\n"), "a", loop=True)) == []
    assert await everything(make(write(tmp_path, "t,a\n"), "a", loop=True)) == []


async def test_the_same_file_gives_the_same_readings_twice(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n" + "".join(f"{i * 0.1},{i % 7}\n" for i in range(500)))
    one, two = [Batch.concat(await everything(make(file, "a", speed=speed))) for speed in (0, 100)]
    for name in ("row", "time_ns", "value", "quality"):
        assert (getattr(one, name) == getattr(two, name)).all()


async def test_reading_before_connecting_and_after_the_end_is_not_connected(tmp_path: Path) -> None:
    driver = make(write(tmp_path, "t,a\n1,1\n"), "a")
    await driver.close()
    with pytest.raises(NotConnectedError):
        await driver.read()
    await everything(driver)
    with pytest.raises(NotConnectedError):
        await driver.read()
    assert len(await everything(driver)) == 1


async def test_a_file_that_has_vanished_is_not_connected(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n1,1\n")
    driver = make(file, "a")
    file.unlink()
    with pytest.raises(NotConnectedError, match="No such file"):
        await driver.connect()


async def test_a_line_that_is_no_csv_is_left_out(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n1,1\n2," + "x" * 200_000 + "\n3,3\n")
    (batch,) = await everything(make(file, "a"))
    assert batch.value.tolist() == [1, 3]


def test_a_missing_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv") as caught:
        make(tmp_path / "absent.csv", "a")
    assert caught.value.path == ("options", "file")


def test_a_missing_column_is_a_configuration_error_at_its_place(tmp_path: Path) -> None:
    file = write(tmp_path, "t,a\n")
    with pytest.raises(ConfigError, match="no column is called 'b'; there are t, a") as caught:
        make(file, "a", "b")
    assert caught.value.path == ("instruments", 0, "channels", 1, "options", "column")
    with pytest.raises(ConfigError, match="no column is called 'time'") as caught:
        make(file, "a", time_column="time")
    assert caught.value.path == ("options", "time_column")
