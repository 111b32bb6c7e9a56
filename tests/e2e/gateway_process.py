"""The installed command as a process, for tests: started, read, stopped and killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
HAZGATE = (sys.executable, "-c", "from gateway.cli.main import main; main()")
STARTED = '"event": "console"'


class Process:
    """One `hazgate …`, its output in a file; leaving the context kills what is left of it and its children."""

    def __init__(
        self, *arguments: str, log: Path, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> None:
        self._log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [*prefix, *HAZGATE, *arguments],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                cwd=ROOT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self._log.read_bytes()[self._from :].decode(errors="replace")

    async def said(self, text: str, within_s: float = 30.0) -> str:
        """Wait for a line that contains a text, and return it."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for line in self.output().splitlines(keepends=True):
                if text in line and line.endswith("\n"):
                    return line
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output()[-3000:]}"
            await asyncio.sleep(0.02)
        raise AssertionError(f"no {text!r} within {within_s} s:\n{self.output()[-3000:]}")

    async def url(self) -> str:
        """Return where the API of a started gateway is."""
        found: Any = json.loads(await self.said(STARTED))
        return str(found["url"])

    async def ended(self, within_s: float) -> int:
        """Wait for its end and return its exit code."""
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"still there after {within_s} s:\n{self.output()[-3000:]}"
            await asyncio.sleep(0.01)
        return int(self.process.returncode)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
