"""Serves the console's built files from memory, compressed once."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import Request, Response

TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
PAGE: Final = "index.html"
_KEPT: Final = "assets/"
"""Files whose name has their content's hash: a browser never asks for them again."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file, as it goes out."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str
    cache: str

    def response(self, request: Request) -> Response:
        """Return the file, or 304 where the browser has it already."""
        headers = {"ETag": self.tag, "Cache-Control": self.cache, "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.packed if packed else self.plain, headers=headers, media_type=self.media_type)


def load_pages() -> dict[str, Page]:
    """Return the console's files by their path; none where the console was left out when the package was built."""
    folder = resources.files("gateway.console").joinpath("static")
    return dict(_files(folder, "")) if folder.is_dir() else {}


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Page]]:
    for entry in folder.iterdir():
        name = f"{path}{entry.name}"
        if entry.is_dir():
            yield from _files(entry, f"{name}/")
        elif (kind := TYPES.get(name.rpartition(".")[2])) is not None:
            yield name, _page(entry.read_bytes(), kind, kept=name.startswith(_KEPT))


def _page(plain: bytes, media_type: str, *, kept: bool) -> Page:
    tag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'
    cache = "public, max-age=31536000, immutable" if kept else "no-cache"
    return Page(media_type, plain, gzip.compress(plain, 9, mtime=0), tag, cache)
