"""Reports as pages and PDF: both say the same, in both languages, and nothing that people wrote becomes markup."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.core.alarm import Alarm, AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import NS_PER_S, parse_rfc3339, rfc3339
from gateway.reports import lists
from gateway.reports.blocks import Bars, Page, Shares
from gateway.reports.charts import bars_svg, shares_svg
from gateway.reports.compose import compose
from gateway.reports.html import html
from gateway.reports.language import WORDS
from gateway.reports.model import (
    Advice,
    Answered,
    Chatter,
    Count,
    Duty,
    Figures,
    Flood,
    Handed,
    Note,
    Report,
    Signature,
    Since,
    Top,
)
from gateway.reports.pdf import pdf
from gateway.reports.periods import Period
from gateway.reports.place import Named, Place

NOW = parse_rfc3339("2026-11-22T13:30:00+08:00")
PERIOD = Period(start_ns=parse_rfc3339("2026-11-22T06:00:00+08:00"), end_ns=NOW, name=Named("day", "白班"))
HEAD = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
WRITTEN = "<b>A & B</b> 阀门 {{ 7 * 7 }}"


def alarm(name: str, state: AlarmState, **fields: object) -> Alarm:
    event = AlarmEvent(
        seq=1, time_ns=NOW, kind=EventKind.RAISED, alarm=name, state=state, level="high", priority=1, area="burner",
        instrument="gd-01", raised_ns=NOW - 90 * NS_PER_S,
    )  # fmt: skip
    return Alarm(id=name, event=replace(event, **fields))


def figures() -> Figures:
    start = PERIOD.start_ns
    return Figures(
        raised=137,
        per_hour=18.3,
        peak_10_min=17,
        in_flood_percent=4.5,
        by_priority={"1": 7, "2": 20, "3": 110},
        per_10_min=tuple(
            Count(start=rfc3339(start + k * 600 * NS_PER_S), count=count) for k, count in enumerate([0, 3, 17, 12, 1])
        ),
        floods=(Flood(start=rfc3339(start + 1200 * NS_PER_S), end=rfc3339(start + 2400 * NS_PER_S), count=29),),
        top=(Top(alarm="fault:gd-03.co", area="burner", count=43, share_percent=31.4),),
        chattering=(Chatter(alarm="fault:gd-03.co", max_per_min=5, count=43),),
        stale=(Since(alarm="old:gd-09", since=rfc3339(NOW - 100_000 * NS_PER_S)),),
        acknowledge=Answered(median_s=38, p90_s=210, unacknowledged=1),
        advice=(Advice(en="Look at the line of gd-03.", zh="检查 gd-03 的线路。", alarm="fault:gd-03.co"),),
    )


def report() -> Report:
    return Report(
        kind="handover",
        place=Place(
            id="demo",
            name=Named("Gas workshop", "燃气车间"),
            timezone="Asia/Shanghai",
            areas={"burner": Named("Burner hall", "燃烧器间")},
            labels={"gd-01": Named("CH4 at the burner", "燃烧器甲烷")},
        ),
        period=PERIOD,
        made_ns=NOW,
        epoch="3f9a",
        seq=48211,
        digest=HEAD,
        open=(alarm("gas:gd-01.ch4", AlarmState.UNACKED, value=38.24, limit=25.0, unit="%LEL", quantity="ch4"),),
        shelved=(alarm("heat:x", AlarmState.SHELVED, who="王敏", why=WRITTEN, until_ns=NOW + 5400 * NS_PER_S),),
        out_of_service=(alarm("co:x", AlarmState.OUT_OF_SERVICE, permit="PTW-118", until_ns=NOW - NS_PER_S),),
        suppressed=(alarm("draught:x", AlarmState.SUPPRESSED, suppressed_by="burner-off"),),
        cases=(Case(id="gas#1", title="CH4 high", title_zh="甲烷高", opened_ns=NOW, overdue=("arrive",)),),
        calibrations=(Duty(instrument="gd-01", area="burner", kind="bump", due_ns=NOW, state="overdue"),),
        figures=figures(),
        notes=(Note(at_ns=NOW, by="anna", text=WRITTEN),),
    )


HANDED = Handed(
    id="20261122-1330", period=PERIOD, signed=Signature(by="王敏", at_ns=NOW, why="交代清楚"), digest="ab" * 32
)


def pages(lang: str) -> dict[str, Page]:
    daily = replace(report(), kind="daily", handovers=(HANDED,))
    monthly = replace(
        daily, kind="monthly", days=(Count(start="2026-11-21", count=90), Count(start="2026-11-22", count=47))
    )
    made = {"handover": compose(report(), lang, HANDED), "draft": compose(report(), lang)}  # type: ignore[arg-type]
    return made | {r.kind: compose(r, lang) for r in (daily, monthly)}  # type: ignore[arg-type]


class Reader(HTMLParser):
    """The words of a page, without its style."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_style = tag == "style"
        assert not {name for name, _ in attrs} & {"style", "onclick", "href", "src"}, attrs

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.words.append(data)


def words_of_page(page: Page) -> str:
    reader = Reader()
    reader.feed(html(page))
    assert not reader.tags & {"script", "link", "img", "iframe", "b0"}
    return "".join("".join(reader.words).split())


@pytest.fixture
def words_of_pdf(tmp_path: Path) -> object:
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext of poppler-utils is not installed")

    def words(page: Page) -> str:
        (tmp_path / "report.pdf").write_bytes(pdf(page))
        done = subprocess.run([tool, "-raw", tmp_path / "report.pdf", "-"], capture_output=True, check=True)
        return "".join(done.stdout.decode().split())

    return words


