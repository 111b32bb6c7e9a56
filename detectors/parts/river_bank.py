"""Rules of river models: what `river` and `river_group` share. One model a rule, asked before it learns.

A score is held against all of the rule's own past: 0.999 is what one in a thousand of its readings reaches, whatever
the model's own measure is. A model learns only from GOOD readings outside alarms, and after `learn_s` no more, so that
a slow leak does not become normal.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray
from pydantic import Field

from detectors.parts.bank import NORMAL, Bank, State, Switch, margin, time_column
from detectors.parts.extremes import Extremes
from detectors.parts.river_model import BYTES_MAX, FAR, Kind, Stream, build, kept, kind_of, returned
from gateway.core.errors import ConfigError
from gateway.core.model import Batch, Channel, Float64, Int32, Int64, Level, Reason, Rule, UInt8, Verdicts
from gateway.core.plugin import PluginOptions

log = structlog.get_logger()

BOUNDED: Final = frozenset({"anomaly.HalfSpaceTrees", "anomaly.GaussianScorer"})
"""Models whose score cannot pass 1: what counts is how little is missing."""
UNMOVED: Final = frozenset({"anomaly.HalfSpaceTrees", "anomaly.LODA", "anomaly.OneClassSVM"})
"""Models that stay as they are when they are asked; some others keep what they were asked about."""
READINGS_MIN: Final = 50


class RiverOptions(PluginOptions):
    """Which model, and what of its scores is a warning."""

    model: str = Field(
        description="The model's name below `river`, of `anomaly` or `drift`.",
        examples=["anomaly.StandardAbsoluteDeviation"],
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="The model's parameters as river names them. One that is itself an object of river is written as "
        "`{model: …, parameters: …}`; a `seed` is set where there is none.",
        examples=[{}],
    )
    scaler: str | None = Field(
        default=None,
        description="What transforms the values before the model, by its name below `river`; HalfSpaceTrees want "
        "`preprocessing.MinMaxScaler`, most others `preprocessing.StandardScaler`.",
        examples=["preprocessing.StandardScaler"],
    )
    lags: int = Field(
        default=1,
        ge=1,
        le=64,
        description="How many readings in a row the model sees at once; 1 for the last one alone.",
        examples=[1],
    )
    learn_s: float | None = Field(
        default=604_800.0,
        gt=0.0,
        description="How long the model learns, in seconds; then it is frozen. With null it learns for ever, and takes "
        "for normal whatever lasts.",
        examples=[7200.0],
    )
    settle_s: float = Field(
        default=3600.0,
        ge=0.0,
        le=31_536_000.0,
        description="How long the model learns before its scores count, in seconds.",
        examples=[600.0],
    )
    warn_at: float = Field(
        default=0.999,
        ge=0.9,
        lt=1.0,
        description="The rank among the rule's own past that a score must have to be a warning: 0.999 is reached by "
        "one in a thousand readings. It warns only after so many that a rank so high can be told. Drift detectors have "
        "no rank.",
        examples=[0.99],
    )
    beyond: float = Field(
        default=1.0,
        ge=0.0,
        le=100.0,
        description="How much farther from its mean a score must be than the score of that rank: 1 is as far again, "
        "and 0 warns as often as the rank says.",
        examples=[1.0],
    )
    on_delay_s: float = Field(
        default=0.0,
        ge=0.0,
        le=3600.0,
        description="How long scores must be that high, in seconds.",
        examples=[0.0],
    )
    off_delay_s: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="How long scores must be lower again before a warning is over, in seconds.",
        examples=[60.0],
    )


def options_of(rule: Rule) -> RiverOptions:
    """Return a rule's options."""
    assert isinstance(rule.options, RiverOptions), f"{rule.id}: options of another type"
    return rule.options


def _believed(channel: Channel) -> tuple[float, float]:
    """Return between which values a reading counts as it is: a range's width beyond either end of it."""
    span = channel.range_high - channel.range_low
    return (channel.range_low - span, channel.range_high + span) if np.isfinite(span) else (-FAR, FAR)


def stream_of(rule: Rule, members: int) -> Stream:
    """Return a new model for a rule. Raises ConfigError."""
    options = options_of(rule)
    model = build(options.model, options.parameters)
    kind = kind_of(model, options.model)
    if kind is Kind.DRIFT and members > 1:
        raise ConfigError(("model",), f"{options.model} watches one value; give each channel its own: type river")
    if kind is not Kind.FEATURES and (options.scaler is not None or options.lags > 1):
        raise ConfigError(("model",), f"{options.model} takes the value itself, neither scaler nor lags")
    scaler = None if options.scaler is None else build(options.scaler, {}, ("scaler",))
    if scaler is not None and not hasattr(scaler, "transform_one"):
        raise ConfigError(("scaler",), f"{options.scaler} transforms nothing; preprocessing.StandardScaler does")
    return Stream(model, kind, scaler, options.lags)


def check(rule: Rule, members: int) -> Kind:
    """Try a rule's model with a few readings. Raises ConfigError with its place."""
    try:
        stream = stream_of(rule, members)
        _try(stream, members, options_of(rule).model)
    except ConfigError as error:
        raise error.under("options").under(*rule.path) from None
    return stream.kind


