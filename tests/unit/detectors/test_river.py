import pickle
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest

from detectors import river, river_group
from detectors.parts import river_bank
from detectors.parts.river_model import BYTES_MAX, Kind, Stream, build, kept, kind_of, returned
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Level, Quality, Rule
from gateway.core.plugin import Learning

SECOND = 1_000_000_000
CHANNELS = tuple(Channel(row, f"i{row}.x", f"i{row}", "x", "u", decimals=1) for row in range(3))
SVM = {"model": "anomaly.OneClassSVM", "parameters": {"nu": 0.2}}
SCALED = {"scaler": "preprocessing.StandardScaler"}
MODELS: list[dict[str, Any]] = [
    {"model": "anomaly.StandardAbsoluteDeviation"},
    {"model": "anomaly.StandardAbsoluteDeviation", "parameters": {"sub_stat": {"model": "stats.Quantile"}}},
    {"model": "anomaly.GaussianScorer"},
    {"model": "anomaly.HalfSpaceTrees", "parameters": {"window_size": 50}, "scaler": "preprocessing.MinMaxScaler"},
    {"model": "anomaly.QuantileFilter", "parameters": {"anomaly_detector": SVM, "q": 0.99}, **SCALED},
    {"model": "anomaly.LODA", "parameters": {"n_random_cuts": 20}, **SCALED},
    {"model": "anomaly.LocalOutlierFactor", "parameters": {"n_neighbors": 5}, "lags": 2},
]
DRIFTS = ["drift.ADWIN", "drift.PageHinkley", "drift.KSWIN"]


def made(**options: Any) -> river.River:
    given = {"settle_s": 100.0, "warn_at": 0.99, **options}
    detector = river.create([Rule(0, "r", "river", CHANNELS[:1], river.Options(**given))])
    assert isinstance(detector, river.River)
    return detector


def made_options() -> river.Options:
    return river.Options(model="anomaly.StandardAbsoluteDeviation", settle_s=100.0, learn_s=200.0, warn_at=0.99)


def feed(detector: Any, seconds: range, offset: float = 0.0, **columns: Any) -> list[tuple[int, Level]]:
    found = []
    for second in seconds:
        # The noise of a second is always the same one, whoever asks.
        value = 20.0 + np.random.default_rng(second).normal() + offset
        verdicts = detector.update(Batch.of([0], second * SECOND, [value], **columns))
        found += [(second, Level(level)) for level in verdicts.level]
    return found


