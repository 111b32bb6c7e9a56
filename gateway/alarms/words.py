"""What alarm events say to people: one plain line each, in English and in Chinese."""

import math
import re
from collections.abc import Mapping
from typing import Final

from gateway.alarms.level import is_hazard
from gateway.core import units
from gateway.core.alarm import AlarmEvent
from gateway.core.model import Judged, Level, Reason, quality_name

_FORMULA = re.compile(r"(?:[a-z]{1,2}\d+)+[a-z]*\d*|co|no|hf|hcn|hcl|lel|tvoc|voc")
WHY_MAX = 500
_THE_READING = Judged()
_ZH: Final[Mapping[Level, str]] = {
    Level.NORMAL: "正常",
    Level.LOW: "低限",
    Level.HIGH: "高限",
    Level.FAULT: "故障",
    Level.WARNING: "预警",
}
QUALITIES_ZH: Final[Mapping[str, str]] = {
    "good": "正常",
    "backfilled": "补传",
    "uncertain": "不确定",
    "clock_doubtful": "时钟可疑",
    "over_range": "超量程",
    "test": "测试中",
    "maintenance": "维护",
    "bad": "坏值",
    "comms_lost": "通信中断",
    "sensor_fault": "传感器故障",
    "under_range": "低于量程",
    "warm_up": "预热",
    "calibration": "标定中",
    "inhibited": "已禁止",
    "stale": "数据陈旧",
    "frozen": "数值冻结",
    "refused": "被拒绝",
    "unreadable": "无法读取",
}
"""Qualities by name as they stand in Chinese sentences."""


def spoken(quantity: str) -> str:
    """Return a quantity as it stands at the head of a sentence.

    >>> spoken("ch4"), spoken("cl2"), spoken("temperature"), spoken("")
    ('CH4', 'Cl2', 'Temperature', 'Value')
    """
    if _FORMULA.fullmatch(quantity):
        return quantity.upper().replace("CL", "Cl").replace("BR", "Br")
    return quantity[:1].upper() + quantity[1:] if quantity else "Value"


def number(value: float, decimals: int) -> str:
    """Return a value with the digits that mean something and no zeros behind.

    >>> number(17.204, 2), number(30.0, 2), number(-0.001, 1)
    ('17.2', '30', '0')
    """
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def one_line(text: str) -> str:
    r"""Return anybody's words on one line of at most 500 characters, without what would steer a terminal or a file.

    >>> one_line("a\r\nSet-Cookie:\x1b[2J  x")
    'a Set-Cookie: [2J x'
    """
    text = text[: 4 * WHY_MAX]
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(text.split())[:WHY_MAX]


