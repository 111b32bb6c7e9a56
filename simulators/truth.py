"""The truth file: what was really so in a simulated plant, as JSON lines beside what the gateway sees."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

FILE_BYTES_MAX = 2_000_000_000
"""Beyond this only events are written, and a line says so."""


class TruthFile:
    """Writes lines in the order they come, off the event loop.

    Args:
        path: A new file; one that is there is written anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self._lines: list[str] = []
        self._bytes = 0
        self._full = False

    async def open(self) -> None:
        """Make the file. Raises OSError."""
        self._file = await asyncio.to_thread(self._path.open, "w", encoding="utf-8")

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line; it is on its way to the file with the next `flush`."""
        if self._full and line["kind"] == "state":
            return
        text = json.dumps(line, separators=(",", ":"), ensure_ascii=False)
        self._bytes += len(text) + 1
        self._lines.append(text)
        if self._bytes > FILE_BYTES_MAX and not self._full:
            self._full = True
            self._lines.append(json.dumps({"t_s": line["t_s"], "kind": "full", "bytes_max": FILE_BYTES_MAX}))

    async def flush(self) -> None:
        """Hand what was added to the operating system."""
        if self._file is not None and self._lines:
            lines, self._lines = self._lines, []
            await asyncio.to_thread(_write, self._file, "\n".join(lines) + "\n")

    async def close(self) -> None:
        """Write what is left and close; may be called twice."""
        await self.flush()
        file, self._file = self._file, None
        if file is not None:
            await asyncio.to_thread(file.close)


def _write(file: IO[str], text: str) -> None:
    file.write(text)
    file.flush()
