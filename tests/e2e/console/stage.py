"""A site with people's words on it, before a real listener, and a real browser that looks at it."""

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import pytest

from gateway.api.server import ApiServer
from gateway.core.model import Level, Quality, Reason
from gateway.site.schema import SiteFile
from tests.integration.memory_gateway import AREAS, MemoryGateway

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)
DESK = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
ADVICE = ("Leave against the wind, close valve V3.", "逆风撤离，关闭 V3 阀。")


def site_file() -> SiteFile:
    """Return a site whose areas have names, telephone numbers and advice in both languages."""
    areas = [
        {
            "id": english,
            "label": english,
            "label_zh": chinese,
            "phone": f"0757-8888 00{n:02d}",
            "response": ADVICE[0],
            "response_zh": ADVICE[1],
        }
        for n, (english, chinese) in enumerate(AREAS)
    ]
    named = {"id": "plant-1", "name": "Plant 1", "name_zh": "一号厂区", "timezone": "Asia/Shanghai"}
    return SiteFile.model_validate({"site": named, "areas": areas})


def plant(channels: int = 24) -> MemoryGateway:
    """Return a gateway of such a site."""
    gateway = MemoryGateway(channels)
    gateway.site_file = site_file()
    gateway.site_name = "Plant 1"
    return gateway


def trouble(gateway: MemoryGateway) -> None:
    """Raise one of everything: high, low, fault, warning, the gateway's own."""
    gateway.judge(0, Level.HIGH, 17.2)
    gateway.judge(4, Level.LOW, 63.5)
    gateway.judge(9, Level.HIGH, 31.0)
    gateway.judge(5, Level.LOW, 28.0)
    gateway.judge(7, Level.FAULT, float("nan"))
    gateway.read(7, 0.0, Quality.COMMS_LOST)
    words = ("+3.2 %LEL in 5 min; reaches 25 %LEL in about 9 min", "5 分钟内 +3.2 %LEL；约 9 分钟后达到 25 %LEL")
    gateway.judge(12, Level.WARNING, 4.4, Reason(*words))
    gateway.system("system/uplink/park", "the platform does not answer")


@dataclass
class Stage:
    """A gateway that is served and looked at.

    Attributes:
        gateway: What happens.
        server: Its listener.
        browser: A browser; `open` opens pages of it.
        complaints: What the pages' consoles said.
        hosts: Whom the pages asked.
    """

    gateway: MemoryGateway
    server: ApiServer
    browser: "Browser"
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    _contexts: list["BrowserContext"] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.server.port}/"

    async def open(
        self, page: str = "now", *, size: dict[str, int] | None = None, lang: str = "en", look: str = "night"
    ) -> "Page":
        """Return a tab of a browser of its own."""
        size = size or DESK
        phone = size["width"] < 760
        context = await self.browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            locale="zh-CN" if lang == "zh" else "en-GB",
            color_scheme="light" if look == "day" else "dark",
            has_touch=phone,
            is_mobile=phone,
        )
        self._contexts.append(context)
        return await self.tab(context, page)

    async def tab(self, context: "BrowserContext", page: str = "now") -> "Page":
        """Return another tab of the same browser."""
        tab = await context.new_page()
        tab.set_default_timeout(10_000)
        tab.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        await tab.goto(f"{self.url}#/{page}")
        return tab

    async def restart(self) -> None:
        """Stop the listener and start it again at the same port."""
        port = self.server.port
        await self.server.stop()
        self.server = ApiServer(self.gateway, local_operator=True)
        await self.server.start(f"127.0.0.1:{port}")

    async def close(self) -> None:
        """Close the pages."""
        for context in self._contexts:
            await context.close()


def chromium_or_skip() -> str:
    """Return the browser's path; skips where it or its driver is missing, and fails in CI."""
    if importlib.util.find_spec("playwright") is None:
        give_up("the package playwright, which drives the browser, is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        give_up("no Chromium is installed")
    return found


def give_up(reason: str) -> NoReturn:
    """Skip a test for what is missing here; in CI nothing may be missing."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@asynccontextmanager
async def staged(gateway: MemoryGateway, executable: str) -> AsyncIterator[Stage]:
    """Serve a gateway to a browser."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not installed where there is no browser either

    server = ApiServer(gateway, local_operator=True)
    await server.start("127.0.0.1:0")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        stage = Stage(gateway, server, browser)
        try:
            yield stage
        finally:
            await stage.close()
            await browser.close()
            await stage.server.stop()
