"""Where instruments stand: the site file's word, and over it what people moved, kept on disk."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.errors import StorageError
from gateway.places import FILE, PLACES_MAX, Place, Places
from gateway.site.drawings import Drawing, Drawings
from gateway.site.operation import PositionSection


def drawing(plan: str) -> Drawing:
    return Drawing(plan, plan, "", "image/svg+xml", b"<svg/>", 4.0, 3.0, "t")


SITE = Drawings(
    (drawing("floor"), drawing("roof")),
    {"gd-01": PositionSection(plan="floor", x=0.1, y=0.2), "gd-02": PositionSection(plan="floor", x=0.5, y=0.5)},
)
THERE = Place(plan="roof", x=0.75, y=0.25, moved_by="li")


def test_what_was_moved_outranks_the_site_file_and_outlives_a_restart(tmp_path: Path) -> None:
    places = Places(tmp_path / FILE, lambda: SITE)
    assert places.all()["gd-01"] == Place(plan="floor", x=0.1, y=0.2)
    places.move("gd-01", THERE)
    again = Places(tmp_path / FILE, lambda: SITE)
    assert again.all() == {"gd-01": THERE, "gd-02": Place(plan="floor", x=0.5, y=0.5)}


def test_what_is_put_back_stands_where_the_site_file_has_it(tmp_path: Path) -> None:
    places = Places(tmp_path / FILE, lambda: SITE)
    places.move("gd-01", THERE)
    assert places.put_back("gd-01") is True
    assert places.put_back("gd-01") is False
    assert Places(tmp_path / FILE, lambda: SITE).all()["gd-01"] == Place(plan="floor", x=0.1, y=0.2)


def test_a_place_on_a_plan_that_is_gone_is_kept_and_not_shown(tmp_path: Path) -> None:
    now = [SITE]
    places = Places(tmp_path / FILE, lambda: now[0])
    places.move("gd-01", THERE)
    now[0] = Drawings((drawing("floor"),), SITE.positions)
    assert "gd-01" not in places.all()
    now[0] = SITE
    assert places.all()["gd-01"] == THERE


@pytest.mark.parametrize("body", [b"", b"{", b'{"gd-01": {"plan": "floor"}}', b"[1]", b"\xff"])
def test_a_damaged_file_is_set_aside_and_the_site_file_counts(tmp_path: Path, body: bytes) -> None:
    (tmp_path / FILE).write_bytes(body)
    places = Places(tmp_path / FILE, lambda: SITE)
    assert places.all()["gd-01"].moved_by == ""
    assert (tmp_path / "places.damaged").read_bytes() == body
    places.move("gd-01", THERE)
    assert Places(tmp_path / FILE, lambda: SITE).all()["gd-01"] == THERE


def test_a_disk_that_refuses_is_told_and_nothing_seems_moved(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    places = Places(folder / FILE, lambda: SITE)
    folder.rmdir()
    folder.write_bytes(b"in the way")
    with pytest.raises(StorageError, match=r"places\.json"):
        places.move("gd-01", THERE)
    assert places.all()["gd-01"].moved_by == ""


def test_more_than_so_many_moved_instruments_are_refused_but_known_ones_move_on(tmp_path: Path) -> None:
    moved: dict[str, Any] = {f"i{k}": THERE for k in range(PLACES_MAX)}
    (tmp_path / FILE).write_bytes(msgspec.json.encode(moved))
    places = Places(tmp_path / FILE, lambda: SITE)
    with pytest.raises(StorageError, match=str(PLACES_MAX)):
        places.move("gd-01", THERE)
    places.move("i0", Place(plan="floor", x=0.0, y=1.0, moved_by="li"))
    assert places.all()["i0"].y == 1.0


def test_without_a_file_it_lives_in_memory() -> None:
    places = Places(None, lambda: SITE)
    places.move("gd-01", THERE)
    assert places.all()["gd-01"] == THERE
