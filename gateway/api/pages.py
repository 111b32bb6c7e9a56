"""Serves the console's few files from memory, compressed once."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources

from fastapi import Request, Response

TYPES = {
    "index.html": "text/html; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file, as it goes out."""

    media_type: str
    plain: bytes
    packed: bytes
    tag: str

    def response(self, request: Request) -> Response:
        """Return the file, or 304 where the browser has it already."""
        headers = {"ETag": self.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        packed = "gzip" in request.headers.get("accept-encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.packed if packed else self.plain, headers=headers, media_type=self.media_type)


def load_pages() -> dict[str, Page]:
    """Return the console's files by name."""
    folder = resources.files("gateway.console")
    return {name: _page(folder.joinpath(name).read_bytes(), kind) for name, kind in TYPES.items()}


def _page(plain: bytes, media_type: str) -> Page:
    tag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'
    return Page(media_type, plain, gzip.compress(plain, 9, mtime=0), tag)
