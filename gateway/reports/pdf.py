"""A report as PDF, drawn from the same blocks as its page; Chinese by the font that every PDF reader brings along.

Needs the extra `pdf` (reportlab), which is imported only when a PDF is asked for.
"""

import io
from collections.abc import Callable, Iterator
from functools import cache
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape

from gateway.core.errors import HazgateError
from gateway.reports.blocks import (
    PRIORITY_COLOURS,
    PRIORITY_SHAPES,
    Bars,
    Block,
    Cell,
    Heading,
    Items,
    Page,
    Shares,
    Signatures,
    Signed,
    Table,
    Tile,
    Tiles,
    Words,
    axis_top,
)
from gateway.reports.charts import CALM, CROWDED
from gateway.reports.language import WORDS

CHINESE: Final = "STSong-Light"
LATIN: Final = "Helvetica"
BOLD: Final = "Helvetica-Bold"
SIGNS: Final = "ZapfDingbats"
INK, DIM, LINE, SOFT = "#1b1f23", "#5a636b", "#d5dade", "#f3f5f6"
TONES: Final = {"": INK, "bad": "#a8001c", "warn": "#8a4800", "good": "#1d5c33", "dim": DIM}
MM: Final = 72 / 25.4
MARGIN: Final = 15 * MM
WIDTH: Final = 210 * MM - 2 * MARGIN
TILES_A_ROW: Final = 4


class PdfMissingError(HazgateError):
    """The extra that PDF needs is not installed."""

    def __init__(self) -> None:
        super().__init__("PDF needs the extra `pdf`: pip install 'hazgate[pdf]'")


def pdf(page: Page) -> bytes:
    """Return a report as PDF. Raises PdfMissingError."""
    return _Drawing(_kit()).draw(page)


@cache
def _kit() -> Any:
    """Return what is used of reportlab, by name. Raises PdfMissingError."""
    try:
        from reportlab.graphics import shapes  # noqa: PLC0415 - an extra, and large
        from reportlab.lib import colors, styles  # noqa: PLC0415
        from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
        from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415
        from reportlab.platypus import doctemplate, flowables, paragraph, tables  # noqa: PLC0415
    except ImportError as error:
        raise PdfMissingError from error
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))
    kit = type("Kit", (), {})
    for name, value in {
        "Canvas": Canvas, "BaseDocTemplate": doctemplate.BaseDocTemplate, "PageTemplate": doctemplate.PageTemplate,
        "Frame": doctemplate.Frame, "Paragraph": paragraph.Paragraph, "Table": tables.Table,
        "TableStyle": tables.TableStyle, "Spacer": flowables.Spacer, "KeepTogether": flowables.KeepTogether,
        "CondPageBreak": flowables.CondPageBreak, "Style": styles.ParagraphStyle, "colour": colors.HexColor,
        "shapes": shapes,
    }.items():  # fmt: skip
        setattr(kit, name, value)
    return kit


def _is_latin(letter: str) -> bool:
    """Whether the Latin font has a letter; all others are left to the Chinese one."""
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def rich(text: str, *, bold: bool = False) -> str:
    """Return a text as markup with each run of letters in a font that has them; line ends stay.

    >>> rich("CH4 甲烷 <5")
    'CH4 <font name="STSong-Light">甲烷</font> &lt;5'
    """
    parts = []
    for latin, run in groupby(text, _is_latin):
        words = escape("".join(run)).replace("\n", "<br/>")
        if latin:
            parts.append(f'<font name="{BOLD}">{words}</font>' if bold else words)
        else:
            parts.append(f'<font name="{CHINESE}">{words}</font>')
    return "".join(parts)


def mark(priority: int) -> str:
    """Return a priority's mark as markup: shape and number on its colour."""
    back, ink = PRIORITY_COLOURS[priority]
    return (
        f'<font backColor="{back}" color="{ink}"><font color="{back}">.</font><font name="{SIGNS}" size="7">'
        f'{PRIORITY_SHAPES[priority]}</font> <font name="{BOLD}">{priority}</font><font color="{back}">.</font></font> '
    )


