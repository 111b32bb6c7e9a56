"""Pictures that come with reported problems: small files in one folder, each named by what it shows."""

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.store.disk import make_folder, storage_errors, write_whole

PHOTO_MAX: Final = 48 * 1024
FOLDER_MAX: Final = 64 * 1024 * 1024
"""Bytes of all pictures; beyond it the oldest go."""
_KINDS: Final = {".jpg": (b"\xff\xd8\xff", "image/jpeg"), ".png": (b"\x89PNG\r\n\x1a\n", "image/png")}
_NAME: Final = re.compile(r"[0-9a-f]{64}\.(jpg|png)")


class Photos:
    """The folder of pictures.

    A picture's name is the SHA-256 of its bytes, and the name stands in the journal, whose chain thereby proves the
    picture. Methods block.

    Args:
        folder: Made with the first picture.
        bytes_max: Bytes of all pictures; beyond it the oldest go.
    """

    def __init__(self, folder: Path, bytes_max: int = FOLDER_MAX) -> None:
        self._folder = folder
        self._bytes_max = bytes_max

    def keep(self, picture: bytes) -> str:
        """Put a picture on disk and return its name.

        Raises:
            ValueError: It is larger than 48 KiB, or neither a JPEG nor a PNG by its first bytes.
            StorageError: The disk refuses.
        """
        if len(picture) > PHOTO_MAX:
            raise ValueError(f"the photo has {len(picture)} bytes; at most {PHOTO_MAX} are taken")
        suffix = next((s for s, (magic, _) in _KINDS.items() if picture.startswith(magic)), None)
        if suffix is None:
            raise ValueError("the photo is neither a JPEG nor a PNG")
        name = hashlib.sha256(picture).hexdigest() + suffix
        with storage_errors(self._folder, f"keeping photo {name}"):
            make_folder(self._folder)
            write_whole(self._folder / name, picture)
            self._make_room(name)
        return name

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Return a picture and its media type; None where it has made way, or the name is none of ours.

        Raises:
            StorageError: The disk refuses.
        """
        if not _NAME.fullmatch(name):
            return None
        file = self._folder / name
        with storage_errors(self._folder, f"reading photo {name}"), suppress(FileNotFoundError):
            return file.read_bytes(), _KINDS[file.suffix][1]
        return None

    def _make_room(self, newest: str) -> None:
        files = [(entry.stat(), entry) for entry in os.scandir(self._folder)]
        total = sum(stat.st_size for stat, _ in files)
        for stat, entry in sorted(files, key=lambda each: each[0].st_mtime_ns):
            if total <= self._bytes_max:
                return
            if entry.name != newest:
                Path(entry.path).unlink(missing_ok=True)
                total -= stat.st_size
