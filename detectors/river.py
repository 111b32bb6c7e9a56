"""Any anomaly or drift model of the river library, one for each channel: opt-in, slow, and only ever a warning.

The model is asked about each reading before it learns it. Its score is held against the channel's own past, so that
`warn_at` means the same for every model. BAD readings are neither judged nor learned; UNCERTAIN ones, and those of a
channel in alarm, are judged and not learned.

    >>> from gateway.core.model import Batch, Channel, Level, Rule
    >>> channel = Channel(0, "gd-01.ch4", "gd-01", "ch4", "%LEL", decimals=1, label="Gas")
    >>> options = Options(model="anomaly.StandardAbsoluteDeviation", settle_s=100.0, warn_at=0.99)
    >>> detector = create([Rule(0, "gas", "river", (channel,), options)])
    >>> for second in range(500):
    ...     value = 9.5 if second == 400 else 1.0 + 0.1 * (second * 7919 % 13)
    ...     verdicts = detector.update(Batch.of([0], second * 10**9, [value]))
    ...     for level, reason in zip(verdicts.level, verdicts.reason):
    ...         print(second, Level(level).name, reason.en)
    400 WARNING Gas 9.5 %LEL: StandardAbsoluteDeviation finds it as unusual as 1 in 300 readings here
    461 NORMAL Gas 2.2 %LEL: StandardAbsoluteDeviation finds nothing unusual any more

References:
    J. Montiel et al., River: machine learning for streaming data in Python, JMLR 22 (2021); https://riverml.xyz.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from detectors.parts.bank import Judge, Mask, State, is_bad
from detectors.parts.groups import amount, joined, named
from detectors.parts.river_bank import RiverBank, RiverOptions, check, verdict
from detectors.parts.river_model import Kind
from gateway.core.model import NO_VERDICTS, Batch, Float64, Judged, Level, Reason, Rule, Verdicts
from gateway.core.plugin import Binding, Detector

BINDING: Final = Binding.EACH
LEVELS: Final = (Level.WARNING,)
JUDGED: Final = Judged("", "score", "评分")
_GOOD_TO_LEARN: Final = 64


class Options(RiverOptions):
    """Which model, and what of its scores is a warning."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "anomaly.StandardAbsoluteDeviation",
                    "learn_s": 7200.0,
                    "settle_s": 3600.0,
                    "warn_at": 0.99,
                    "beyond": 2.0,
                },
                {"model": "drift.PageHinkley", "parameters": {"threshold": 50.0}, "settle_s": 600.0},
            ]
        }
    )


class River(Judge):
    """All river rules of single channels; satisfies `Detector` and `Learning`."""

    def __init__(self, rules: Sequence[Rule], kinds: Sequence[Kind]) -> None:
        super().__init__(rules)
        self._rules = tuple(rules)
        self._models = RiverBank(rules, self._bank, lambda _: 1, kinds, self.columns)
        self._held: Mask = np.zeros(len(rules) + 1, np.bool_)

    @property
    def score(self) -> Float64:
        """float64[rules], the rank of each rule's last score among its own past; NaN before it has learned."""
        return self._models.rank[:-1]

    @property
    def ready(self) -> NDArray[np.bool_]:
        """bool[rules], whether a score could raise a warning."""
        return self._models.ready

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from these channels until told otherwise."""
        self._held = self._bank.by_slot(held)

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Let the models of these rules begin anew."""
        self._models.forget(rules)

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels."""
        slots = self._bank.slots(batch.row)
        seen = (slots < self._bank.size) & ~is_bad(batch.quality) & ~np.isnan(batch.value)
        clean = (batch.quality < _GOOD_TO_LEARN) & ~self._held[slots]
        found = []
        for at in np.flatnonzero(seen).tolist():
            slot, value = int(slots[at]), float(batch.value[at])
            told = self._models.judge(slot, int(batch.time_ns[at]), [value], clean=bool(clean[at]))
            if told.level != self._bank.levels[slot]:
                found.append(
                    verdict(
                        self._bank, batch, (at, slot), told, rule=self._rules[slot], reading=self._seen(slot, value)
                    )
                )
        return joined(found) if found else NO_VERDICTS

    def _seen(self, slot: int, value: float) -> Reason:
        channel = self._rules[slot].channel
        name, shown = named(channel), amount(channel, value)
        return Reason(f"{name.en} {shown}", f"{name.zh} {shown}")

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
        ConfigError: There is no such model, it refuses its parameters, it judges nothing, or it is too large to keep.
    """
    return River(rules, [check(rule, 1) for rule in rules])
