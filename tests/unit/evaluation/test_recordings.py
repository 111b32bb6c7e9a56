"""Recordings as their loaders read them, each from a few lines in the layout of the public set."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from gateway.core.clock import NS_PER_S
from gateway.core.model import Quality
from gateway.evaluation.loaders import format_of, load
from gateway.evaluation.recording import Recording, RecordingError, Series, Truth, assembled, batch_numbers
from gateway.evaluation.rules import default_rules

SKAB_HEAD = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;"
    "Volume Flow RateRMS;anomaly;changepoint"
)


def only(path: Path, kind: str = "auto") -> Recording:
    (found,) = load(path, kind)
    return found


def nab(folder: Path, data: str = "data") -> Path:
    (folder / data / "realKnownCause").mkdir(parents=True)
    rows = "".join(f"2014-07-01 00:{minute:02}:00,{minute}\n" for minute in range(20))
    (folder / data / "realKnownCause" / "taxi.csv").write_text(f"timestamp,value\n{rows}")
    (folder / "labels").mkdir()
    windows = {"realKnownCause/taxi.csv": [["2014-07-01 00:10:00.000000", "2014-07-01 00:15:00.000000"]], "x/y.csv": []}
    (folder / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    labels = {"realKnownCause/taxi.csv": ["2014-07-01 00:12:00"]}
    (folder / "labels" / "combined_labels.json").write_text(json.dumps(labels))
    return folder


@pytest.mark.parametrize("data", ["data", "."])
def test_the_numenta_benchmark_is_read_with_its_data_in_a_folder_or_at_its_top(tmp_path: Path, data: str) -> None:
    root = nab(tmp_path, data)
    assert format_of(root) == "nab"
    found = only(root)
    assert (found.name, [c.id for c in found.channels], found.channels[0].period_s) == (
        "realKnownCause/taxi.csv", ["taxi.value"], 60.0
    )  # fmt: skip
    (truth,) = found.truths
    start = int(np.datetime64("2014-07-01T00:00", "ns").astype(np.int64))
    minutes = [(at - start) / NS_PER_S / 60 for at in (truth.start_ns, truth.end_ns, truth.from_ns)]
    assert minutes == [10, 15, 12]
    assert found.learning_ns == start + 3 * 60 * NS_PER_S  # 15 % of 20 readings


def test_one_file_of_the_numenta_benchmark_finds_its_labels_above_it(tmp_path: Path) -> None:
    root = nab(tmp_path)
    assert only(root / "data" / "realKnownCause" / "taxi.csv").name == "realKnownCause/taxi.csv"


def test_skab_has_400_rows_to_learn_from_and_change_points_that_are_not_counted(tmp_path: Path) -> None:
    rows = [f"2020-02-08 17:{k // 60:02}:{k % 60:02};1;2;3;4;5;6;7;8;{int(410 <= k < 420)}.0;{int(k == 410)}.0"
            for k in range(500)]  # fmt: skip
    (tmp_path / "valve1").mkdir()
    (tmp_path / "valve1" / "0.csv").write_text("\n".join([SKAB_HEAD, *rows]))
    found = only(tmp_path)
    assert (found.format, found.name, len(found.channels), len(found)) == ("skab", "valve1/0.csv", 8, 4000)
    assert {c.area for c in found.channels} == {"rig"}
    assert found.channels[7].id == "rig.volume_flow_raterms"
    assert found.learning_ns == found.begin_ns + 400 * NS_PER_S
    assert [(t.kind, (t.start_ns - found.begin_ns) // NS_PER_S, (t.end_ns - t.start_ns) // NS_PER_S, t.counted)
            for t in found.truths] == [("change", 410, 0, False), ("anomaly", 410, 9, True)]  # fmt: skip


def test_a_home_fire_is_told_by_room_from_the_first_commercial_alarm(tmp_path: Path) -> None:
    (tmp_path / "Activation_Times.csv").write_text("Act,SDC9-Ion1A,SDC9-Pho2A,SDC9-CO1A,SDC9-Ion1B\n-1,106,102,3,NaN\n")
    head = "TIME,TCA_1,SMA_1,GASA_1,GASA_3,GASA_5,TCB_1,TCFIRE,SMB_4"
    rows = ["0,20,0,0.001,0.05,20.9,21,99,NaN", "2,25,0.1,0.002,0.06,20.8,21,99,NaN"]
    (tmp_path / "NIST_Smoke_Alarms_SDC9.csv").write_text("\n".join([head, *rows]))
    found = only(tmp_path)
    assert [c.id for c in found.channels] == [
        "room-a.temperature-1", "room-a.smoke-1", "room-a.co-1", "room-a.co2-3", "room-a.o2-5", "room-b.temperature-1"
    ]  # fmt: skip
    assert found.of(2)[1].tolist() == pytest.approx([10.0, 20.0])  # percent by volume to ppm
    told = [(t.area, t.counted, t.from_ns // NS_PER_S) for t in found.truths]
    assert told == [("room-a", True, 102), ("room-b", False, 0)]


def test_injected_faults_make_one_recording_of_the_motes_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "intel" / "interpolated" / "injected_bias"
    folder.mkdir(parents=True)
    for mote, codes in ((1, "0044"), (6, "0000")):
        rows = [f"9,'2004-02-29T00:00:{k * 10:02}',{mote},{code},0.4,{20 + k}" for k, code in enumerate(codes)]
        text = "\n".join(["set_id,timestamp,mote_id,has_fault_type,light,temperature", *rows])
        name = f"mote={mote}_sensortype=temperature_faulttype=bias.txt.gz"
        (folder / name).write_bytes(gzip.compress(text.encode()))
    found = only(tmp_path)
    assert (found.name, found.format) == ("intel/interpolated/injected_bias:temperature", "faults")
    assert [(c.id, c.area, c.unit) for c in found.channels] == [
        ("mote-1.temperature", "intel", "°C"), ("mote-6.temperature", "intel", "°C")
    ]  # fmt: skip
    (truth,) = found.truths
    assert (truth.kind, truth.channels) == ("fault:bias", ("mote-1.temperature",))
    assert ((truth.start_ns - found.begin_ns) / NS_PER_S, (truth.end_ns - found.begin_ns) / NS_PER_S) == (20, 30)


def test_a_wide_table_has_a_channel_a_column_and_kinds_from_its_labels(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("time,gd-01.ch4,Room temp,label\n0,1,20,\n1,,21,leak\n2,3,bad,leak\n3,4,22,0\n")
    found = only(file)
    assert [c.id for c in found.channels] == ["gd-01.ch4", "room_temp.value"]
    bad = int(Quality.UNREADABLE)
    assert found.quality.reshape(4, 2).tolist() == [[0, 0], [bad, 0], [0, bad], [0, 0]]
    assert found.truths == (Truth("leak", NS_PER_S, 2 * NS_PER_S),)


def test_a_long_table_keeps_quality_area_and_a_label_of_each_channel(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(
        "time;channel;value;quality;area;quantity;unit;anomaly\n"
        "2026-05-01T12:00:00Z;gd-01.ch4;1;good;boiler;ch4;%LEL;0\n"
        "2026-05-01T12:00:01+00:00;gd-02.ch4;;comms_lost;store;ch4;%LEL;1\n"
        "2026-05-01 12:00:02;gd-01.ch4;2;66;boiler;ch4;%LEL;1\n"
    )
    found = only(file)
    assert [(c.id, c.area, c.unit) for c in found.channels] == [
        ("gd-01.ch4", "boiler", "%LEL"), ("gd-02.ch4", "store", "%LEL")
    ]  # fmt: skip
    assert found.quality.tolist() == [0, Quality.COMMS_LOST, Quality.OVER_RANGE]
    assert [(t.channels, t.kind) for t in found.truths] == [(("gd-02.ch4",), "anomaly"), (("gd-01.ch4",), "anomaly")]


def test_a_table_without_labels_says_that_its_truth_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("t,a\n0,1\n1,2\n")
    assert not only(file).labelled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("value\n1\n", "a.csv:1: no time column"),
        ("time,a\n0,1\n1,x\n", "a.csv:3: a: 'x' is no number"),
        ("time,a\n0,1\nyesterday,1\n", "a.csv:3: time: 'yesterday' is no number"),
        ("time,a\n2026-05-01T00:00:00Z,1\nnoon,1\n", "a.csv:3: time: 'noon' is no time"),
        ("time,a\n0,1\n1\n", "a.csv:3: 1 cells, and 2 columns"),
        ("time,a,a\n0,1,2\n", "a.csv:1: two columns are called 'a'"),
        ("time,channel,value,quality\n0,a,1,splendid\n", "a.csv:2: quality 'splendid' is unknown"),
        ("time,a\n", "has a header and no rows"),
        ("", "a header with the names of the columns is missing"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(RecordingError, match=said.replace("(", r"\(")):
        list(load(file))


def test_what_is_not_there_or_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        list(load(tmp_path / "none"))
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(RecordingError, match="--format"):
        list(load(tmp_path / "notes.doc"))


def test_times_are_seconds_milliseconds_or_nanoseconds_by_their_size(tmp_path: Path) -> None:
    for scale, digits in (("", 10), ("123", 13), ("123456789", 19)):
        file = tmp_path / "a.csv"
        file.write_text(f"time,a\n1700000000{scale},1\n")
        assert len(f"1700000000{scale}") == digits
        assert only(file).begin_ns == int(f"1700000000{scale}".ljust(19, "0"))


SCENARIO = """
name: small
duration_s: 120
seed: 3
rooms: {boiler: {volume_m3: 40, air_changes_per_h: 60}, store: {volume_m3: 40}}
buses: {line: {type: modbus-tcp, port: 0}}
instruments:
  gd-01: {bus: line, unit: 1, at: boiler, channels: {ch4: {address: 0}}}
  gd-02: {bus: line, unit: 2, at: store, channels: {ch4: {address: 0}}}
