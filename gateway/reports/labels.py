"""A sheet of labels, one an instrument: who scans it with a phone stands before the instrument's page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote, urlsplit

from gateway.core.errors import ConfigError
from gateway.site.plans import Instrument

FONT: Final = "STSong-Light"
"""The Chinese font that every PDF reader has; it need not be in the file."""
SHEETS: Final = {"3x8": (3, 8), "2x7": (2, 7), "3x7": (3, 7), "4x10": (4, 10), "1x1": (1, 1)}
"""Columns and rows of label sheets on A4."""
_MARGIN: Final = 8.5  # points, around what stands on a label
_LATIN: Final = "Helvetica"
_PARTS: Final = re.compile(r"([\x20-\x7e]+)|([^\x20-\x7e]+)")
_FIT: Final = 0.34
"""Part of a label's width that the code may take."""


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on one label.

    Attributes:
        instrument: The instrument's id.
        name: Its name in the first language.
        second: Its name in the second language, or empty.
        place: Area and location.
        url: What the code says.
    """

    instrument: str
    name: str
    second: str
    place: str
    url: str


def label_of(instrument: Instrument, url: str, area: str) -> Label:
    """Return an instrument's label.

    Args:
        instrument: The instrument.
        url: Address of the console as phones reach it.
        area: The area's name for people.

    Raises:
        ConfigError: The address is none that a phone could open.

    >>> from gateway.site.plans import Instrument
    >>> head = Instrument("gd-01", "CH4 head", "甲烷探测器", "boiler", "above burner 1", "line1", "", None, (), None)
    >>> label_of(head, "http://10.0.0.5:8080", "锅炉房")
    Label(instrument='gd-01', name='甲烷探测器', second='CH4 head', place='锅炉房，above burner 1', url='http://10.0.0.5:8080/#/instrument/gd-01')
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(("notifications", "link"), f"{url!r} is no address such as http://10.0.0.5:8080/")
    name = instrument.label_zh or instrument.label or instrument.id
    second = instrument.label if instrument.label_zh else ""
    place = "，".join(text for text in (area, instrument.location) if text)
    return Label(instrument.id, name, second, place, f"{url.rstrip('/')}/#/instrument/{quote(instrument.id, safe='')}")


def draw(labels: Sequence[Label], sheet: str = "3x8", first: int = 1) -> bytes:
    """Return the labels as a PDF of A4 pages.

    Args:
        labels: The labels, in their order.
        sheet: Columns and rows of the sheet, one of `SHEETS`.
        first: Place of the first label, from 1: a sheet that was begun can be used up.

    Raises:
        ConfigError: reportlab is not installed, or there is no such place.
    """
    canvas_module, pagesizes, fonts, cid = _reportlab()
    columns, rows = SHEETS[sheet]
    if not 1 <= first <= columns * rows:
        raise ConfigError(("first",), f"{first} is no place of a sheet of {columns * rows}")
    fonts.registerFont(cid(FONT))
    page, out = pagesizes.A4, BytesIO()
    canvas = canvas_module.Canvas(out, pagesize=page, invariant=1)
    canvas.setTitle("Labels")
    width, height = page[0] / columns, page[1] / rows
    for k, label in enumerate(labels, first - 1):
        place = k % (columns * rows)
        if k >= columns * rows and not place:
            canvas.showPage()
        canvas.saveState()
        canvas.translate(place % columns * width, page[1] - (place // columns + 1) * height)
        _draw(canvas, label, width, height)
        canvas.restoreState()
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _reportlab() -> tuple[Any, Any, Any, Any]:
    try:
        from reportlab.lib import pagesizes  # noqa: PLC0415 - only where a PDF is made
        from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415
        from reportlab.pdfgen import canvas  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError((), "labels need the package reportlab: install hazgate[pdf]") from error
    return canvas, pagesizes, pdfmetrics, UnicodeCIDFont


def _draw(canvas: Any, label: Label, width: float, height: float) -> None:
    """Draw a label with its lower left corner at the canvas's origin."""
    from reportlab.graphics import renderPDF  # noqa: PLC0415 - only where a PDF is made
    from reportlab.graphics.barcode.qr import QrCodeWidget  # noqa: PLC0415
    from reportlab.graphics.shapes import Drawing  # noqa: PLC0415

    side = min(height - 2 * _MARGIN, width * _FIT)
    code = QrCodeWidget(label.url, barLevel="M", barBorder=2)
    left, bottom, right, top = code.getBounds()
    scale = side / (right - left)
    drawing = Drawing(side, side, transform=[scale, 0, 0, side / (top - bottom), 0, 0])
    drawing.add(code)
    renderPDF.draw(drawing, canvas, _MARGIN, (height - side) / 2)
    at, room = _MARGIN + side + 8, width - side - 2 * _MARGIN - 8
    unit = min(side / 6.2, 26.0)
    top = (height + side) / 2
    for text, size, grey in (
        (label.name, 1.0, 0.0),
        (label.second, 0.76, 0.25),
        (label.instrument, 0.94, 0.0),
        (label.place, 0.72, 0.3),
    ):
        if text:
            canvas.setFillGray(grey)
            for line in _fitted(canvas, text, size * unit, room):
                top -= size * unit * 1.18
                _write(canvas, line, at, top, size * unit)
            top -= unit * 0.22


def _runs(text: str) -> list[tuple[str, str]]:
    """Return the text in parts, each with its font: a Chinese font's Latin letters stand too close together."""
    return [(_LATIN if latin else FONT, latin or other) for latin, other in _PARTS.findall(text)]


def _width(canvas: Any, text: str, size: float) -> float:
    return float(sum(canvas.stringWidth(part, font, size) for font, part in _runs(text)))


def _write(canvas: Any, text: str, x: float, y: float, size: float) -> None:
    for font, part in _runs(text):
        canvas.setFont(font, size)
        canvas.drawString(x, y, part)
        x += canvas.stringWidth(part, font, size)


def _fitted(canvas: Any, text: str, size: float, room: float) -> list[str]:
    """Return a text on at most two lines of the room there is; what does not fit is cut with an ellipsis."""
    lines = [""]
    for char in text:
        if _width(canvas, lines[-1] + char, size) <= room:
            lines[-1] += char
        elif len(lines) == 1:
            # A Latin word stays whole.
            kept, blank, word = lines[0].rpartition(" ") if char.isascii() and char != " " else (lines[0], "", "")
            lines = [kept, word + char] if blank and word.isascii() else [lines[0], char.lstrip()]
        else:
            return [lines[0], f"{lines[1][:-1]}…"]
    return lines
