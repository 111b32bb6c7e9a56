"""What messages to people say, in Chinese and in English; pure, made once for all notifiers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from urllib.parse import quote

from gateway.alarms.desk import CALLS, Form, Item, Message, Occasion
from gateway.alarms.words import about
from gateway.core.alarm import AlarmEvent, AlarmState
from gateway.core.clock import NS_PER_S
from gateway.core.notice import Notice, Text

NAMED_MAX = 60
"""Alarms that one gathered message names; no chat shows more, and a longer one is cut anyway."""
NAMED_IN_AREA = 6
_COLOURS = {1: Text("红", "RED"), 2: Text("橙", "ORANGE"), 3: Text("黄", "YELLOW"), 4: Text("蓝", "BLUE")}
_LEVELS = {
    "high": Text("高限报警", "HIGH alarm"),
    "low": Text("低限报警", "LOW alarm"),
    "fault": Text("故障", "FAULT"),
    "warning": Text("预警", "warning"),
    "normal": Text("报警", "alarm"),
}
_OCCASIONS = {
    Occasion.RAISED: Text("", ""),
    Occasion.ROSE: Text("升级：", "worse: "),
    Occasion.BACK: Text("重新投入：", "back in service: "),
    Occasion.STILL: Text("仍未确认：", "still unacknowledged: "),
    Occasion.ACKNOWLEDGED: Text("已确认：", "acknowledged: "),
    Occasion.ASIDE: Text("已搁置：", "put aside: "),
    Occasion.GONE: Text("条件已消失：", "condition gone: "),
    Occasion.ENDED: Text("已结束：", "ended: "),
}
_NOWHERE = Text("", "")


@dataclass(frozen=True, slots=True)
class Place:
    """An area as people know it.

    Attributes:
        label: Its name.
        phone: Whom to call, or empty.
        response: What to do where the rule does not say, or empty.
    """

    label: Text
    phone: str = ""
    response: Text = _NOWHERE


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What messages say beside the alarm itself.

    Attributes:
        site: The site's name.
        site_id: Its id, for the messages' keys.
        zone: Its zone.
        link: Address of the console, or empty.
        places: Its areas, by id.
        labels: Its channels' names, by id.
        response: Returns what to do about an alarm, by the alarm's id.
    """

    site: Text
    site_id: str
    zone: tzinfo
    link: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    labels: Mapping[str, Text] = field(default_factory=dict)
    response: Callable[[str], Text] = lambda _alarm: _NOWHERE