events:
  - {at_s: 20, what: leak, where: boiler, gas: ch4, flow_l_per_min: 60, for_s: 20}
  - {at_s: 60, what: stuck, where: gd-02, for_s: 10}
  - {at_s: 80, what: dropout, where: gd-02, for_s: 10}
"""


def test_a_scenario_knows_its_leaks_and_faults_and_runs_without_a_clock(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    found = only(file)
    assert (found.format, [(c.id, c.area) for c in found.channels]) == (
        "scenario", [("gd-01.ch4", "boiler"), ("gd-02.ch4", "store")]
    )  # fmt: skip
    leak, stuck, dropout = found.truths
    seconds = [[(at - found.begin_ns) / NS_PER_S for at in (t.start_ns, t.end_ns)] for t in found.truths]
    assert (leak.kind, leak.area, leak.counted) == ("leak", "boiler", True)
    assert seconds[0][0] == pytest.approx(20, abs=1.1)
    assert seconds[0][1] > 45, "the gas takes its time to go"
    assert (stuck.kind, stuck.channels, stuck.counted) == ("fault:stuck", ("gd-02.ch4",), True)
    assert (dropout.kind, dropout.counted) == ("fault:dropout", False)
    times, _ = found.of(1)
    gone = found.quality[found.row == 1] == Quality.COMMS_LOST
    assert gone.sum() == pytest.approx(10, abs=1)
    assert times[gone][0] >= dropout.start_ns
    (again,) = load(file)
    np.testing.assert_array_equal(again.value, found.value)


def test_seeds_make_a_recording_each_with_other_noise(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    one, two = load(file, seeds=(1, 2))
    assert (one.name, two.name) == ("small.yaml#1", "small.yaml#2")
    assert (one.value != two.value).any()


def test_readings_of_one_moment_travel_together_and_a_channel_never_twice() -> None:
    row = np.array([0, 1, 0, 1, 1, 0], np.int32)
    time_ns = np.array([0, 0, 1, 1, 1, 2], np.int64)
    assert batch_numbers(row, time_ns, 2, 0).tolist() == [0, 0, 1, 1, 2, 3]
    assert batch_numbers(row, time_ns, 2, 5).tolist() == [0, 0, 1, 1, 2, 2]


def test_channels_are_put_together_by_time_and_keep_their_order_where_their_clock_steps_back() -> None:
    back = Series("a.x", np.array([0, 10, 5, 12], np.int64), np.arange(4.0))
    other = Series("b.x", np.array([7, 11], np.int64), np.array([70.0, 110.0]))
    found = assembled("r", "csv", [back, other])
    assert found.value.tolist() == [0.0, 70.0, 1.0, 2.0, 110.0, 3.0]


def test_motes_without_faults_are_clean_ground_for_each_quantity(tmp_path: Path) -> None:
    folder = tmp_path / "santander" / "interpolated" / "clean"
    folder.mkdir(parents=True)
    for mote in ("santander16", "santander20"):
        text = "timestamp,mote_id,has_fault_type,temperature,light\n'2004-02-29T00:00:00',1,0,18.9,0.4\n"
        (folder / f"{mote}_interpolated.txt").write_text(text)
    warm, light = load(tmp_path)
    assert (warm.name, light.name) == (
        "santander/interpolated/clean:temperature", "santander/interpolated/clean:light"
    )  # fmt: skip
    assert [c.id for c in warm.channels] == ["mote-santander16.temperature", "mote-santander20.temperature"]
    assert (warm.truths, warm.labelled) == ((), True)


def test_a_burner_under_a_ceiling_is_told_from_its_first_sprinkler(tmp_path: Path) -> None:
    (tmp_path / "Vettori_Flat_Ceiling_Act.csv").write_text("Act,Time-2-1,Time-2-2,Time-23-1\n-1,43.3,41.5,9\n")
    text = "TIME,TC_1_01,TC_B_07,BDP_1_01\n0,21,18,0\n1,22,18,0\n"
    (tmp_path / "Vettori_Flat_Ceiling_Test_02.csv").write_text(text)
    found = only(tmp_path)
    assert [c.id for c in found.channels] == ["tree-1.temperature-01", "tree-b.temperature-07"]
    assert [(t.kind, t.from_ns / NS_PER_S) for t in found.truths] == [("fire", 41.5)]


def test_burners_have_rules_of_their_own_though_homes_have_them_too(tmp_path: Path) -> None:
    (tmp_path / "Vettori_Flat_Ceiling_Act.csv").write_text("Act,Time-2-1\n-1,9\n")
    (tmp_path / "Vettori_Flat_Ceiling_Test_02.csv").write_text("TIME,TC_1_01\n0,21\n1,22\n")
    rules = default_rules(only(tmp_path).format)
    rules.check_channels([only(tmp_path)])
    assert any(rules.bind(only(tmp_path), 0))