@pytest.mark.parametrize("given", [{}, {"lags": 3}])
def test_a_frozen_model_is_not_written_out_again_and_what_moves_is(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, other = (made(model="anomaly.LODA", learn_s=200.0, **given) for _ in range(2))
    feed(detector, range(300))
    detector.save()
    written: list[Stream] = []
    monkeypatch.setattr(river_bank, "kept", lambda stream: written.append(stream) or kept(stream))
    feed(detector, range(300, 310))
    other.restore(detector.save())
    assert len(written) == (1 if given else 0)
    feed(detector, range(310, 400))
    feed(other, range(310, 400))
    assert detector.score.tolist() == other.score.tolist()
    assert other.save()["model"].tobytes() == detector.save()["model"].tobytes()


@pytest.mark.parametrize("name", sorted(river_bank.UNMOVED))
def test_asking_does_not_move_the_models_whose_bytes_are_kept(name: str) -> None:
    model = build(name, {})
    stream = Stream(model, kind_of(model, name), build("preprocessing.StandardScaler", {}))
    for second in range(300):
        stream.learn([float(second % 17)])
    before = pickle.dumps(stream)
    for second in range(20):
        stream.score([float(second)])
    assert pickle.dumps(stream) == before


@pytest.mark.parametrize("options", MODELS, ids=lambda options: options["model"])
def test_any_anomaly_model_learns_ranks_and_goes_on_after_a_restart(options: dict[str, Any]) -> None:
    detector, other = made(**options), made(**options)
    assert isinstance(detector, Learning)
    feed(detector, range(300))
    assert detector.ready.all()
    assert 0.0 <= detector.score[0] <= 1.0
    other.restore(detector.save())
    for second in range(300, 320):
        assert feed(detector, range(second, second + 1)) == feed(other, range(second, second + 1))
        assert detector.score.tolist() == other.score.tolist()


@pytest.mark.parametrize("model", DRIFTS)
def test_a_drift_detector_tells_a_level_that_has_moved_and_then_is_quiet(model: str) -> None:
    detector = made(model=model, parameters={"delta": 1.0} if "Page" in model else {})
    assert feed(detector, range(400)) == []
    (began, level), (_, after) = feed(detector, range(400, 600), offset=10.0)[:2]
    assert (level, after) == (Level.WARNING, Level.NORMAL)
    assert 400 <= began < 480


def test_what_is_far_out_is_a_warning_with_its_reason_and_then_over() -> None:
    detector = made(model="anomaly.StandardAbsoluteDeviation")
    assert feed(detector, range(400)) == []
    verdicts = detector.update(Batch.of([0], 400 * SECOND, [45.0]))
    assert verdicts.level.tolist() == [Level.WARNING]
    assert verdicts.value > verdicts.limit
    assert verdicts.reason[0].en.startswith("i0.x 45.0 u: StandardAbsoluteDeviation finds it as unusual as 1 in ")
    assert feed(detector, range(401, 500)) == [(461, Level.NORMAL)]


@pytest.mark.parametrize("quality", [Quality.COMMS_LOST, Quality.MAINTENANCE])
def test_only_good_readings_are_learned(quality: Quality) -> None:
    detector = made(model="anomaly.StandardAbsoluteDeviation")
    feed(detector, range(300), quality=quality)
    assert not detector.ready.any()
    assert np.isnan(detector.score).all()


def test_nothing_is_learned_while_held_or_raised_or_frozen() -> None:
    detector = made(model="anomaly.StandardAbsoluteDeviation", learn_s=300.0)
    feed(detector, range(200))

    def model() -> bytes:
        return bytes(detector.save()["model"][0])

    detector.hold(np.array([True]))
    before = model()
    feed(detector, range(200, 220))
    assert model() == before
    detector.hold(np.array([False]))
    feed(detector, range(220, 221))
    assert model() != before
    feed(detector, range(221, 260), offset=30.0)
    assert detector.level.tolist() == [Level.WARNING]
    before = model()
    feed(detector, range(260, 270), offset=30.0)
    assert model() == before
    feed(detector, range(270, 700))
    before = model()
    feed(detector, range(700, 720))
    assert model() == before


def test_relearning_begins_anew() -> None:
    detector = made(model="anomaly.StandardAbsoluteDeviation")
    feed(detector, range(300))
    detector.relearn(np.array([0]))
    assert not detector.ready.any()
    assert feed(detector, range(300, 600), offset=50.0) == []
    assert detector.ready.all()


def test_a_group_is_asked_when_all_of_it_has_reported_and_not_while_one_is_bad() -> None:
    given = {"model": "anomaly.LocalOutlierFactor", "parameters": {"n_neighbors": 5}}
    options = river_group.Options(**given, settle_s=60.0, warn_at=0.98, beyond=3.0)
    detector = river_group.create([Rule(0, "g", "river_group", CHANNELS, options, group=True)])
    random = np.random.default_rng(5)

    def one(second: int, last: float, quality: Any = Quality.GOOD) -> list[int]:
        x = random.normal()
        values, found = [x, x + 0.1 * random.normal(), last * x], []
        for row in range(3):
            batch = Batch.of([row], second * SECOND, [values[row]], quality if row == 2 else Quality.GOOD)
            found += detector.update(batch).level.tolist()
        return found

    assert sum(len(one(second, 1.0)) for second in range(200)) == 0
    assert detector.ready.all()
    before = detector.save()
    assert one(200, 90.0, Quality.SENSOR_FAULT) == []
    assert detector.save()["model"].tobytes() == before["model"].tobytes()
    assert one(201, 900.0) == [Level.WARNING]


@pytest.mark.parametrize(
    ("options", "path", "problem"),
    [
        ({"model": "anomaly.HalfSpaceTree"}, "model", "did you mean 'HalfSpaceTrees'"),
        ({"model": "anomalies.LODA"}, "model", "river has nothing called 'anomalies'"),
        ({"model": "os.system"}, "model", "no name of a model"),
        ({"model": "linear_model.LinearRegression"}, "model", "judges nothing"),
        ({"model": "anomaly.LODA", "parameters": {"n_cuts": 3}}, "parameters", "no parameter 'n_cuts'"),
        ({"model": "anomaly.QuantileFilter", "parameters": {"q": 0.9}}, "parameters", "refuses its parameters"),
        ({"model": "anomaly.LODA", "scaler": "stats.Mean"}, "scaler", "transforms nothing"),
        ({"model": "drift.ADWIN", "lags": 4}, "model", "neither scaler nor lags"),
        ({"model": "anomaly.HalfSpaceTrees", "parameters": {"n_trees": 60}}, "parameters", "57,344 bytes"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(options: dict[str, Any], path: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        river.create([Rule(0, "r", "river", CHANNELS[:1], river.Options(**options), path=("rules", 2))])
    assert caught.value.path[:4] == ("rules", 2, "options", path)


def test_a_drift_detector_of_a_group_is_refused() -> None:
    options = river_group.Options(model="drift.ADWIN")
    with pytest.raises(ConfigError, match="watches one value"):
        river_group.create([Rule(0, "g", "river_group", CHANNELS, options, group=True)])


def test_a_kept_model_comes_back_and_nothing_else_does() -> None:
    model = build("anomaly.HalfSpaceTrees", {})
    stream = Stream(model, kind_of(model, "x"), None, 1)
    assert stream.kind is Kind.FEATURES
    for k in range(300):
        stream.learn([k / 300])
    data = kept(stream)
    assert data is not None
    assert len(data) <= BYTES_MAX
    assert returned(data).score([0.5]) == stream.score([0.5])
    for wrong in (print, subprocess.Popen, stream.model):
        with pytest.raises(ValueError, match="a kept model"):
            returned(zlib.compress(pickle.dumps(wrong)))
    with pytest.raises(ValueError, match="a kept model"):
        returned(b"no such thing")


def test_a_reading_that_is_a_warning_is_not_learned() -> None:
    detector = made(model="anomaly.StandardAbsoluteDeviation", off_delay_s=0.0)
    feed(detector, range(300))
    assert feed(detector, range(300, 301), offset=1e308) == [(300, Level.WARNING)]
    assert feed(detector, range(301, 400)) == [(301, Level.NORMAL)]
    assert feed(detector, range(400, 401), offset=60.0) == [(400, Level.WARNING)]


def test_a_value_that_no_instrument_shows_while_it_learns_does_not_blind_it() -> None:
    channel = Channel(0, "i.x", "i", "x", "u", 0.0, 100.0, decimals=1)
    options = river.Options(model="anomaly.OneClassSVM", **SCALED, settle_s=100.0, warn_at=0.99)
    detector = river.create([Rule(0, "r", "river", (channel,), options)])
    assert isinstance(detector, river.River)
    feed(detector, range(50))
    feed(detector, range(50, 51), offset=1e300)
    feed(detector, range(51, 2000))
    assert (400, Level.WARNING) not in feed(detector, range(2000, 2001))
    assert feed(detector, range(2001, 2002), offset=75.0) == [(2001, Level.WARNING)]


def called(module: str, name: str, *arguments: str) -> bytes:
    """Return a pickle that calls something as it is read."""

    def text(word: str) -> bytes:
        return b"\x8c" + bytes([len(word)]) + word.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + b"".join(map(text, arguments)) + b"tR."


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("os", "system", ["true"]),
        ("random", "_os.system", ["true"]),
        ("collections", "_sys.modules.get", ["os"]),
        ("river.base.base", "inspect.sys.exit", ["1"]),
        ("river.base.base", "inspect", ["1"]),
        ("river.stream", "iter_csv", ["/etc/hostname"]),
        ("river.stream.iter_csv", "open_filepath", ["/etc/hostname", "infer"]),
        ("numpy", "memmap", ["/etc/hostname"]),
        ("builtins", "eval", ["1"]),
        ("builtins", "getattr", ["text", "upper"]),
    ],
)
def test_a_kept_model_calls_nothing_that_no_model_is_made_of(module: str, name: str, arguments: list[str]) -> None:
    with pytest.raises(ValueError, match="no part of a model"):
        returned(zlib.compress(called(module, name, *arguments)))


def test_models_of_many_parts_come_back() -> None:
    deep = {"predictive_model": {"model": "tree.HoeffdingAdaptiveTreeRegressor"}}
    for name, parameters in (
        ("drift.PageHinkley", {}),
        ("drift.KSWIN", {}),
        ("anomaly.PredictiveAnomalyDetection", deep),
    ):
        model = build(name, parameters)
        stream = Stream(model, kind_of(model, name))
        for k in range(300):
            stream.score([float(k % 7)])
            stream.learn([float(k % 7)])
        data = kept(stream)
        assert data is not None
        assert returned(data).score([3.0]) == stream.score([3.0])


def test_a_model_that_cannot_be_read_learns_anew_and_the_others_go_on() -> None:
    rules = [Rule(k, f"r{k}", "river", (CHANNELS[k],), made_options()) for k in range(2)]
    detector, other = river.create(rules), river.create(rules)
    for second in range(300):
        value = 20.0 + np.random.default_rng(second).normal()
        detector.update(Batch.of([0, 1], second * SECOND, [value, value]))
    state = detector.save()
    state["model"][0, :8] = 0
    other.restore(state)
    assert isinstance(other, river.River)
    assert other.ready.tolist() == [False, True]
    for second in range(300, 600):
        value = 20.0 + np.random.default_rng(second).normal()
        other.update(Batch.of([0, 1], second * SECOND, [value, value]))
    assert other.ready.all()
    assert other.update(Batch.of([0, 1], 600 * SECOND, [90.0, 90.0])).rule.tolist() == [0, 1]


def test_river_is_imported_only_when_a_rule_names_a_model() -> None:
    code = "import sys; from detectors import river, river_group; sys.exit('river.base' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0  # our own words
