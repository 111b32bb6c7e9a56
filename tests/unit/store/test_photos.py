"""Pictures: named by what they show, checked, and within their limit."""

import os
from pathlib import Path

import pytest

from gateway.core.errors import StorageError
from gateway.store.photos import PHOTO_MAX, Photos

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"


def test_a_picture_comes_back_under_a_name_that_proves_it(tmp_path: Path) -> None:
    photos = Photos(tmp_path / "photos")
    name = photos.keep(JPEG + b"x")
    assert name == photos.keep(JPEG + b"x")
    assert photos.read(name) == (JPEG + b"x", "image/jpeg")
    assert photos.read(photos.keep(PNG)) == (PNG, "image/png")
    assert sorted(path.suffix for path in (tmp_path / "photos").iterdir()) == [".jpg", ".png"]


@pytest.mark.parametrize("wrong", [b"", b"<svg onload=alert(1)>", b"GIF89a", PNG + bytes(PHOTO_MAX)])
def test_what_is_no_small_picture_is_refused(tmp_path: Path, wrong: bytes) -> None:
    with pytest.raises(ValueError, match="photo"):
        Photos(tmp_path).keep(wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../journal.db", "/etc/passwd", "a.jpg", "0" * 64 + ".svg", "0" * 64 + ".jpg"])
def test_other_names_give_nothing(tmp_path: Path, name: str) -> None:
    assert Photos(tmp_path).read(name) is None


def test_the_oldest_make_way(tmp_path: Path) -> None:
    photos = Photos(tmp_path, bytes_max=250)
    names = []
    for number in range(4):
        names.append(photos.keep(PNG + bytes([number]) * 92))
        os.utime(tmp_path / names[-1], (number, number))
    kept = [name for name in names if photos.read(name)]
    assert kept == names[2:]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        Photos(tmp_path / "file" / "photos").keep(PNG)
