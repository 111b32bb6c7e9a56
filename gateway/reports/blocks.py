"""What a report's page is made of, said in one language: the HTML page and the PDF are drawn from the same blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["", "bad", "warn", "good", "dim"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: Its words; lines with a line end between.
        priority: 1 to 4 draws the priority's mark before them: shape, number and colour.
        tone: How it is set off.
        small: A second line in small letters, such as an id.
    """

    text: str = ""
    priority: int = 0
    tone: Tone = ""
    small: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, its share of the width, and whether figures stand in it."""

    head: str
    width: float
    figures: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `empty` is said where it has no rows, `more` below it where rows were left out."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Heading:
    """A section begins; `count` is how many things it lists, None where it lists none."""

    text: str
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure to be seen at once: its label, the figure, what it means."""

    label: str
    figure: str
    meaning: str = ""
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Figures in a row."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of counts.

    Attributes:
        title: What is counted.
        values: One count a bar.
        labels: One label a bar; empty ones are not written.
        limit: A line at this count, beyond which bars are set off; 0 for none.
        limit_label: What the line is.
        about: The chart in words, for who cannot see it.
    """

    title: str
    values: tuple[int, ...]
    labels: tuple[str, ...]
    limit: float = 0.0
    limit_label: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """A bar divided by priority: (priority, count, label) each."""

    title: str
    parts: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to fix or to know: what, and small words below it."""

    text: str
    small: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """A numbered list."""

    items: tuple[Item, ...]
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """A place where somebody signs: in which part, who, when, with which words; empty where nobody has yet."""

    role: str
    by: str = ""
    at: str = ""
    why: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures side by side."""

    places: tuple[Signed, ...]


Block = Table | Heading | Words | Tiles | Bars | Shares | Items | Signatures


@dataclass(frozen=True, slots=True)
class Page:
    """A report, ready to be drawn.

    Attributes:
        lang: `zh` or `en`.
        site: The site's name.
        title: What it is.
        period: What it is about.
        facts: Label and value of what stands below the title.
        banner: What must be seen first, such as a draft nobody has signed; empty for nothing.
        banner_tone: How it is set off.
        blocks: The content.
        foot: What stands at the foot of every page.
        proof: What proves the content, in small letters at the end.
    """

    lang: Literal["zh", "en"]
    site: str
    title: str
    period: str
    facts: tuple[tuple[str, str], ...] = ()
    banner: str = ""
    banner_tone: Tone = ""
    blocks: Sequence[Block] = field(default_factory=tuple)
    foot: str = ""
    proof: str = ""


PRIORITY_SHAPES = {1: "◆", 2: "▲", 3: "●", 4: "■"}
PRIORITY_COLOURS = {
    1: ("#a8001c", "#ffffff"),
    2: ("#cc6a00", "#000000"),
    3: ("#ffe14d", "#000000"),
    4: ("#1f66b0", "#ffffff"),
}
"""Colour of each priority, and of what is written on it; shape and number say the same without colour."""


def axis_top(values: Sequence[int], limit: float = 0.0) -> int:
    """Return the count at the upper end of a chart: 1, 2 or 5 times a power of ten.

    >>> axis_top([3, 7]), axis_top([120], 10), axis_top([]), axis_top([0], 10)
    (10, 200, 2, 10)
    """
    most = max([*values, limit, 2])
    step = 1
    while True:
        for factor in (1, 2, 5):
            if most <= step * factor:
                return step * factor
        step *= 10