def _try(stream: Stream, members: int, name: str) -> None:
    """Refuse a model that fails at once, or is too large to be kept."""
    try:
        for k in range(3):
            values = [float(k + place) for place in range(members)]
            stream.score(values)
            stream.learn(values)
            stream.follow(values)
    except Exception as error:
        raise ConfigError(("model",), f"{name} fails with {members} values: {error}") from error
    if kept(stream) is None:
        raise ConfigError(
            ("parameters",), f"{name} with these parameters takes more than the {BYTES_MAX:,} bytes that can be kept"
        )


class Told(NamedTuple):
    """What a reading has done to a rule."""

    level: np.int8
    rank: float
    score: float
    limit: float


class RiverBank:
    """The models of one detector's rules with their pasts and levels.

    Args:
        rules: The rules, checked.
        bank: Their levels.
        members: Returns how many values a rule's model sees.
        kinds: How each rule's model is asked.
        columns: Where state is put, to be saved; models and their bytes apart.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        bank: Bank,
        members: Callable[[Rule], int],
        kinds: Sequence[Kind],
        columns: dict[str, NDArray[np.generic]],
    ) -> None:
        size = len(rules)
        self._rules, self._bank, self._members, self._kinds = tuple(rules), bank, members, tuple(kinds)
        self._options = [options_of(rule) for rule in rules]
        self._period_s = [max(channel.period_s for channel in rule.channels) for rule in rules]
        self._gap_s = [max(max(3.0 * c.period_s, c.stale_after_s) for c in rule.channels) for rule in rules]
        self._believed = [[_believed(channel) for channel in rule.channels] for rule in rules]
        self._streams = [stream_of(rule, members(rule)) for rule in rules]
        # Their bytes, as long as they know nothing new: a frozen model is not written out again and again.
        self._kept: list[bytes | None] = [None] * size
        self._extremes = Extremes(size)
        self._switch = Switch(
            bank,
            Level.WARNING,
            time_column(rules, lambda rule: options_of(rule).on_delay_s),
            time_column(rules, lambda rule: options_of(rule).off_delay_s),
        )
        self.rank: Float64 = np.full(size + 1, np.nan)
        self.learned_s: Float64 = np.zeros(size + 1)
        self._mean: Float64 = np.zeros(size + 1)
        self._last_ns: Int64 = np.full(size + 1, -1, np.int64)
        columns |= {
            "rank": self.rank,
            "learned_s": self.learned_s,
            "mean": self._mean,
            "last_ns": self._last_ns,
            "highest": self._extremes.highest,
            "runs": self._extremes.shape,
            **self._switch.columns(),
        }

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether a score could raise a warning."""
        return np.array([self._ready(slot) for slot in range(len(self._rules))], np.bool_)

    def _ready(self, slot: int) -> bool:
        options = self._options[slot]
        if self.learned_s[slot] < options.settle_s:
            return False
        wanted = READINGS_MIN if self._kinds[slot] is Kind.DRIFT else max(READINGS_MIN, 1.0 / (1.0 - options.warn_at))
        return self._extremes.count(slot) >= wanted

    def judge(self, slot: int, time_ns: int, values: list[float], *, clean: bool) -> Told:
        """Ask a rule's model about values, let it learn them, and return what follows.

        Args:
            slot: The rule.
            time_ns: When the values were so.
            values: One for each feature, none of them NaN.
            clean: Whether they may be learned.
        """
        elapsed_s = self._elapsed(slot, time_ns)
        values = [min(max(x, low), high) for x, (low, high) in zip(values, self._believed[slot], strict=True)]
        options, stream, drift = self._options[slot], self._streams[slot], self._kinds[slot] is Kind.DRIFT
        raised = self._bank.levels[slot] != NORMAL
        clean = clean and not raised
        # A drift detector learns by being asked, so it is not asked about what is not to be learned.
        score = stream.score(values) if clean or not drift else 0.0
        if options.model not in UNMOVED or options.lags > 1:
            self._kept[slot] = None
        if options.model in BOUNDED:
            score = -math.log1p(-min(score, 1.0 - 1e-12))
        rank = score if drift else self._extremes.rank(slot, score)
        usual, limit = self._limits(slot, drift=drift)
        ready = self._ready(slot)
        self.rank[slot] = rank if ready else np.nan
        over = ready and score > max(limit, usual)
        # Halfway back is back: scores of the rank asked for come again and again in calm.
        after = self._step(slot, time_ns, over=over, under=not (ready and score > (usual + limit) / 2.0))
        # One wild reading can widen a model for ever: what is too unusual is not learned, nor is what it begins.
        if clean and not over:
            self._learn(slot, values, score, elapsed_s, drift=drift)
        stream.follow(values)
        return Told(after, rank, score, limit)

    def _limits(self, slot: int, *, drift: bool) -> tuple[float, float]:
        """Return the score of the rank asked for, and how far beyond it is a warning."""
        if drift:
            return 0.5, 0.5
        options = self._options[slot]
        usual = self._extremes.quantile(slot, options.warn_at)
        return usual, usual + options.beyond * (usual - self._mean[slot])

    def _elapsed(self, slot: int, time_ns: int) -> float:
        last_ns = int(self._last_ns[slot])
        self._last_ns[slot] = time_ns
        elapsed_s = 0.0 if last_ns < 0 else (time_ns - last_ns) / 1e9
        return self._period_s[slot] if elapsed_s < 0 else min(elapsed_s, self._gap_s[slot])

    def _step(self, slot: int, time_ns: int, *, over: bool, under: bool) -> np.int8:
        one = np.array([slot])
        told, clear = np.array([over]), np.array([under and not over])
        after: np.int8 = self._switch.step(one, np.array([time_ns]), told, clear, np.array([False]))[0]
        return after

    def _learn(self, slot: int, values: list[float], score: float, elapsed_s: float, *, drift: bool) -> None:
        options = self._options[slot]
        settled = drift or self.learned_s[slot] >= min(options.settle_s, options.learn_s or np.inf)
        # Some models say 0 until they have seen enough, which is no score that later ones can be held against.
        says = drift or score != 0.0 or self._extremes.count(slot) > 0
        if settled and says and np.isfinite(score):
            # Scores while it settles say nothing of those that follow.
            self._extremes.note(slot, score)
            self._mean[slot] += (score - self._mean[slot]) / self._extremes.count(slot)
        if options.learn_s is None or self.learned_s[slot] < options.learn_s:
            self._streams[slot].learn(values)
            self._kept[slot] = None
        self.learned_s[slot] += elapsed_s

    def forget(self, slots: NDArray[np.intp]) -> None:
        """Let the models of these rules begin anew."""
        fresh = Extremes(0)
        for slot in slots.tolist():
            self._streams[slot] = stream_of(self._rules[slot], self._members(self._rules[slot]))
            self._kept[slot] = None
        self._extremes.highest[slots], self._extremes.shape[slots] = fresh.highest[0], fresh.shape[0]
        self.rank[slots], self.learned_s[slots], self._last_ns[slots], self._mean[slots] = np.nan, 0.0, -1, 0.0

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return the models as bytes; one that has grown too large to be kept has none, and learns anew then."""
        size = len(self._rules)
        data: UInt8 = np.zeros((size, BYTES_MAX), np.uint8)
        length: Int32 = np.zeros(size, np.int32)
        for slot, stream in enumerate(self._streams):
            self._kept[slot] = found = kept(stream) if self._kept[slot] is None else self._kept[slot]
            if found is not None:
                data[slot, : len(found)] = np.frombuffer(found, np.uint8)
                length[slot] = len(found)
        return {"model": data, "model_bytes": length}

    def restore(self, state: State) -> None:
        """Take over models from what `save` returned; one that cannot be read learns anew, and its rule with it.

        Raises ValueError where they are of other rules.
        """
        data, length = state["model"], state["model_bytes"]
        if data.shape != (len(self._rules), BYTES_MAX) or len(length) != len(self._rules):
            raise ValueError(f"saved models are {list(data.shape)}, not of {len(self._rules)} rules")
        lost = np.flatnonzero(length == 0).tolist()
        for slot in np.flatnonzero(length).tolist():
            try:
                self._kept[slot] = found = data[slot, : int(length[slot])].tobytes()
                self._streams[slot] = returned(found)
            except ValueError as error:
                # Of another version of river, say. What its rule has counted fits no model that knows nothing.
                log.warning("model learns anew", rule=self._rules[slot].id, why=str(error))
                lost.append(slot)
        self.forget(np.array(lost, np.intp))
        self._switch.restored()


def verdict(bank: Bank, batch: Batch, place: tuple[int, int], told: Told, *, rule: Rule, reading: Reason) -> Verdicts:
    """Take over a rule's new level and return its verdict, with the score it was about and the reason.

    Args:
        bank: The rules' levels.
        batch: The readings.
        place: The position of the one that changed the level, and the rule's slot.
        told: What its model says.
        rule: The rule.
        reading: What was seen, in words.
    """
    at, slot = place
    score, limit = np.array([told.score]), np.array([told.limit])
    return bank.report(
        batch,
        np.array([at]),
        np.array([slot]),
        np.array([told.level]),
        judged=(score, limit, margin(score, limit)),
        reason=(_said(rule, reading, told),),
    )


def _said(rule: Rule, reading: Reason, told: Told) -> Reason:
    name = options_of(rule).model.rpartition(".")[2]
    if told.level == NORMAL:
        return Reason(f"{reading.en}: {name} finds nothing unusual any more", f"{reading.zh}：{name}不再认为异常")
    if told.rank >= 1.0:
        return Reason(f"{reading.en}: {name} finds a change", f"{reading.zh}：{name}发现变化")
    times = f"{1.0 / (1.0 - told.rank):,.0f}"
    return Reason(
        f"{reading.en}: {name} finds it as unusual as 1 in {times} readings here",
        f"{reading.zh}：{name}认为异常，此处约{times}次读数才有一次",
    )