class _Drawing:
    """Draws pages with one kit."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit
        self._styles: dict[tuple[Any, ...], Any] = {}
        self._makers: dict[type, Callable[[Any], Iterator[Any]]] = {
            Heading: self._heading,
            Words: self._words,
            Tiles: self._tiles,
            Table: self._table,
            Bars: self._bars,
            Shares: self._shares,
            Items: self._items,
            Signatures: self._signatures,
        }

    def draw(self, page: Page) -> bytes:
        out = io.BytesIO()
        kit = self._kit
        document = kit.BaseDocTemplate(
            out,
            pagesize=(210 * MM, 297 * MM),
            title=f"{page.title} · {page.site} · {page.period}",
            author=page.site,
            creator="Hazgate",
            lang="zh-CN" if page.lang == "zh" else "en",
            invariant=1,
        )
        frame = kit.Frame(MARGIN, 17 * MM, WIDTH, 297 * MM - 32 * MM, 0, 0, 0, 0)
        document.addPageTemplates([kit.PageTemplate(frames=[frame])])
        story = [*self._head(page)]
        for block in page.blocks:
            story += self._flow(block)
        story += [kit.Spacer(0, 14), self._text(page.proof, 6.8, DIM)]
        document.build(story, canvasmaker=self._numbered(page))
        return out.getvalue()

    def _numbered(self, page: Page) -> Any:
        """Return a canvas that writes the foot of each page once their number is known."""
        template = WORDS["page"][1 if page.lang == "zh" else 0]
        foot = self._text(page.foot, 7, DIM)
        style = self._style(7, DIM, right=True)
        paragraph = self._kit.Paragraph

        class Numbered(self._kit.Canvas):  # type: ignore[misc, name-defined] # the base is known when reportlab is
            def __init__(self, *args: Any, **more: Any) -> None:
                super().__init__(*args, **more)
                self._pages: list[dict[str, Any]] = []

            def showPage(self) -> None:  # noqa: N802 - reportlab's name
                self._pages.append(dict(self.__dict__))
                self._startPage()

            def save(self) -> None:
                for number, state in enumerate(self._pages, start=1):
                    self.__dict__.update(state)
                    self.setStrokeColor(LINE)
                    self.line(MARGIN, 14 * MM, MARGIN + WIDTH, 14 * MM)
                    count = paragraph(rich(template.format(number, len(self._pages))), style)
                    for each, width, x in ((foot, WIDTH * 0.8, 0.0), (count, WIDTH * 0.2, WIDTH * 0.8)):
                        _, tall = each.wrap(width, 20)
                        each.drawOn(self, MARGIN + x, 13 * MM - tall)
                    super().showPage()
                super().save()

        return Numbered

    # Text

    def _style(self, size: float, colour: str = INK, *, right: bool = False, lead: float = 1.32) -> Any:
        key = (size, colour, right, lead)
        if key not in self._styles:
            # Chinese has no blanks: its lines break between any two signs.
            self._styles[key] = self._kit.Style(
                "s", fontName=LATIN, fontSize=size, leading=size * lead, textColor=colour, alignment=2 if right else 0,
                splitLongWords=1,
            )  # fmt: skip
        return self._styles[key]

    def _text(self, text: str, size: float, colour: str = INK, *, bold: bool = False, right: bool = False) -> Any:
        return self._kit.Paragraph(rich(text, bold=bold), self._style(size, colour, right=right))

    # Blocks

    def _flow(self, block: Block) -> list[Any]:
        return list(self._makers[type(block)](block))

    def _head(self, page: Page) -> Iterator[Any]:
        kit = self._kit
        facts = "<br/>".join(f'<font color="{DIM}">{rich(a)}</font>  {rich(b)}' for a, b in page.facts)
        names = [
            self._text(page.site, 9, DIM),
            self._text(page.title, 19, bold=True),
            kit.Spacer(0, 3),
            self._text(page.period, 10.5),
        ]
        right = kit.Paragraph(facts, self._style(7.5, right=True))
        head = kit.Table([[names, right]], colWidths=[WIDTH * 0.66, WIDTH * 0.34])
        head.setStyle(
            kit.TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
                    ("LINEBELOW", (0, 0), (-1, -1), 1.4, kit.colour(INK)),
                ]
            )
        )
        yield head
        if page.banner:
            colour, back = (TONES["bad"], "#fdecee") if page.banner_tone == "bad" else (TONES["warn"], "#fff4e5")
            yield kit.Spacer(0, 7)
            banner = kit.Table([[self._text(page.banner, 9, colour, bold=True)]], colWidths=[WIDTH])
            banner.setStyle(
                kit.TableStyle(
                    [
                        ("BACKGROUND", (0, 0), (-1, -1), kit.colour(back)),
                        ("LINEBEFORE", (0, 0), (0, -1), 3, kit.colour(colour)),
                        ("TOPPADDING", (0, 0), (-1, -1), 4),
                        ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
                    ]
                )
            )
            yield banner

    def _heading(self, block: Heading) -> Iterator[Any]:
        kit = self._kit
        yield kit.CondPageBreak(30 * MM)
        yield kit.Spacer(0, 13)
        count = f'  <font color="{DIM}">{block.count}</font>' if block.count is not None else ""
        yield kit.Paragraph(rich(block.text, bold=True) + count, self._style(11.5))
        yield kit.Spacer(0, 4)

    def _words(self, block: Words) -> Iterator[Any]:
        yield self._text(block.text, 9, TONES[block.tone])

    def _tiles(self, block: Tiles) -> Iterator[Any]:
        kit = self._kit
        yield kit.Spacer(0, 11)
        empty = TILES_A_ROW - len(block.tiles) % TILES_A_ROW
        cells: list[Any] = [self._tile(tile) for tile in block.tiles] + [""] * (empty % TILES_A_ROW)
        rows = [cells[k : k + TILES_A_ROW] for k in range(0, len(cells), TILES_A_ROW)]
        style = [
            ("BOX", (0, 0), (-1, -1), 0.5, kit.colour(LINE)),
            ("INNERGRID", (0, 0), (-1, -1), 0.5, kit.colour(LINE)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
        ]
        for k, tile in enumerate(block.tiles):
            if tile.tone in ("bad", "warn"):
                at = (k % TILES_A_ROW, k // TILES_A_ROW)
                style.append(("LINEABOVE", at, at, 2, kit.colour(TONES["bad"] if tile.tone == "bad" else CROWDED)))
        table = kit.Table(rows, colWidths=[WIDTH / TILES_A_ROW] * TILES_A_ROW)
        table.setStyle(kit.TableStyle(style))
        yield table

    def _tile(self, tile: Tile) -> list[Any]:
        return [
            self._text(tile.label, 8),
            self._text(tile.figure, 16, TONES[tile.tone], bold=True),
            self._text(tile.meaning, 7, DIM),
        ]

    def _table(self, block: Table) -> Iterator[Any]:
        kit = self._kit
        if not block.rows:
            yield self._text(block.empty, 9, DIM)
        else:
            whole = sum(column.width for column in block.columns)
            head = [self._text(c.head, 7.5, DIM, bold=True, right=c.figures) for c in block.columns]
            rows = [
                [self._cell(cell, right=column.figures) for cell, column in zip(row, block.columns, strict=True)]
                for row in block.rows
            ]
            widths = [WIDTH * column.width / whole for column in block.columns]
            table = kit.Table([head, *rows], colWidths=widths, repeatRows=1, splitInRow=1)
            table.setStyle(
                kit.TableStyle(
                    [
                        ("VALIGN", (0, 0), (-1, -1), "TOP"),
                        ("LEFTPADDING", (0, 0), (-1, -1), 0),
                        ("RIGHTPADDING", (0, 0), (-2, -1), 6),
                        ("RIGHTPADDING", (-1, 0), (-1, -1), 1),
                        ("TOPPADDING", (0, 0), (-1, -1), 3),
                        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
                        ("LINEBELOW", (0, 0), (-1, 0), 0.8, kit.colour(INK)),
                        ("LINEBELOW", (0, 1), (-1, -1), 0.4, kit.colour(LINE)),
                    ]
                )
            )
            yield table
        if block.more:
            yield self._text(block.more, 8, TONES["warn"], bold=True)

    def _cell(self, cell: Cell, *, right: bool) -> Any:
        words = (mark(cell.priority) if cell.priority else "") + rich(cell.text, bold=cell.tone in ("bad", "warn"))
        words += self._small(cell.small)
        return self._kit.Paragraph(words, self._style(8, TONES[cell.tone], right=right))

    def _small(self, text: str) -> str:
        return f'<br/><font size="7" color="{DIM}">{rich(text)}</font>' if text else ""

    def _items(self, block: Items) -> Iterator[Any]:
        kit = self._kit
        if not block.items:
            yield self._text(block.empty, 9, DIM)
            return
        rows = []
        for k, one in enumerate(block.items, start=1):
            words = rich(one.text) + (
                f'<br/><font size="7" color="{DIM}">{rich(one.small)}</font>' if one.small else ""
            )
            rows.append([self._text(str(k), 8, DIM, bold=True), kit.Paragraph(words, self._style(9))])
        table = kit.Table(rows, colWidths=[16, WIDTH - 16], splitInRow=1)
        table.setStyle(
            kit.TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "TOP"),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
                    ("TOPPADDING", (0, 0), (-1, -1), 3),
                    ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
                    ("LINEBELOW", (0, 0), (-1, -1), 0.4, kit.colour(LINE)),
                ]
            )
        )
        yield table

    def _signatures(self, block: Signatures) -> Iterator[Any]:
        kit = self._kit
        row: list[Any] = []
        for place in block.places:
            row += [self._signed(place), ""]
        gap = 18.0
        width = (WIDTH - gap * (len(block.places) - 1)) / len(block.places)
        table = kit.Table([row[:-1]], colWidths=[width if k % 2 == 0 else gap for k in range(len(row) - 1)])
        style: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
        style += [("LINEABOVE", (k, 0), (k, 0), 0.8, kit.colour(INK)) for k in range(0, len(row), 2)]
        table.setStyle(kit.TableStyle(style))
        yield table

    def _signed(self, place: Signed) -> list[Any]:
        if not place.by:
            return [self._text(place.role, 8, DIM), self._text(place.empty, 10, TONES["warn"], bold=True)]
        words = [self._text(place.role, 8, DIM), self._text(place.by, 13, bold=True), self._text(place.at, 8.5)]
        return [*words, self._text(place.why, 8.5)] if place.why else words

    # Charts

    def _bars(self, block: Bars) -> Iterator[Any]:
        if not block.values:
            return
        shapes, colour = self._kit.shapes, self._kit.colour
        tall, left, bottom = 100.0, 24.0, 13.0
        high = tall - bottom - 8
        drawing = shapes.Drawing(WIDTH, tall)
        top = axis_top(block.values, block.limit)
        for share in (0.0, 0.5, 1.0):
            y = bottom + high * share
            drawing.add(shapes.Line(left, y, WIDTH, y, strokeColor=colour(LINE), strokeWidth=0.5))
            drawing.add(self._string(left - 4, y - 2.5, f"{top * share:g}", "end"))
        step = (WIDTH - left) / len(block.values)
        gap = min(1.5, step * 0.2)
        for k, (value, label) in enumerate(zip(block.values, block.labels, strict=True)):
            x = left + k * step
            if value:
                fill = colour(CROWDED if block.limit and value > block.limit else CALM)
                bar = (x + gap / 2, bottom, max(0.3, step - gap), high * value / top)
                drawing.add(shapes.Rect(*bar, fillColor=fill, strokeColor=None))
            if label:
                drawing.add(self._string(x + step / 2, 3, label, "middle"))
        if block.limit:
            y = bottom + high * block.limit / top
            line = shapes.Line(left, y, WIDTH, y, strokeColor=colour(CROWDED), strokeWidth=0.8, strokeDashArray=[3, 2])
            drawing.add(line)
            drawing.add(self._string(WIDTH, y + 2, f"{block.limit_label} > {block.limit:g}", "end"))
        yield self._kit.KeepTogether([self._text(block.title, 8, DIM), drawing, self._kit.Spacer(0, 6)])

    def _shares(self, block: Shares) -> Iterator[Any]:
        shapes, colour = self._kit.shapes, self._kit.colour
        drawing = shapes.Drawing(WIDTH, 32)
        drawing.add(shapes.Rect(0, 19, WIDTH, 12, fillColor=colour(SOFT), strokeColor=colour(LINE), strokeWidth=0.5))
        total, x = sum(count for _, count, _ in block.parts), 0.0
        column = WIDTH / len(block.parts)
        for k, (priority, count, label) in enumerate(block.parts):
            fill = colour(PRIORITY_COLOURS[priority][0])
            wide = WIDTH * count / total if total else 0.0
            if count:
                white = colour("#ffffff")
                drawing.add(shapes.Rect(x, 19, wide, 12, fillColor=fill, strokeColor=white, strokeWidth=0.8))
            x += wide
            at = k * column
            box = shapes.Rect(at, 3, 8, 8, fillColor=fill, strokeColor=colour(INK), strokeWidth=0.4)
            drawing.add(box)
            share = f"{100 * count / total:.0f} %" if total else "–"
            sign = shapes.String(
                at + 12, 4, PRIORITY_SHAPES[priority], fontName=SIGNS, fontSize=7, fillColor=colour(INK)
            )
            drawing.add(sign)
            drawing.add(self._string(at + 21, 4, f"{priority} {label}  {count} ({share})", "start", INK))
        yield self._kit.KeepTogether([self._text(block.title, 8, DIM), self._kit.Spacer(0, 2), drawing])

    def _string(self, x: float, y: float, text: str, anchor: str, ink: str = DIM) -> Any:
        font = LATIN if all(map(_is_latin, text)) else CHINESE
        return self._kit.shapes.String(
            x, y, text, fontName=font, fontSize=7, fillColor=self._kit.colour(ink), textAnchor=anchor
        )
