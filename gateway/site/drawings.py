"""Drawings of the site: read once, checked, with their size; never parsed as documents, passed on as pictures."""

import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.core.errors import ConfigError
from gateway.site.operation import PlanSection, PositionSection

BYTES_MAX = 4 << 20
PLANS_MAX = 32
SIDE_MAX = 20_000.0
_HEAD: Final = 16_384
"""Bytes in which an SVG must begin; drawing programs put licences and comments before it."""

_ROOT = re.compile(r"<(?:[A-Za-z_][\w.-]*:)?svg(?=[\s>/])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LENGTH = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*(px|pt|pc|mm|cm|in)?\s*")
_PIXELS: Final = {None: 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that say how large it is: the start of a frame, of whichever kind."""
_JPEG_BARE: Final = frozenset((0x01, *range(0xD0, 0xD9)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing as browsers get it.

    Attributes:
        id: The plan's id.
        label: Its name for people; the id where the site file has none.
        label_zh: The same in Chinese, or empty.
        media_type: `image/svg+xml`, `image/png` or `image/jpeg`.
        body: The file.
        width: Its width; for an SVG in the units of its view box. Only the ratio to `height` means anything.
        height: Its height in the same units.
        tag: Changes with the file.
    """

    id: str
    label: str
    label_zh: str
    media_type: str
    body: bytes
    width: float
    height: float
    tag: str


@dataclass(frozen=True, slots=True)
class Drawings:
    """The drawings of a site and where the site file puts its instruments on them."""

    all: tuple[Drawing, ...] = ()
    positions: Mapping[str, PositionSection] | None = None

    def find(self, plan: str) -> Drawing | None:
        """Return a drawing, None where there is none of that id."""
        return next((drawing for drawing in self.all if drawing.id == plan), None)


def read_drawing(section: PlanSection, folder: Path) -> Drawing:
    """Read a drawing; relative paths start at the site file's folder.

    Raises:
        ConfigError: It cannot be read, is too large, or is none of the three kinds; its path is `("image",)`.
    """
    path = folder / section.image
    try:
        with path.open("rb") as file:
            body = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(("image",), f"cannot read {path}: {error.strerror}") from error
    if len(body) > BYTES_MAX:
        raise ConfigError(("image",), f"{path} is larger than {BYTES_MAX >> 20} MiB")
    try:
        media_type, width, height = _look(body)
    except ValueError as error:
        raise ConfigError(("image",), f"{path}: {error}") from error
    tag = hashlib.sha256(body).hexdigest()[:16]
    return Drawing(section.id, section.label or section.id, section.label_zh, media_type, body, width, height, tag)


@dataclass(frozen=True, slots=True)
class Found:
    """The drawings of a site file, and what is wrong with them.

    Attributes:
        drawings: Those that can be shown.
        problems: What is wrong with the others, by their paths in the site file.
        misplaced: What is wrong with positions, by instrument.
    """

    drawings: Drawings
    problems: list[ConfigError]
    misplaced: dict[str, str]


def drawings_of(sections: Sequence[PlanSection], positions: Mapping[str, PositionSection], folder: Path) -> Found:
    """Read all drawings of a site file.

    Args:
        sections: The plans as written.
        positions: Where instruments stand, by their ids.
        folder: The site file's folder.
    """
    drawings: list[Drawing] = []
    problems: list[ConfigError] = []
    if len(sections) > PLANS_MAX:
        problems.append(ConfigError(("plans",), f"{len(sections)} plans; at most {PLANS_MAX}"))
    for i, section in enumerate(sections[:PLANS_MAX]):
        try:
            drawings.append(read_drawing(section, folder))
        except ConfigError as error:
            problems.append(error.under("plans", i))
    plans = [section.id for section in sections]
    wrong = {
        name: f"no plan {position.plan!r}; there are: {', '.join(plans) or 'none'}"
        for name, position in positions.items()
        if position.plan not in plans
    }
    return Found(Drawings(tuple(drawings), positions), problems, wrong)


def _look(body: bytes) -> tuple[str, float, float]:
    """Return media type, width and height. Raises ValueError."""
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return ("image/png", *_checked(*_png(body)))
    if body.startswith(b"\xff\xd8\xff"):
        return ("image/jpeg", *_checked(*_jpeg(body)))
    head = _COMMENT.sub("", body[:_HEAD].decode("utf-8-sig", "replace"))
    if (root := _ROOT.search(head)) is not None:
        return ("image/svg+xml", *_checked(*_svg(root[1])))
    raise ValueError("neither SVG (in UTF-8) nor PNG nor JPEG")


def _checked(width: float, height: float) -> tuple[float, float]:
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        raise ValueError(f"{width:g} x {height:g} is no size of a drawing; at most {SIDE_MAX:g} a side")
    return width, height


def _png(body: bytes) -> tuple[float, float]:
    if len(body) < 24 or body[12:16] != b"IHDR":
        raise ValueError("a PNG that breaks off")
    width, height = struct.unpack(">II", body[16:24])
    return float(width), float(height)


def _jpeg(body: bytes) -> tuple[float, float]:
    at = 2
    while at + 9 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_BARE:
            at += 2
        elif marker in _JPEG_SIZES:
            height, width = struct.unpack(">HH", body[at + 5 : at + 9])
            return float(width), float(height)
        else:
            at += 2 + int.from_bytes(body[at + 2 : at + 4])
    raise ValueError("a JPEG that does not say its size")


def _svg(attributes: str) -> tuple[float, float]:
    """Return the size by the view box, which browsers scale by, else by width and height."""
    box = _attribute(attributes, "viewBox").replace(",", " ").split()
    if len(box) == 4:
        try:
            return float(box[2]), float(box[3])
        except ValueError as error:
            raise ValueError(f"an SVG whose viewBox is {' '.join(box)!r}") from error
    width, height = (_LENGTH.fullmatch(_attribute(attributes, name)) for name in ("width", "height"))
    if width is None or height is None:
        raise ValueError("an SVG without viewBox, and without width and height")
    return float(width[1]) * _PIXELS[width[2]], float(height[1]) * _PIXELS[height[2]]


def _attribute(attributes: str, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", attributes)
    return (found[1] if found[1] is not None else found[2]) if found else ""
