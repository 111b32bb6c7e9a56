"""The reasons of the leak rule: how much, since when, where, what is normal there, and when a limit will be reached.

>>> import numpy as np
>>> from gateway.core.model import Channel, Rule
>>> from gateway.core.plugin import PluginOptions
>>> channel = Channel(0, "gd-03.ch4", "gd-03", "ch4", "%LEL", range_low=0.0, range_high=100.0, decimals=1)
>>> words = Words([Rule(0, "leak", "leak", (channel,), PluginOptions(), group=True)], [None], np.array([10.0, 1.0]))
>>> words.risen(0, 0, Rise(lead=3.2, normal=0.4, span=2, now=3.9, heads=1)).en
'+3.2 %LEL in 5 min at gd-03; normal here ±0.4; reaches 25.0 %LEL in about 33 min'
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from detectors.parts.groups import amount
from detectors.parts.rises import FINE, LONG, LONG_CELL
from gateway.core.model import Channel, Float64, Reason, Rule

_FAR_S: Final = 86_400.0
"""Beyond this nothing is forecast."""


class Rise(NamedTuple):
    """What is told of a rise.

    Attributes:
        lead: How far the nearest head is above the past.
        normal: How far it moves by itself.
        span: Over which span of time the rise stood out.
        now: The level that it shows.
        heads: How many heads of the area rise.
    """

    lead: float
    normal: float
    span: int
    now: float
    heads: int


class Words:
    """The reasons of all rules.

    Args:
        rules: The rules.
        limits: The level that each rule forecasts, in the channel's unit; None for a quarter of the head's range.
        cell_s: float64[rules + 1], how long cells of time are.
    """

    def __init__(self, rules: Sequence[Rule], limits: Sequence[float | None], cell_s: Float64) -> None:
        self._rules, self._limits, self._cell_s = rules, limits, cell_s

    def risen(self, slot: int, place: int, rise: Rise) -> Reason:
        """Return why a head warns that has risen."""
        channel = self._rules[slot].channels[place]
        seconds = self._past_s(slot, rise.span)
        up, normal = amount(channel, rise.lead, signed=True), f"±{_scatter(channel, rise.normal)}"
        en, zh = f"{up} in {_time(seconds)[0]} at {_name(channel)}", f"{_name_zh(channel)}{_time(seconds)[1]}内{up}"
        if rise.heads > 1:
            en, zh = f"{en}, {rise.heads} heads rise", f"{zh}，{rise.heads}个探头上升"
        en, zh = f"{en}; normal here {normal}", f"{zh}；此处正常{normal}"
        ahead = self._ahead(slot, channel, rise, seconds)
        return Reason(en + ahead.en, zh + ahead.zh)

    def crept(self, slot: int, place: int, above: float) -> Reason:
        """Return why a head warns whose level has crept away."""
        channel = self._rules[slot].channels[place]
        up = amount(channel, above, signed=True)
        return Reason(
            f"{up} above the commissioned level at {_name(channel)}, crept up slowly",
            f"{_name_zh(channel)}高于投运基准{up}，缓慢上升",
        )

    def over(self, slot: int, place: int) -> Reason:
        """Return why a rule is normal again."""
        channel = self._rules[slot].channels[place]
        return Reason(
            f"back to the level before at {_name(channel)}, no head rises",
            f"{_name_zh(channel)}已回到先前水平，无探头上升",
        )

    def _past_s(self, slot: int, span: int) -> float:
        cells = FINE[span][1] if span < len(FINE) else LONG[1] * LONG_CELL
        return cells * float(self._cell_s[slot])

    def _ahead(self, slot: int, channel: Channel, rise: Rise, seconds: float) -> Reason:
        """Return when the limit will be reached if it goes on like this; empty where it is, or is far."""
        limit = self._limits[slot]
        if limit is None:
            # Heads that can show a little below zero are ranged from there; their set points are not.
            low = max(channel.range_low, 0.0)
            limit = low + (channel.range_high - low) / 4.0
        if not math.isfinite(limit) or rise.now >= limit or rise.lead <= 0.0:
            return Reason("", "")
        left_s = (limit - rise.now) / rise.lead * seconds
        if left_s > _FAR_S:
            return Reason("", "")
        en, zh = _time(left_s)
        told = amount(channel, limit)
        return Reason(f"; reaches {told} in about {en}", f"；约{zh}后达到{told}")


def _scatter(channel: Channel, value: float) -> str:
    """Return a scatter with the channel's digits, or with one digit that means something where that would be zero.

    >>> channel = Channel(0, "g", "g", "ch4", "%LEL", decimals=1)
    >>> _scatter(channel, 0.42), _scatter(channel, 0.0312), _scatter(channel, 0.0)
    ('0.4', '0.03', '0.0')
    """
    text = f"{value:.{channel.decimals}f}"
    return text if float(text) or value < 1e-9 else f"{value:.1g}"


def _name(channel: Channel) -> str:
    return channel.label or channel.instrument


def _name_zh(channel: Channel) -> str:
    return channel.label_zh or _name(channel)


def _time(seconds: float) -> tuple[str, str]:
    """Return a time in words.

    >>> _time(45.0), _time(540.0), _time(7200.0)
    (('45 s', '45秒'), ('9 min', '9分钟'), ('2.0 h', '2.0小时'))
    """
    if seconds < 60.0:
        return f"{seconds:.0f} s", f"{seconds:.0f}秒"
    if seconds < 7200.0:
        return f"{seconds / 60.0:.0f} min", f"{seconds / 60.0:.0f}分钟"
    return f"{seconds / 3600.0:.1f} h", f"{seconds / 3600.0:.1f}小时"
