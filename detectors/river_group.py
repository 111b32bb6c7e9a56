"""Any anomaly model of the river library for a group of channels: their readings together are what it sees.

The model is asked once all channels of the group have reported anew, about the last reading of each, and then learns
them; the channel that is read most seldom sets the pace. While one of them is BAD nothing is judged, as a model needs
all it has learned, and nothing is learned. Models that explain a value by others, such as
`anomaly.PredictiveAnomalyDetection`, explain the group's first channel. Everything else is as with `river`.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channels = tuple(Channel(row, f"pump.{row}", "pump", "x", decimals=1) for row in range(2))
    >>> options = Options(model="anomaly.LODA", parameters={"n_random_cuts": 20}, settle_s=100.0, warn_at=0.99)
    >>> detector = create([Rule(0, "pump", "river_group", channels, options, group=True)])
    >>> for second in range(320):
    ...     value = 1.0 + 0.1 * (second * 7919 % 13)
    ...     pair = [value, 9.0 if second == 300 else 2.0 * value]
    ...     verdicts = detector.update(Batch.of([0, 1], second * 10**9, pair))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    300 WARNING pump.0 1.2, pump.1 9.0: LODA finds it as unusual as 1 in 200 readings here

References:
    J. Montiel et al., River: machine learning for streaming data in Python, JMLR 22 (2021); https://riverml.xyz.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from detectors.parts.bank import Mask, State, is_bad
from detectors.parts.groups import GroupJudge, amount, joined, named
from detectors.parts.river_bank import RiverBank, RiverOptions, check, verdict
from detectors.parts.river_model import Kind
from gateway.core.model import NO_VERDICTS, Batch, Float64, Judged, Level, Reason, Rule, Verdicts
from gateway.core.plugin import Binding, Detector

BINDING: Final = Binding.GROUP
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("", "score", "评分")
_GOOD_TO_LEARN: Final = 64
_SHOWN_MOST: Final = 3
_NOT_SEEN, _SEEN, _SEEN_UNCLEAN, _SEEN_BAD = range(4)


class Options(RiverOptions):
    """Which model, and what of its scores is a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "anomaly.OneClassSVM",
                    "scaler": "preprocessing.StandardScaler",
                    "learn_s": 7200.0,
                    "settle_s": 3600.0,
                    "warn_at": 0.99,
                    "beyond": 3.0,
                },
                {
                    "model": "anomaly.StandardAbsoluteDeviation",
                    "settle_s": 3600.0,
                    "warn_at": 0.99,
                    "beyond": 2.0,
                },
            ]
        }
    )


class RiverGroup(GroupJudge):
    """All river rules of groups of one size; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule], kinds: Sequence[Kind]) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._models = RiverBank(rules, self._bank, lambda rule: len(rule.channels), kinds, self.columns)
        self._value = self.member_column("value", np.nan, np.float64)
        self._seen = self.member_column("seen", _NOT_SEEN, np.uint8)
        self._held: Mask = np.zeros_like(self.members.there)

    @property
    def score(self) -> Float64:
        """float64[rules], the rank of each rule's last score among its own past; NaN before it has learned."""
        return self._models.rank[:-1]

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether a score could raise a warning."""
        return self._models.ready

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing of groups with one of these channels until told otherwise."""
        self._held = self.members.by_member(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Let the models of these rules begin anew."""
        self._models.forget(rules)
        self._value[rules], self._seen[rules] = np.nan, _NOT_SEEN

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        slots, places = self.members.find(batch.row)
        bad = is_bad(batch.quality) | np.isnan(batch.value)
        clean = batch.quality < _GOOD_TO_LEARN
        found = []
        for at in np.flatnonzero(slots < self.members.size).tolist():
            slot, place = int(slots[at]), int(places[at])
            self._value[slot, place] = batch.value[at]
            # What was bad or doubtful once in a round spoils the round.
            kind = _SEEN_BAD if bad[at] else _SEEN if clean[at] else _SEEN_UNCLEAN
            self._seen[slot, place] = kind
            if self._seen[slot, self.members.there[slot]].all():
                found.append(self._ask(batch, at, slot))
        return joined(found) if found else NO_VERDICTS

    def _ask(self, batch: Batch, at: int, slot: int) -> Verdicts:
        there = self.members.there[slot]
        worst, values = int(self._seen[slot, there].max()), self._value[slot, there].tolist()
        self._seen[slot, there] = _NOT_SEEN
        if worst == _SEEN_BAD:
            return NO_VERDICTS
        clean = worst == _SEEN and not self._held[slot].any()
        told = self._models.judge(slot, int(batch.time_ns[at]), values, clean=clean)
        if told.level == self._bank.levels[slot]:
            return NO_VERDICTS
        return verdict(self._bank, batch, (at, slot), told, rule=self._rules[slot], reading=self._shown(slot, values))

    def _shown(self, slot: int, values: list[float]) -> Reason:
        channels = self._rules[slot].channels
        pairs = list(zip(channels, values, strict=True))[:_SHOWN_MOST]
        rest = "" if len(channels) <= _SHOWN_MOST else "…"
        return Reason(
            ", ".join(f"{named(c).en} {amount(c, value)}" for c, value in pairs) + rest,
            "、".join(f"{named(c).zh} {amount(c, value)}" for c, value in pairs) + rest,
        )

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return all state; the models as bytes."""
        return super().save() | self._models.save()

    def restore(self, state: State) -> None:
        """Take over what `save` returned. Raises ValueError where it was saved for other rules."""
        super().restore(state)
        self._models.restore(state)


def create(rules: Sequence[Rule]) -> Detector:
    """Return the detector for these rules.

    Raises:
        ConfigError: There is no such model, it refuses its parameters, it judges nothing or one value only, or it is
            too large to keep.
    """
    return RiverGroup(rules, [check(rule, len(rule.channels)) for rule in rules])
