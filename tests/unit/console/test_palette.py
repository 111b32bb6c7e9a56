"""The console's colours, read from its style sheet: legible, and told apart by eyes that lack one kind of cone."""

import itertools
import re
from pathlib import Path

import pytest
from coloraide import Color

import gateway.console

SHEET = Path(gateway.console.__file__).parent / "src" / "look" / "tokens.css"
LEVELS = ("p1", "p2", "p3", "p4")
EYES = (None, "protan", "deutan", "tritan")
# A pair of levels whose difference (CIEDE2000) is below this is one colour to a hurried eye.
DIFFERENT = 16.0
READABLE = 4.5
VISIBLE = 3.0


def looks() -> dict[str, dict[str, str]]:
    sheet = re.sub(r"/\*.*?\*/", "", SHEET.read_text(encoding="utf-8"), flags=re.DOTALL)
    blocks = re.findall(r":root(\[data-look=\"day\"\])?\s*\{(.*?)\}", sheet, re.DOTALL)
    found: dict[str, dict[str, str]] = {"night": {}, "day": {}}
    for day, body in blocks:
        tokens = {name: value.strip() for name, value in re.findall(r"--([\w-]+):\s*([^;]+);", body)}
        colours = {name: value for name, value in tokens.items() if value.startswith("#")}
        found["day" if day else "night"].update(colours)
    return {"night": found["night"], "day": {**found["night"], **found["day"]}}


LOOKS = looks()


def contrast(one: str, other: str) -> float:
    return Color(one).contrast(other, method="wcag21")


def seen(colour: str, eye: str | None) -> Color:
    return Color(colour) if eye is None else Color(colour).filter(eye, 1.0, method="machado")


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("look", LOOKS)
def test_levels_are_told_apart(look: str, eye: str | None) -> None:
    colours = LOOKS[look]
    for one, other in itertools.combinations(LEVELS, 2):
        difference = seen(colours[one], eye).delta_e(seen(colours[other], eye), method="2000")
        assert difference >= DIFFERENT, f"{look}, {eye}: {one} and {other} differ by {difference:.1f}"


@pytest.mark.parametrize("look", LOOKS)
def test_text_is_readable_on_every_ground(look: str) -> None:
    colours = LOOKS[look]
    for ground in ("bg", "pane", "raised", "hover", "select"):
        assert contrast(colours["ink"], colours[ground]) >= READABLE, f"ink on {ground}"
    for ground in ("bg", "pane", "raised"):
        assert contrast(colours["dim"], colours[ground]) >= READABLE, f"dim on {ground}"
    for level in LEVELS:
        assert contrast(colours[f"on-{level}"], colours[level]) >= READABLE, f"text on {level}"
    assert contrast(colours["on-main"], colours["main"]) >= READABLE
    for stripe in ("lost-a", "lost-b"):
        assert contrast(colours["on-lost"], colours[stripe]) >= READABLE


@pytest.mark.parametrize("look", LOOKS)
def test_a_level_is_seen_on_its_ground_or_has_an_outline_that_is(look: str) -> None:
    colours = LOOKS[look]
    for level, ground in itertools.product(LEVELS, ("bg",)):
        own = contrast(colours[level], colours[ground])
        outline = contrast(colours["mark-edge"], colours[ground])
        assert max(own, outline) >= VISIBLE, f"{level} on {ground}: {own:.2f}, its outline {outline:.2f}"


@pytest.mark.parametrize("look", LOOKS)
def test_the_focus_and_the_edges_of_fields_are_seen(look: str) -> None:
    colours = LOOKS[look]
    for ground in ("bg", "pane"):
        assert contrast(colours["focus"], colours[ground]) >= VISIBLE
        assert contrast(colours["edge"], colours[ground]) >= VISIBLE, f"edge on {ground}"


def test_the_day_has_every_colour_that_the_night_has() -> None:
    sheet = SHEET.read_text(encoding="utf-8")
    day = sheet[sheet.index('[data-look="day"]') :]
    for name in ("bg", "pane", "line", "ink", "dim", *LEVELS, *(f"on-{level}" for level in LEVELS), "focus", "edge"):
        assert f"--{name}:" in day, f"--{name} is the night's by day"
