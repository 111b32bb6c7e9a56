"""A real browser, driven over its own debugging protocol: just enough to look at a page and press its buttons."""

import asyncio
import base64
import importlib.util
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=en-US",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--remote-debugging-port=0",
)


def browser_or_skip() -> str:
    """Return the browser's path; skips where there is none, and fails in CI."""
    if importlib.util.find_spec("websockets") is None:
        _give_up("the package websockets, which drives the browser, is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        _give_up("no Chromium is installed")
    return found


def _give_up(reason: str) -> NoReturn:
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


class Tab:
    """One page. `js` evaluates an expression in it; `errors` holds what its console complained of."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if future := self._answers.pop(message.get("id", 0), None):
                future.set_result(message)
            method, params = message.get("method", ""), message.get("params", {})
            if method == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(params["exceptionDetails"])[:500])
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                self.errors.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
            elif method == "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(self._answers[number], 20)
        assert "error" not in answer, answer
        return answer["result"]

    async def js(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, within_s: float = 10.0) -> Any:
        """Wait until an expression is true and return it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    # What it asks about may not be there yet.
                    with suppress(AssertionError):
                        if value := await self.js(expression):
                            return value
                    await asyncio.sleep(0.05)
        text = await self.js("document.body.innerText")
        raise AssertionError(f"never true: {expression}\npage: {text}\nerrors: {self.errors}")

    async def key(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    async def size(self, width: int, height: int, *, scheme: str = "dark") -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 800
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self, path: Path) -> None:
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def go(self, url: str) -> None:
        await self.call("Page.navigate", url=url)


@asynccontextmanager
async def open_tab(profile: Path) -> AsyncIterator[Tab]:
    """Start a browser with a profile folder of its own and open one empty page in it."""
    from websockets.asyncio.client import connect  # noqa: PLC0415 - absent where the page is not tested

    process = await asyncio.create_subprocess_exec(
        browser_or_skip(),
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port = await _debugging_port(profile)
        async with connect(await _page_socket(port), max_size=None) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.call(f"{domain}.enable")
            try:
                yield tab
            finally:
                tab.reading.cancel()
                await asyncio.gather(tab.reading, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _debugging_port(profile: Path) -> int:
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError, ValueError, IndexError):
                return int((profile / "DevToolsActivePort").read_text().split()[0])
            await asyncio.sleep(0.05)


async def _page_socket(port: int) -> str:
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            pages = (await client.get(f"http://127.0.0.1:{port}/json/list")).json()
            if found := [page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"]:
                return str(found[0])
            await asyncio.sleep(0.05)
