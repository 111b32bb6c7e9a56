"""The words of reports in English and Chinese, and figures and times as people write them."""

from datetime import datetime, tzinfo
from typing import Final, Literal

from gateway.core.clock import NS_PER_S

Lang = Literal["zh", "en"]

WORDS: Final[dict[str, tuple[str, str]]] = {
    # Titles
    "handover": ("Shift handover", "交接班报告"),
    "handover_draft": ("Shift handover · draft", "交接班报告 · 草稿"),
    "daily": ("Daily report", "日报"),
    "monthly": ("Monthly report", "月报"),
    "shift": ("Shift", "班次"),
    "period": ("Period", "时段"),
    "made": ("As of", "截至"),
    "timezone": ("Time zone", "时区"),
    "last_hours": ("last 8 hours", "最近 8 小时"),
    "now": ("still going on", "进行中"),
    # Sections
    "key_figures": ("At a glance", "概览"),
    "open": ("Open alarms", "未结束的报警"),
    "open_none": ("No alarm is open.", "当前无未结束的报警。"),
    "out_of_service": ("Out of service under a permit", "停用（检修许可）"),
    "out_of_service_none": ("Nothing is out of service.", "无停用项。"),
    "shelved": ("Shelved", "搁置"),
    "shelved_none": ("Nothing is shelved.", "无搁置项。"),
    "suppressed": ("Suppressed by the site's logic", "按设计抑制"),
    "suppressed_none": ("Nothing is suppressed.", "无抑制项。"),
    "cases": ("Open cases", "未归档的处置"),
    "cases_period": ("Cases of the period", "本期处置"),
    "cases_none": ("No case is open.", "无未归档的处置。"),
    "cases_period_none": ("No case was opened.", "本期无处置。"),
    "calibrations": ("Calibrations and bump tests due", "到期的标定与通气测试"),
    "calibrations_now": (
        "Calibrations and bump tests due when this was made", "到期的标定与通气测试（截至本报告生成时）"
    ),
    "calibrations_tile": ("Tests due", "到期的标定与测试"),
    "calibrations_none": ("None is due.", "无到期项。"),
    "notes": ("Notes of the shift", "本班记事"),
    "notes_none": ("Nothing was noted.", "无记事。"),
    "statistics": ("Alarm statistics", "报警统计"),
    "top": ("Most frequent alarms", "最频繁的报警"),
    "top_none": ("No alarm was raised.", "本期无报警。"),
    "chattering": ("Chattering and fleeting alarms", "抖动与瞬时报警"),
    "chattering_none": ("None.", "无。"),
    "stale": ("Standing for more than a day", "持续超过一天的报警"),
    "stale_none": ("None.", "无。"),
    "aside": ("Time put aside", "搁置、抑制与停用时间"),
    "aside_none": ("No alarm was put aside.", "本期无报警被搁置、抑制或停用。"),
    "floods": ("Alarm floods", "报警洪泛"),
    "floods_none": ("There was no flood.", "本期无洪泛。"),
    "handovers": ("Handovers", "交接班"),
    "handovers_none": ("No shift was signed over.", "本期无交接班签字。"),
    "advice": ("What to fix", "整改建议"),
    "advice_none": ("Nothing stands out.", "无突出问题。"),
    "signatures": ("Signatures", "签字"),
    # Tiles
    "raised": ("Alarms raised", "报警次数"),
    "per_hour": ("{} an hour", "平均每小时 {} 次"),
    "peak": ("Busiest 10 minutes", "10 分钟最多"),
    "peak_limit": ("more than {} is a flood", "超过 {} 次为洪泛"),
    "in_flood": ("Time in flood", "洪泛时间占比"),
    "in_flood_meaning": ("{} floods; aim: below 1 %", "洪泛 {} 次；目标低于 1 %"),
    "in_flood_one": ("1 flood; aim: below 1 %", "洪泛 1 次；目标低于 1 %"),
    "answer": ("Time to acknowledge", "确认用时"),
    "answer_meaning": ("median; 90 % within {}", "中位数；90 % 在 {} 内"),
    "answer_none": ("none was acknowledged", "本期无确认"),
    "unacknowledged": ("Open and not acknowledged", "未确认"),
    "of_open": ("of {} open alarms", "共 {} 项未结束"),
    "put_aside": ("Put aside now", "当前不起作用"),
    "put_aside_meaning": ("{} out of service · {} shelved · {} suppressed", "停用 {} · 搁置 {} · 抑制 {}"),
    "cases_tile": ("Cases", "处置"),
    "cases_meaning": ("{} closed · {} overdue", "归档 {} · 超时 {}"),
    "cases_open_meaning": ("{} overdue", "超时 {}"),
    "standing_meaning": ("{} of them not acknowledged", "其中未确认 {}"),
    # Columns
    "level": ("Level", "级别"),
    "where": ("Where", "地点"),
    "what": ("What", "内容"),
    "value": ("Value", "数值"),
    "since": ("Since", "起始"),
    "state": ("State", "状态"),
    "who": ("Who", "人员"),
    "why": ("Reason", "原因"),
    "until": ("Until", "截止"),
    "rest": ("Left", "剩余"),
    "permit": ("Permit", "许可"),
    "by": ("By", "依据"),
    "case": ("Case", "处置"),
    "opened": ("Opened", "开始"),
    "received": ("Received", "接警"),
    "responder": ("Responder", "处置人"),
    "arrived": ("There", "到场"),
    "outcome": ("Outcome", "结论"),
    "instrument": ("Instrument", "仪表"),
    "duty": ("Duty", "项目"),
    "due": ("Due", "到期"),
    "alarm": ("Alarm", "报警"),
    "count": ("Count", "次数"),
    "share": ("Share", "占比"),
    "per_minute": ("Most in a minute", "每分钟最多"),
    "kind": ("Kind", "类型"),
    "times": ("Times", "次数"),
    "time": ("Time", "时间"),
    "total": ("Altogether", "累计"),
    "begin": ("Begin", "开始"),
    "end": ("End", "结束"),
    "length": ("Length", "时长"),
    "signed_by": ("Signed by", "交班人"),
    "accepted_by": ("Accepted by", "接班人"),
    # Things in cells
    "chattering_one": ("chattering", "抖动"),
    "fleeting_one": ("fleeting", "瞬时"),
    "calibration_one": ("calibration", "标定"),
    "bump_one": ("bump test", "通气测试"),
    "due_state": ("due", "即将到期"),
    "overdue_state": ("overdue", "已超期"),
    "failed_state": ("not passed", "未通过"),
    "overdue_steps": ("overdue: {}", "超时：{}"),
    "acknowledge_step": ("acknowledge", "接警"),
    "dispatch_step": ("dispatch", "派单"),
    "arrive_step": ("arrive", "到场"),
    "close_step": ("close", "归档"),
    "real": ("real", "真实"),
    "false": ("false alarm", "误报"),
    "maintenance": ("maintenance", "检修"),
    "test": ("test", "测试"),
    "instrument_fault": ("instrument fault", "设备故障"),
    "open_one": ("open", "未归档"),
    "closed_by": ("closed by {}", "{} 归档"),
    "first": ("first", "首发"),
    "under_test": ("test", "测试"),
    "acked_by": ("acknowledged by {}", "{} 已确认"),
    "over": ("expired", "已到期"),
    "limit": ("limit {}", "限值 {}"),
    "no_value": ("no value", "无数值"),
    "problem": ("reported problem", "上报问题"),
    "more": ("and {} more, not listed here", "另有 {} 项未列出"),
    "system": ("Gateway", "网关"),
    "notaccepted": ("not accepted", "未接班"),
    # Charts
    "per_10_min": ("Alarms in 10 minutes", "每 10 分钟报警次数"),
    "per_hour_chart": ("Alarms in an hour", "每小时报警次数"),
    "per_day": ("Alarms in a day", "每日报警次数"),
    "flood_line": ("flood", "洪泛"),
    "by_priority": ("By priority", "按优先级"),
    "priority_1": ("red", "红"),
    "priority_2": ("orange", "橙"),
    "priority_3": ("yellow", "黄"),
    "priority_4": ("blue", "蓝"),
    "chart_about": ("{} bars, {} at most, {} altogether", "共 {} 根柱，最多 {}，合计 {}"),
    # States and levels
    "unacked": ("not acknowledged", "未确认"),
    "acked": ("acknowledged", "已确认"),
    "returned": ("gone, not acknowledged", "已恢复，未确认"),
    "latched_unacked": ("held, not acknowledged", "保持，未确认"),
    "latched_acked": ("held, to be reset", "保持，待复位"),
    "low": ("low", "低限"),
    "high": ("high", "高限"),
    "fault": ("fault", "故障"),
    "warning": ("warning", "预警"),
    "normal": ("normal", "正常"),
    # Signatures
    "outgoing": ("Outgoing", "交班"),
    "incoming": ("Incoming", "接班"),
    "unsigned": ("not signed yet", "尚未签字"),
    "unaccepted": ("not accepted yet", "尚未接班"),
    "draft_banner": ("Draft: nobody has signed it.", "草稿：尚未签字。"),
    "waiting_banner": ("Signed, and waiting for the incoming shift.", "已签字，等待接班人确认。"),
    "superseded_banner": (
        "Nobody accepted this handover; a later one has taken its place.", "本次交班无人接班，已被后一次交班取代。"
    ),
    "altered_banner": (
        "This is not what was signed: the kept report has been altered.", "内容与签字时不符：保存的报告已被改动。"
    ),
    "partial_banner": ("The period is not over: figures up to {}.", "本期尚未结束：数据截至 {}。"),
    "proof": (
        "Stands on event {} of the journal, epoch {}, with the hash {}.", "依据日志事件 {}（世代 {}），其散列值为 {}。"
    ),
    "proof_report": ("SHA-256 of the signed report: {}.", "已签报告的 SHA-256：{}。"),
    "page": ("Page {} of {}", "第 {} 页，共 {} 页"),
}  # fmt: skip
"""Every text of the reports: English, Chinese."""


