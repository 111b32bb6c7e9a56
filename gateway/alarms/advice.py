"""What to fix: sentences for people, in both languages and with numbers, from the figures of a span."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.alarms.statistics import AlarmFigures
from gateway.core.clock import NS_PER_S
from gateway.core.model import Reason

LINES_MAX: Final = 20
PER_HOUR_MAX: Final = 12.0
"""ISA-18.2: the most that one operator can manage, on average."""
FLOOD_PERCENT_MAX: Final = 1.0
URGENT_PERCENT_MAX: Final = 20.0
"""EEMUA 191: 5 % high, 15 % medium, 80 % low."""
BAD_ACTOR_PERCENT: Final = 5.0
OFTEN: Final = 10
"""How often an alarm must have been raised before its share says anything."""
FLEETING_OFTEN: Final = 3
WAIT_MAX_S: Final = 600.0
SHELVED_OFTEN: Final = 3
SHELVED_LONG_S: Final = 8 * 3600.0


class Advice(NamedTuple):
    """What to fix, and the alarm it is about, or empty."""

    text: Reason
    alarm: str = ""


def advice(figures: AlarmFigures) -> list[Advice]:
    """Return what to fix, most worthwhile first; at most twenty lines, one an alarm and sort."""
    lines = [*_load(figures), *_single(figures), *_standing(figures), *_response(figures)]
    return lines[:LINES_MAX]


def _load(f: AlarmFigures) -> Iterator[Advice]:
    if f.hours >= 1 and f.per_hour > PER_HOUR_MAX:
        yield _advice(
            f"{f.per_hour:.3g} alarms an hour; one operator can manage {PER_HOUR_MAX:g}: begin with the top ten",
            f"平均每小时 {f.per_hour:.3g} 条报警，单人可承受 {PER_HOUR_MAX:g} 条：先治理前十位",
        )
    if f.in_flood_percent > FLOOD_PERCENT_MAX:
        yield _advice(
            f"{f.in_flood_percent:.3g} % of the time was flood ({len(f.floods)}); less than {FLOOD_PERCENT_MAX:g} % "
            "is good: look at what was raised together and suppress consequences by their cause",
            f"洪泛时间占 {f.in_flood_percent:.3g}%（{len(f.floods)} 次），应低于 {FLOOD_PERCENT_MAX:g}%："
            "查明同时出现的报警，按原因抑制后果报警",
        )
    urgent = f.by_priority.get(1, 0) + f.by_priority.get(2, 0)
    share = 100 * urgent / f.raised if f.raised else 0.0
    if f.raised >= 2 * OFTEN and share > URGENT_PERCENT_MAX:
        yield _advice(
            f"{share:.3g} % of the alarms had priority 1 or 2; {URGENT_PERCENT_MAX:g} % is good: review the priorities",
            f"一、二级报警占 {share:.3g}%，宜不超过 {URGENT_PERCENT_MAX:g}%：复核优先级",
        )


def _single(f: AlarmFigures) -> Iterator[Advice]:
    """One line an alarm: what chatters is not told again as frequent or fleeting."""
    told: set[str] = set()
    for bad in f.chattering:
        told.add(bad.alarm)
        share = _share(bad.raised, f.raised)
        yield _advice(
            f"{bad.alarm} raised {bad.raised} times ({share} %), up to {bad.max_per_min} in a minute: "
            "widen its deadband or off-delay, and look at the instrument",
            f"{bad.alarm} 报警 {bad.raised} 次（{share}%），一分钟内最多 {bad.max_per_min} 次："
            "加大回差或延长解除延时，并检查仪表",
            bad.alarm,
        )
    for brief in f.fleeting:
        if brief.alarm not in told and brief.fleeting >= FLEETING_OFTEN:
            told.add(brief.alarm)
            yield _advice(
                f"{brief.alarm} went by itself within 10 s {brief.fleeting} of {brief.raised} times: "
                "find out what causes it; an on-delay only where the hazard allows one",
                f"{brief.alarm} {brief.raised} 次中有 {brief.fleeting} 次在 10 秒内自行消失："
                "查明原因；仅在风险允许时设置报警延时",
                brief.alarm,
            )
    for often in f.top:
        if often.alarm not in told and often.raised >= OFTEN and often.share_percent > BAD_ACTOR_PERCENT:
            yield _advice(
                f"{often.alarm} raised {often.raised} times, {often.share_percent:.3g} % of all: "
                "check its limit and its cause",
                f"{often.alarm} 报警 {often.raised} 次，占全部的 {often.share_percent:.3g}%：检查设定值和原因",
                often.alarm,
            )


def _standing(f: AlarmFigures) -> Iterator[Advice]:
    for old in f.stale:
        days = (f.end_ns - old.since_ns) / (86_400 * NS_PER_S)
        yield _advice(
            f"{old.alarm} has stood for {days:.3g} days: repair it, reset it, or take it out of service with a permit",
            f"{old.alarm} 已持续 {days:.3g} 天：修复、复位或凭作业票停用",
            old.alarm,
        )
    for quiet in f.shelved:
        if quiet.times >= SHELVED_OFTEN or quiet.total_s > SHELVED_LONG_S:
            hours = quiet.total_s / 3600
            yield _advice(
                f"{quiet.alarm} was shelved {quiet.times} times for {hours:.3g} h: fix what makes people shelve it",
                f"{quiet.alarm} 被搁置 {quiet.times} 次，共 {hours:.3g} 小时：消除其反复搁置的原因",
                quiet.alarm,
            )


def _response(f: AlarmFigures) -> Iterator[Advice]:
    if f.acknowledge_p90_s is not None and f.acknowledge_p90_s > WAIT_MAX_S:
        minutes = f.acknowledge_p90_s / 60
        yield _advice(
            f"one alarm in ten waited more than {minutes:.3g} min for its acknowledgement",
            f"每十条报警有一条超过 {minutes:.3g} 分钟才被确认",
        )
    if f.cases_overdue:
        yield _advice(
            f"{f.cases_overdue} of {f.cases_opened} responses missed a time limit",
            f"{f.cases_opened} 项处置中有 {f.cases_overdue} 项超时",
        )
    false = f.outcomes.get("false", 0) + f.outcomes.get("instrument_fault", 0)
    if f.cases_closed >= OFTEN and 2 * false > f.cases_closed:
        yield _advice(
            f"{false} of {f.cases_closed} responses ended as false alarm or instrument fault: people stop believing",
            f"{f.cases_closed} 项处置中有 {false} 项为误报或仪表故障：人员将不再信任报警",
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.3g}" if whole else "0"


def _advice(en: str, zh: str, alarm: str = "") -> Advice:
    return Advice(Reason(en, zh), alarm)