class Words:
    """The sentences of one alarm, in English and Chinese.

    Args:
        quantity: What is measured.
        unit: Its unit.
        decimals: Digits after the point that mean something.
        judged: What the judged values are, where they are not the reading itself.
        group: Name of the rule, where it judges channels of several quantities together: the sentences begin with
            it and leave out the value, as the number of a whole group says nothing to people.

    >>> Words("", "", 1, Judged(en="criteria met"), group="fire").changed(Level.NORMAL, Level.HIGH, 2.0, 2.0, 0).en
    'fire reached HIGH'
    """

    __slots__ = ("_decimals", "_head", "_measured", "_plain", "_unit")

    def __init__(
        self, quantity: str, unit: str, decimals: int, judged: Judged = _THE_READING, *, group: str = ""
    ) -> None:
        self._plain = bool(group) and not quantity
        en = f"{spoken(quantity)} {judged.en}".rstrip() if quantity or not judged.en else spoken(judged.en)
        zh = f"{units.quantity(quantity).label_zh if quantity else ''}{judged.zh}" or "数值"
        self._head = Reason(group, f"{group} ") if self._plain else Reason(en, zh)
        itself = Reason(spoken(quantity), units.quantity(quantity).label_zh) if quantity else self._head
        self._measured = itself if judged.en else None
        self._unit = f" {unit}" if unit else ""
        self._decimals = decimals

    def seen(self, value: float) -> Reason:
        """Return what was measured, e.g. `CH4 at 17.2 %LEL`; without the value where there is none."""
        if self._plain or math.isnan(value):
            return self._head
        figure = f"{number(value, self._decimals)}{self._unit}"
        return Reason(f"{self._head.en} at {figure}", f"{self._head.zh} {figure}，")

    def changed(
        self, before: Level, now: Level, value: float, limit: float, quality: int, *, explained: bool = False
    ) -> Reason:
        """Return what a changed condition means.

        Args:
            before: What the rule said.
            now: What it says.
            value: The judged value, or NaN.
            limit: What it was compared with, or NaN.
            quality: The reading's `Quality` code, or the fault found.
            explained: Whether the detector's own reason follows: figures that are not the reading are in there.

        >>> Words("ch4", "%LEL", 1).changed(Level.NORMAL, Level.LOW, 17.2, 10.0, 0)
        Reason(en='CH4 at 17.2 %LEL reached LOW limit 10', zh='甲烷 17.2 %LEL，达到低限 10')
        >>> Words("ch4", "%LEL", 1).changed(Level.HIGH, Level.FAULT, float("nan"), float("nan"), 129).en
        'CH4 fault while HIGH: comms lost'
        """
        if now is Level.FAULT:
            return self._fault(before, quality)
        told = self._measured if explained and now is Level.WARNING else None
        en, zh = told or self.seen(value)
        if now is Level.NORMAL:
            return Reason(f"{en} is back to normal", f"{zh}已恢复正常")
        if is_hazard(before) and (now is Level.WARNING or before is Level.HIGH):
            return Reason(f"{en} went from {before.name} to {now.name}", f"{zh}由{_ZH[before]}降为{_ZH[now]}")
        if now is Level.WARNING:
            return Reason(f"{en} gives a warning", f"{zh}预警")
        at = math.nan if self._plain else limit
        return Reason(f"{en} reached {now.name}{_limit(at)}", f"{zh}达到{_ZH[now]}{_figure(at)}")

    def still(self, now: Level, value: float | None, limit: float | None) -> Reason:
        """Return what is found after a reset: the condition is still there."""
        en, zh = self.seen(math.nan if value is None else value)
        at = math.nan if limit is None or self._plain else limit
        return Reason(f"{en} is still {now.name} after the reset{_limit(at)}", f"{zh}复位后仍为{_ZH[now]}{_figure(at)}")

    def _fault(self, before: Level, quality: int) -> Reason:
        during = Reason(f" while {before.name}", f"（此前为{_ZH[before]}）") if is_hazard(before) else Reason("", "")
        name = quality_name(quality)
        found = (
            Reason(f": {name.replace('_', ' ')}", f"：{QUALITIES_ZH.get(name, name)}") if quality else Reason("", "")
        )
        return Reason(f"{self._head.en} fault{during.en}{found.en}", f"{self._head.zh}故障{during.zh}{found.zh}")


def about(event: AlarmEvent) -> Reason:
    """Return what an alarm is about, also where its last event says who did what.

    >>> from gateway.core.alarm import EventKind
    >>> event = AlarmEvent(seq=2, time_ns=0, kind=EventKind.ACKNOWLEDGED, why="acknowledged by wang", said="no answer")
    >>> about(event).en
    'no answer'
    """
    return Reason(event.said, event.said_zh) if event.said else Reason(event.why, event.why_zh)


def because(said: Reason, reason: Reason | None) -> Reason:
    """Return a sentence with a detector's reason behind it.

    >>> because(Reason("CH4 gives a warning", "甲烷预警"), Reason("+3 %LEL in 5 min", "5 分钟内 +3 %LEL"))
    Reason(en='CH4 gives a warning: +3 %LEL in 5 min', zh='甲烷预警：5 分钟内 +3 %LEL')
    """
    if reason is None:
        return said
    return Reason(one_line(f"{said.en}: {reason.en}"), one_line(f"{said.zh}：{reason.zh}"))


def _limit(limit: float) -> str:
    return "" if math.isnan(limit) else f" limit {limit:.10g}"


def _figure(limit: float) -> str:
    return "" if math.isnan(limit) else f" {limit:.10g}"
