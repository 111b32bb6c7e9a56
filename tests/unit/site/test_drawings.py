"""Drawings of the site: what is taken for one, how large it is, and what is told of one that cannot be shown."""

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import ConfigError, SiteFileError
from gateway.site.drawings import BYTES_MAX, PLANS_MAX, Drawing, read_drawing
from gateway.site.load import load_site
from gateway.site.operation import PlanSection

SITE = """\
site: {id: s}
connections:
  - {id: line1, type: modbus, options: {endpoint: "tcp://127.0.0.1:1502"}}
instruments:
  - {id: gd-01, connection: line1, position: {plan: floor, x: 0.25, y: 0.5}, channels: [{id: t, options: {address: 0}}]}
  - {id: gd-02, connection: line1, channels: [{id: ch4, options: {address: 1}}]}
plans:
  - {id: floor, label: Ground floor, label_zh: 一层, image: floor.svg}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"/>'


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe" + struct.pack(">H", 9) + b"drawing"
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8\xff\xe0" + struct.pack(">H", 16) + b"JFIF\0" + bytes(9) + comment + b"\xff" + frame + b"\xff\xd9"


def drawn(folder: Path, body: bytes | str) -> Drawing:
    path = folder / "floor"
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return read_drawing(PlanSection(id="floor", image="floor"), folder)


@pytest.mark.parametrize(
    ("body", "media_type", "size"),
    [
        (png(30, 20), "image/png", (30, 20)),
        (jpeg(640, 480), "image/jpeg", (640, 480)),
        (SVG, "image/svg+xml", (400, 300)),
        ('﻿<?xml version="1.0"?>\n<!-- a <svg width="1" height="1"> of old -->\n<svg viewBox="5,5,10.5,7" width="1"/>',
         "image/svg+xml", (10.5, 7)),
        ("<svg\n width='2in'\n height='96'></svg>", "image/svg+xml", (192, 96)),
        ('<svg:svg xmlns:svg="http://www.w3.org/2000/svg" data-x="a>b" width="100mm" height="50mm"/>',
         "image/svg+xml", (377.95, 188.98)),
    ],
)  # fmt: skip
def test_a_drawing_is_known_by_its_content_and_says_its_size(
    tmp_path: Path, body: bytes | str, media_type: str, size: tuple[float, float]
) -> None:
    drawing = drawn(tmp_path, body)
    assert drawing.media_type == media_type
    assert (drawing.width, drawing.height) == pytest.approx(size, abs=0.01)
    assert drawing.label == "floor"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "neither SVG"),
        (b"GIF89a", "neither SVG"),
        ("<html><svgx viewBox='0 0 1 1'></html>", "neither SVG"),
        ("<svg>", "without viewBox"),
        ('<svg width="100%" height="50%">', "without viewBox"),
        ('<svg viewBox="0 0 wide 3">', "viewBox is '0 0 wide 3'"),
        ('<svg viewBox="0 0 0 3">', "0 x 3 is no size"),
        ('<svg viewBox="0 0 1e9 3">', "at most 20000"),
        ('<svg viewBox="0 0 nan 3">', "is no size"),
        (png(3, 3)[:20], "breaks off"),
        (jpeg(3, 3)[:30], "does not say its size"),
    ],
)
def test_what_is_no_drawing_is_told_with_its_file(tmp_path: Path, body: bytes | str, told: str) -> None:
    with pytest.raises(ConfigError, match="floor") as caught:
        drawn(tmp_path, body)
    assert told in caught.value.problem
    assert caught.value.path == ("image",)


def test_a_drawing_of_more_than_four_mebibytes_is_refused(tmp_path: Path) -> None:
    drawn(tmp_path, SVG + " " * (BYTES_MAX - len(SVG)))
    with pytest.raises(ConfigError, match="larger than 4 MiB"):
        drawn(tmp_path, SVG + " " * (BYTES_MAX - len(SVG) + 1))


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda b: b"\xff\xd8\xff" + b),
                 st.text(max_size=80).map(lambda t: f"<svg {t}>".encode())))  # fmt: skip
def test_no_bytes_whatever_make_reading_fail_otherwise(body: bytes) -> None:
    from gateway.site import drawings  # noqa: PLC0415 - the part below the file

    try:
        _, width, height = drawings._look(body)
    except ValueError:
        return
    assert width > 0
    assert height > 0


def site(folder: Path, text: str = SITE, picture: str | None = SVG) -> Path:
    if picture is not None:
        (folder / "floor.svg").write_text(picture, encoding="utf-8")
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_site_knows_its_drawings_and_where_instruments_stand(tmp_path: Path) -> None:
    found = load_site(site(tmp_path)).drawings
    (drawing,) = found.all
    assert (drawing.id, drawing.label, drawing.label_zh, drawing.body) == (
        "floor",
        "Ground floor",
        "一层",
        SVG.encode(),
    )
    assert found.positions is not None
    assert list(found.positions) == ["gd-01"]
    assert found.find("floor") is drawing
    assert found.find("roof") is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("image: floor.svg", "image: roof.svg", "site.yaml:8:"),
        ("plan: floor, x", "plan: roof, x", "site.yaml:5:"),
        ("plan: floor, x", "plan: roof, x", "no plan 'roof'; there are: floor"),
        ("image: floor.svg}", "image: floor.svg}\n  - {id: floor, image: floor.svg}", "is already the id of plans[0]"),
    ],
)
def test_mistakes_in_plans_are_told_with_their_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        load_site(site(tmp_path, SITE.replace(old, new)))
    assert told in str(caught.value)


def test_too_many_plans_are_refused(tmp_path: Path) -> None:
    many = SITE + "".join(f"  - {{id: p{k}, image: floor.svg}}\n" for k in range(PLANS_MAX))
    with pytest.raises(SiteFileError, match=f"{PLANS_MAX + 1} plans; at most {PLANS_MAX}"):
        load_site(site(tmp_path, many))
