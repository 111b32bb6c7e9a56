"""Serves the console's built files from memory, compressed once."""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import Request, Response

from gateway.api.access import Role
from gateway.api.problems import ProblemError
from gateway.api.routes import Route

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


class PageRoutes:
    """The routes of the console's files: links of other sites may lead to them, and they tell nothing of the site."""

    def __init__(self) -> None:
        self._pages = load_pages()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(path=path, call=call, role=Role.NOBODY, answer=media_type, guarded=False)
            for path, call, media_type in (
                ("/", self.console, "text/html"),
                ("/icon.svg", self.console_icon, "image/svg+xml"),
                ("/assets/{path:path}", self.console_file, "text/javascript"),
            )
        ]

    async def console(self, request: Request) -> Response:
        """Return the operator's page."""
        return self._file(PAGE, request)

    async def console_icon(self, request: Request) -> Response:
        """Return the page's icon."""
        return self._file("icon.svg", request)

    async def console_file(self, request: Request, path: str) -> Response:
        """Return one of the page's files."""
        return self._file(f"{_KEPT}{path}", request)

    def _file(self, path: str, request: Request) -> Response:
        page = self._pages.get(path)
        if page is None:
            absent = f"there is no page {path[:200]!r}"
            raise ProblemError(404, absent if self._pages else "this build has no console; the API is under /api/v1")
        return page.response(request)


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