class Say:
    """Says things in one language.

    Args:
        lang: The language.
        zone: The site's time zone.
    """

    def __init__(self, lang: Lang, zone: tzinfo) -> None:
        self.lang = lang
        self._index = 1 if lang == "zh" else 0
        self._zone = zone

    def __call__(self, key: str, *values: object) -> str:
        """Return a text with values in its places."""
        return WORDS[key][self._index].format(*values)

    def known(self, key: str) -> str:
        """Return a text where there is one of that name, else the name itself."""
        return WORDS[key][self._index] if key in WORDS else key

    def of(self, en: str, zh: str) -> str:
        """Return what is said in this language, as far as it is."""
        return (zh or en) if self.lang == "zh" else (en or zh)

    def moment(self, time_ns: int) -> str:
        """Return date and time at the site, or empty for 0."""
        return f"{self._local(time_ns):%Y-%m-%d %H:%M:%S}" if time_ns else ""

    def minute(self, time_ns: int) -> str:
        """Return date and time at the site to the minute, or empty for 0."""
        return f"{self._local(time_ns):%Y-%m-%d %H:%M}" if time_ns else ""

    def short(self, time_ns: int) -> str:
        """Return day, month and time at the site, or empty for 0."""
        return f"{self._local(time_ns):%m-%d %H:%M:%S}" if time_ns else ""

    def clock(self, time_ns: int) -> str:
        """Return the time of day at the site."""
        return f"{self._local(time_ns):%H:%M}"

    def span(self, start_ns: int, end_ns: int) -> str:
        """Return a span of time, without the second date where it is the same day."""
        start, end = self._local(start_ns), self._local(end_ns)
        return (
            f"{start:%Y-%m-%d %H:%M} – {end:%H:%M}"
            if start.date() == end.date()
            else (f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}")
        )

    def _local(self, time_ns: int) -> datetime:
        return datetime.fromtimestamp(time_ns // NS_PER_S, self._zone)

    def length(self, seconds: float) -> str:
        """Return a length of time in the two largest units that mean something.

        >>> from datetime import UTC
        >>> say = Say("en", UTC)
        >>> say.length(4.2), say.length(75), say.length(3660), say.length(100_000)
        ('4 s', '1 min 15 s', '1 h 01 min', '1 d 3 h')
        """
        whole = round(seconds)
        minutes, second = divmod(whole, 60)
        hours, minute = divmod(minutes, 60)
        days, hour = divmod(hours, 24)
        d, h, m, s = ("天", "时", "分", "秒") if self.lang == "zh" else (" d", " h", " min", " s")
        if days:
            return f"{days}{d} {hour}{h}"
        if hours:
            return f"{hours}{h} {minute:02d}{m}"
        return f"{minutes}{m} {second}{s}" if minutes else f"{second}{s}"


def figure(value: float, digits: int = 1) -> str:
    """Return a number with thousands apart and no zeros behind.

    >>> figure(12345), figure(3.0), figure(0.25), figure(3.14)
    ('12,345', '3', '0.2', '3.1')
    """
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