SAID = {
    "zh": ("燃气车间", "燃烧器间·燃烧器甲烷", "甲烷38.24%LEL", "限值25", "检查gd-03的线路。", "白班"),
    "en": ("Gasworkshop", "Burnerhall·CH4attheburner", "CH438.24%LEL", "limit25", "Lookatthelineofgd-03.", "day"),
}
FIGURES = ("137", "18.3", "4.5%", "31.4%", "gas:gd-01.ch4", "PTW-118", "burner-off", "2026-11-2213:30:00", HEAD)


@pytest.mark.parametrize("kind", ["handover", "draft", "daily", "monthly"])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_page_and_pdf_say_the_same(lang: str, kind: str, words_of_pdf: object) -> None:
    page = pages(lang)[kind]
    said, drawn = words_of_page(page), words_of_pdf(page)  # type: ignore[operator]
    wanted = SAID[lang] if kind in ("handover", "draft") else SAID[lang][:-1]
    for words in (*wanted, *FIGURES):
        assert words in said, words
        # The foot of a page may stand in the midst of a long text, and cells break between letters.
        assert re.search(r"".join(map(re.escape, words)), drawn), words
    assert "{{7*7}}" in said or kind != "draft"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_what_people_wrote_stays_words(lang: str) -> None:
    page = html(pages(lang)["draft"])
    assert "&lt;b&gt;A &amp; B&lt;/b&gt; 阀门 {{ 7 * 7 }}" in page
    assert "<b>A" not in page


def test_a_draft_a_signature_and_a_forgery_are_told_apart() -> None:
    accepted = replace(HANDED, accepted=Signature(by="anna", at_ns=NOW))
    banners = [
        compose(report(), "en").banner,
        compose(report(), "en", HANDED).banner,
        compose(report(), "en", accepted).banner,
        compose(report(), "en", replace(HANDED, superseded=True)).banner,
        compose(report(), "en", accepted, altered=True).banner,
    ]
    assert [banner.split(" ")[0] for banner in banners] == ["Draft:", "Signed,", "", "Nobody", "This"]


def test_a_report_of_a_period_that_runs_says_until_when() -> None:
    running = replace(report(), kind="daily", period=replace(PERIOD, end_ns=NOW + 1))
    assert compose(running, "en").banner == "The period is not over: figures up to 2026-11-22 13:30."
    assert not compose(replace(report(), kind="daily"), "en").banner


def test_what_is_not_listed_is_counted() -> None:
    many = replace(report(), open=report().open * (lists.ROWS_MAX + 5), left_out=70)
    page = html(compose(many, "en"))
    assert f'Open alarms<span class="count">{lists.ROWS_MAX + 75}</span>' in page
    assert "and 75 more, not listed here" in page


def test_every_text_is_there_in_both_languages_with_the_same_places() -> None:
    for key, (en, zh) in WORDS.items():
        assert en, key
        assert zh, key
        assert en.count("{}") == zh.count("{}"), key
    assert all(re.search(r"[\u4e00-\u9fff]", zh) for _, zh in WORDS.values())


def test_a_pdf_is_the_same_to_the_byte_each_time() -> None:
    page = pages("zh")["monthly"]
    assert pdf(page) == pdf(page)


def test_bars_beyond_the_limit_stand_out_and_all_are_to_scale() -> None:
    svg = bars_svg(Bars("x", (5, 0, 20), ("a", "", "<b>"), 10, "flood", "about"))
    heights = [float(h) for h in re.findall(r'<rect[^>]* height="([\d.]+)"', svg)]
    assert len(heights) == 2
    assert heights[1] == pytest.approx(4 * heights[0], rel=1e-2)
    assert svg.count('fill="#cc6a00"') == 1
    assert "&lt;b&gt;" in svg


def test_shares_of_nothing_are_no_shares() -> None:
    assert "–" in shares_svg(Shares("x", ((1, 0, "red"), (2, 0, "orange"))))
    svg = shares_svg(Shares("x", ((1, 1, "red"), (2, 3, "orange"))))
    assert "1 · 25 %" in svg
    assert "3 · 75 %" in svg


@pytest.mark.parametrize("kind", ["handover", "monthly"])
def test_an_empty_report_says_so_and_is_drawn(kind: str) -> None:
    empty = Report(kind=kind, place=Place(id="x"), period=PERIOD, made_ns=NOW)  # type: ignore[arg-type]
    page = compose(empty, "en")
    assert "No alarm is open." in html(page)
    assert pdf(page).startswith(b"%PDF-")


@pytest.mark.parametrize(
    "text",
    ["\n" * 1500 + "end", "W" * 2000, "字" * 2000, "a\x00b\x0b\x1b[31m\ufffe🔥\u202e", "&nbsp;<br/><font", "%s {} \\"],
)
def test_whatever_people_write_is_drawn(text: str) -> None:
    odd = alarm("gas:" + text[:300], AlarmState.UNACKED, why=text[:500], why_zh=text[:500], acked_by=text[:500])
    notes = (Note(at_ns=NOW, by=text[:500], text=text),)
    held = replace(
        report(), open=(odd,), shelved=(replace(odd, event=replace(odd.event, who=text[:500])),), notes=notes
    )
    page = compose(held, "en", replace(HANDED, signed=Signature(by=text[:500], at_ns=NOW, why=text)))
    assert pdf(page).startswith(b"%PDF-")
    assert html(page).endswith("</html>")