class Teller:
    """Makes notices for one notifier.

    Args:
        notifier: The notifier's id.
        around: What messages say beside the alarm itself.
    """

    def __init__(self, notifier: str, around: Surroundings) -> None:
        self._notifier = notifier
        self._around = around

    def notice(self, message: Message, now_ns: int) -> Notice:
        """Return a message as people read it."""
        if message.form is Form.SINGLE:
            return self._single(message.items[0], now_ns)
        return self._gathered(message, now_ns)

    def trial(self, who: str, now_ns: int) -> Notice:
        """Return a message that tries whether messages arrive."""
        at = self._time(now_ns)
        return Notice(
            key=self._key(f"trial-{now_ns}"),
            title=Text(f"【测试】{self._around.site.zh}：通知测试", f"[TEST] {self._around.site.en}: trial message"),
            lines=(
                Text(
                    "这是一条测试消息，没有报警，无需处置。", "This is a trial: there is no alarm, and nothing to do."
                ),
                Text(f"由 {who} 于 {at} 从“{self._notifier}”发出。", f"Sent by {who} through {self._notifier}, {at}."),
            ),
            time_ns=now_ns,
            link=self._around.link,
            test=True,
        )

    # One alarm

    def _single(self, item: Item, now_ns: int) -> Notice:
        event = item.event
        lines = self._call(item, now_ns) if item.occasion in CALLS else self._answer(item)
        return Notice(
            key=self._key(f"{event.seq}-{item.occasion.value}-{item.at_ns // NS_PER_S}"),
            title=self._title(item),
            lines=tuple(line for line in lines if line.zh or line.en),
            priority=event.priority or 4,
            time_ns=now_ns,
            link=self._link(event.alarm),
            test=event.test,
        )

    def _call(self, item: Item, now_ns: int) -> list[Text]:
        """Return what somebody needs to know who has to act."""
        event, place = item.event, self._place(item.event.area)
        said = about(event)
        return [
            Text(said.zh or said.en, said.en),
            _figures(event),
            self._began(item, now_ns),
            *self._response(event.alarm, place),
            Text(f"电话：{place.phone}", f"Phone: {place.phone}") if place.phone else _NOWHERE,
            self._site(),
        ]

    def _answer(self, item: Item) -> list[Text]:
        """Return what somebody needs to know who was told of the alarm."""
        event = item.event
        at = self._time(event.time_ns)
        why = Text(event.why_zh or event.why, event.why)
        if item.occasion is Occasion.GONE:
            waits = event.state in (AlarmState.LATCHED_UNACKED, AlarmState.LATCHED_ACKED)
            rest = Text("报警保持，待复位。", "The alarm is held until it is reset.") if waits else _NOWHERE
            return [Text(f"{at} {why.zh}", f"{at} {why.en}"), rest, self._site()]
        if item.occasion is Occasion.ACKNOWLEDGED and event.acked_by:
            over = event.state is AlarmState.NORMAL
            done = Text("，报警结束", ", and it is over") if over else _NOWHERE
            by = Text(f"{event.acked_by} 于 {at} 确认{done.zh}。", f"By {event.acked_by}, {at}{done.en}.")
            return [by, self._site()]
        return [Text(f"{at} {why.zh}", f"{at} {why.en}"), self._site()]

    def _title(self, item: Item) -> Text:
        event = item.event
        head, where, what = _OCCASIONS[item.occasion], self._place(event.area).label, self._what(event)
        level = _LEVELS.get(event.level, _LEVELS["normal"])
        mark = _mark(event)
        return Text(
            f"{mark.zh}{head.zh}{' '.join(filter(None, (where.zh, what.zh, level.zh)))}",
            f"{mark.en} {head.en}{level.en}, {', '.join(filter(None, (where.en, what.en)))}",
        )

    def _began(self, item: Item, now_ns: int) -> Text:
        began_ns = item.event.raised_ns or item.event.time_ns
        at = self._time(began_ns)
        if item.occasion is not Occasion.STILL:
            return Text(f"发生时间：{at}", f"Since {at}")
        minutes = max(1, round((now_ns - began_ns) / NS_PER_S / 60))
        return Text(f"发生时间：{at}，{minutes} 分钟无人确认", f"Since {at}; nobody has acknowledged for {minutes} min")

    def _response(self, alarm: str, place: Place) -> list[Text]:
        found = self._around.response(alarm)
        todo = found if found.zh or found.en else place.response
        return [Text(f"处置：{todo.zh or todo.en}", f"What to do: {todo.en or todo.zh}")] if any(todo) else []

    # Many alarms

    def _gathered(self, message: Message, now_ns: int) -> Notice:
        last: dict[str, Item] = {}
        for item in message.items:
            last[item.event.alarm] = item
        items = sorted(last.values(), key=lambda one: (not one.urgent, one.event.priority, one.at_ns))
        calls = [item for item in items if item.occasion in CALLS]
        real = any(not item.event.test for item in items) or message.unnamed > 0
        return Notice(
            key=self._key(f"{message.items[-1].event.seq if message.items else 0}-{message.form.value}-{len(items)}"),
            title=self._heading(message, items, calls),
            lines=tuple(self._by_area(items, message.unnamed, now_ns)),
            priority=min((item.event.priority or 4 for item in calls), default=4),
            time_ns=now_ns,
            link=self._link(""),
            test=not real,
        )

    def _heading(self, message: Message, items: Sequence[Item], calls: Sequence[Item]) -> Text:
        count = len(items) + message.unnamed
        mark = _mark(calls[0].event) if calls else _NOWHERE
        colours = _counted([item.event.priority for item in calls])
        more = Text(f"（{colours.zh}）", f" ({colours.en})") if colours.zh else _NOWHERE
        if message.form is Form.LIST:
            if message.unnamed:
                return Text(
                    f"{mark.zh}{count} 条报警，其中红色至少 {len(items)} 条",
                    f"{mark.en} {_alarms(count)}, at least {len(items)} of them red",
                )
            return Text(f"{mark.zh}{count} 条红色报警", f"{mark.en} {count} red alarms")
        if message.form is Form.LATE:
            first, last = (self._time(pick(item.at_ns for item in message.items)) for pick in (min, max))
            return Text(
                f"{mark.zh}{first} 至 {last} 未能送达 {count} 条报警消息{more.zh}",
                f"{mark.en} {_alarms(count)} that could not be told from {first} to {last}{more.en}".strip(),
            )
        return Text(f"{mark.zh}{count} 条报警消息{more.zh}", f"{mark.en} {_alarms(count)} gathered{more.en}".strip())

    def _by_area(self, items: Sequence[Item], unnamed: int, now_ns: int) -> list[Text]:
        """Return a heading for each area, the one with the most urgent alarm first, and its first alarms."""
        areas: dict[str, list[Item]] = {}
        for item in items:
            areas.setdefault(item.event.area, []).append(item)
        lines: list[Text] = []
        named = 0
        for area, here in areas.items():
            shown = here[: min(NAMED_IN_AREA if len(areas) > 1 else NAMED_MAX, NAMED_MAX - named)]
            named += len(shown)
            lines += [self._area_line(area, here), *(self._line(item) for item in shown)]
            if len(here) > len(shown):
                rest = len(here) - len(shown)
                lines.append(Text(f"　另有 {rest} 条", f"  and {rest} more"))
        if unnamed:
            lines.append(
                Text(f"另有 {unnamed} 条未列出，见控制台。", f"{unnamed} more are not named; see the console.")
            )
        return [
            *lines,
            Text(f"{self._around.site.zh} {self._time(now_ns)}", f"{self._around.site.en}, {self._time(now_ns)}"),
        ]

    def _area_line(self, area: str, here: Sequence[Item]) -> Text:
        place = self._place(area)
        calls = [item.event.priority for item in here if item.occasion in CALLS]
        answers = len(here) - len(calls)
        counted = _counted(calls)
        zh = [
            *([f"报警 {len(calls)}（{counted.zh}）"] if calls else ()),
            *([f"确认或结束 {answers}"] if answers else ()),
        ]
        en = [
            *([f"{_alarms(len(calls))} ({counted.en})"] if calls else ()),
            *([f"{answers} answered"] if answers else ()),
        ]
        phone = Text(f"，电话 {place.phone}", f", phone {place.phone}") if place.phone and calls else _NOWHERE
        return Text(
            f"{place.label.zh or '系统'}：{'，'.join(zh)}{phone.zh}",
            f"{place.label.en or 'System'}: {', '.join(en)}{phone.en}",
        )

    def _line(self, item: Item) -> Text:
        event = item.event
        mark, what, head = _mark(event), self._what(event), _OCCASIONS[item.occasion]
        level, figures = _LEVELS.get(event.level, _LEVELS["normal"]), _value(event)
        at = self._time(event.raised_ns or event.time_ns, short=True)
        return Text(
            f"　{mark.zh}{head.zh}{what.zh} {level.zh}{' ' if figures else ''}{figures} {at}",
            f"  {mark.en} {head.en}{level.en}, {what.en}{' ' if figures else ''}{figures}, {at}",
        )

    # Words

    def _what(self, event: AlarmEvent) -> Text:
        if event.channel:
            return self._around.labels.get(event.channel, Text(event.channel, event.channel))
        name = event.instrument or event.alarm
        return Text(name, name)

    def _place(self, area: str) -> Place:
        return self._around.places.get(area) or Place(Text(area, area))

    def _site(self) -> Text:
        return Text(f"站点：{self._around.site.zh}", f"Site: {self._around.site.en}")

    def _time(self, time_ns: int, *, short: bool = False) -> str:
        local = datetime.fromtimestamp(time_ns // NS_PER_S, self._around.zone)
        return f"{local:%H:%M:%S}" if short else f"{local:%Y-%m-%d %H:%M:%S}"

    def _link(self, alarm: str) -> str:
        root = self._around.link
        if not root:
            return ""
        return f"{root.rstrip('/')}/#/" + (f"alarm/{quote(alarm, safe='')}" if alarm else "now")

    def _key(self, rest: str) -> str:
        return f"{self._around.site_id}:{self._notifier}:{rest}"


def _mark(event: AlarmEvent) -> Text:
    colour = _COLOURS.get(event.priority, _COLOURS[4])
    test = Text("【测试】", "[TEST]") if event.test else _NOWHERE
    return Text(f"{test.zh}【{colour.zh}】", f"{test.en}[{colour.en}]")


def _counted(priorities: Sequence[int]) -> Text:
    """Return how many there are of each colour.

    >>> _counted([1, 2, 2]).zh, _counted([1, 2, 2]).en
    ('红 1、橙 2', '1 red, 2 orange')
    """
    counts = {p: sum(one == p for one in priorities) for p in sorted(_COLOURS)}
    return Text(
        "、".join(f"{_COLOURS[p].zh} {count}" for p, count in counts.items() if count),
        ", ".join(f"{count} {_COLOURS[p].en.lower()}" for p, count in counts.items() if count),
    )


def _value(event: AlarmEvent) -> str:
    return "" if event.value is None else f"{event.value:.6g} {event.unit}".strip()


def _figures(event: AlarmEvent) -> Text:
    """Return value and limit; no value is said to be none, as one that is missing must not look safe."""
    if event.value is None:
        return _NOWHERE if event.quality == "good" else Text("无测量值", "No value")
    limit = "" if event.limit is None else f"{event.limit:.6g} {event.unit}".strip()
    return Text(
        f"数值：{_value(event)}" + (f"，限值：{limit}" if limit else ""),
        f"Value {_value(event)}" + (f", limit {limit}" if limit else ""),
    )


def _alarms(count: int) -> str:
    return f"{count} alarm" if count == 1 else f"{count} alarms"
