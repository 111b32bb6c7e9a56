"""A site for stories: a real gateway process, a plant that a test turns by hand, and people with a browser each.

The plant speaks Modbus TCP, the gateway is the installed command, and between it and the browsers lies a line that can
be cut.
"""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulators.modbus_tcp import TcpEndpoint
from simulators.registers import Registers
from tests.e2e.console.stage import DESK, FLAGS
from tests.e2e.gateway_process import HAZGATE, ROOT, Process

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Locator, Page

PASSWORD = "green-river-lantern"
PEOPLE = (("wang", "王敏", "operator"), ("li", "李强", "operator"), ("zhao", "赵军", "engineer"))
AREAS = (
    ("boiler", "Boiler room", "锅炉房", "0757-8888 1201", "Leave, close valve V3 outside.", "撤离，关闭室外 V3 阀。"),
    ("tanks", "Tank farm", "储罐区", "0757-8888 1202", "Against the wind, close the outlet.", "逆风接近，关闭出口阀。"),
)
HEADS = (("gd-01", "boiler", 0.13, 0.23), ("gd-02", "boiler", 0.21, 0.23), ("gd-03", "tanks", 0.43, 0.60))
CALM = 1.2
ADDRESS_MAX = 65_536


class Plant:
    """Three CH4 heads on one Modbus line, each showing what it is told to."""

    def __init__(self) -> None:
        self._units = {unit: Registers() for unit in range(1, len(HEADS) + 1)}
        for registers in self._units.values():
            registers.define("holding", range(1))
        self.endpoint = TcpEndpoint(self._units)
        for name, *_ in HEADS:
            self.show(name, CALM)

    def show(self, head: str, value: float) -> None:
        """Let a head show so many %LEL from now on."""
        unit = 1 + next(k for k, (name, *_) in enumerate(HEADS) if name == head)
        self._units[unit].write("holding", 0, round(value * 10).to_bytes(2, "big"))


class Line:
    """The line between browsers and gateway: one address for them, which a test may cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        """Carry again, at the same address."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Carry nothing: what was open ends, what comes is refused."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._open |= ends
        try:
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(ADDRESS_MAX):
            writer.write(data)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.write_eof()


@dataclass
class Story:
    """A site that runs, and the browsers that look at it.

    Attributes:
        plant: What the instruments show.
        gateway: The process.
        line: What the browsers reach it through.
        folder: Where the site file lies.
        complaints: What the pages' consoles said while the line was whole.
        hosts: Whom the pages asked.
    """

    plant: Plant
    gateway: Process
    line: Line
    browser: "Browser"
    folder: Path
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    apart: bool = False
    _contexts: list["BrowserContext"] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the browsers find the console."""
        return f"http://127.0.0.1:{self.line.port}/"

    async def open(self, page: str = "now", *, size: dict[str, int] = DESK, lang: str = "en") -> "Page":
        """Return a tab in a browser of its own, as another person at another desk has it."""
        phone = size["width"] < 760
        context = await self.browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            locale="zh-CN" if lang == "zh" else "en-GB",
            has_touch=phone,
            is_mobile=phone,
        )
        self._contexts.append(context)
        tab = await context.new_page()
        tab.set_default_timeout(15_000)
        tab.on("console", lambda said: self._heard(said.text) if said.type == "error" else None)
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        await tab.goto(f"{self.url}#/{page}")
        return tab

    def _heard(self, text: str) -> None:
        # A browser names every request that fails: that is what a cut line is, and a refusal is shown to the person.
        if not (self.apart or "Failed to load resource" in text):
            self.complaints.append(text)

    async def cut(self) -> None:
        """Cut the line."""
        self.apart = True
        await self.line.cut()

    async def mend(self) -> None:
        """Carry again."""
        await self.line.mend()

    def check(self) -> None:
        """No page complained, and none asked another host than the gateway."""
        assert self.complaints == [], self.complaints
        assert self.hosts == {self.url.split("/")[2]}, "a page asks another host"


def rows(page: "Page") -> "Locator":
    """Return the alarms of the list."""
    return page.locator(".now-row:not(.now-over)")


async def entered(page: "Page", name: str, password: str = PASSWORD) -> None:
    """Sign in at the gate, in whichever language it is."""
    gate = page.locator(".signin-gate")
    await gate.get_by_label(re.compile("^(Name|用户名)$")).fill(name)
    await gate.locator("input[type=password]").fill(password)
    await page.keyboard.press("Enter")
    await gate.wait_for(state="detached")


async def readable(page: "Page", *texts: str) -> None:
    """Check that each of these can be read now, without a click and without a scroll."""
    size = page.viewport_size
    assert size
    for text in texts:
        seen = False
        for place in await page.get_by_text(text).all():
            box = await place.bounding_box()
            seen |= bool(box and box["x"] >= 0 and box["y"] >= 0 and box["y"] + box["height"] <= size["height"])
        assert seen, f"{text!r} is not before the eyes"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def asked(page: "Page", path: str) -> Any:
    """Return what the gateway answers to the person who has signed in at a page."""
    return await page.evaluate("path => fetch('api/v1/' + path).then((answer) => answer.json())", path)


def hazgate(*arguments: str, told: str = "") -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run([*HAZGATE, *arguments], input=told, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout


def people(folder: Path) -> Path:
    """Make a data folder that knows the people of the site, at the terminal as an administrator does."""
    for name, shown, role in PEOPLE:
        hazgate(
            "account", "--data", str(folder), "add", name, "--role", role, "--display-name", shown, "--password-stdin",
            told=PASSWORD,
        )  # fmt: skip
    return folder


def site(plant: Plant, *, read: str, owed: bool) -> dict[str, Any]:
    """Return the site file."""
    register = {"table": "holding", "address": 0, "type": "uint16", "scale": 0.1}
    channel = {"id": "ch4", "quantity": "ch4", "unit": "%LEL", "range": [0, 100], "decimals": 1, "options": register}
    return {
        "site": {"id": "stories", "name": "Works 3", "name_zh": "三号厂区", "timezone": "Asia/Shanghai"},
        "connections": [{"id": "plc", "type": "modbus", "options": {"endpoint": plant.endpoint.address}}],
        "areas": [
            {"id": one, "label": label, "label_zh": chinese, "phone": phone, "response": what, "response_zh": what_zh}
            for one, label, chinese, phone, what, what_zh in AREAS
        ],
        "shifts": [
            {"name": "day", "name_zh": "白班", "begins": "06:00"},
            {"name": "night", "name_zh": "夜班", "begins": "18:00"},
        ],
        "plans": [{"id": "works", "label": "Works", "label_zh": "厂区", "image": "works.svg"}],
        "instruments": [
            {
                "id": name,
                "connection": "plc",
                "area": area,
                "label": f"CH4 head {name}",
                "label_zh": f"甲烷探测器 {name}",
                "period_s": 0.2,
                "options": {"unit": unit},
                "position": {"plan": "works", "x": x, "y": y},
                "channels": [channel],
                **(_duty(owed=owed) if area == "tanks" else {}),
            }
            for unit, (name, area, x, y) in enumerate(HEADS, 1)
        ],
        "rules": [
            {"id": "gas", "type": "threshold", "channels": ["*"], "latching": True, "options": {"low": 10, "high": 25}},
            {"id": "fault", "type": "fault", "channels": ["*"], "options": {"delay_s": 2}},
        ],
        "response": {"limits": {"dispatch_s": 120, "arrive_s": 180}},
        "storage": {"flush_s": 0.2},
        "api": {"bind": "127.0.0.1:0", "read": read},
    }


def _duty(*, owed: bool) -> dict[str, Any]:
    """What the label of a head leads to: how it is tested (and whether that was forgotten), and a list to tick."""
    forgotten = {"bump_every_days": 30, "last_bump": "2020-01-01"}
    return {
        "calibration": {"gas": "CH4 50 %LEL in air", "expected": 50, **(forgotten if owed else {})},
        "checklist": [
            {"id": "inlet", "text": "Inlet free?", "text_zh": "进气口通畅？"},
            {"id": "lamp", "text": "Lamp green?", "text_zh": "指示灯为绿色？"},
        ],
    }


@asynccontextmanager
async def told(
    folder: Path, known: Path, executable: str, *, read: str = "signed-in", owed: bool = False
) -> AsyncIterator[Story]:
    """Run a site of its own for one story.

    Args:
        folder: Where its files go.
        known: A data folder that knows its people.
        executable: The browser.
        read: Who may read, as the site file says it.
        owed: A bump test of gd-03 is overdue.
    """
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not installed where there is no browser either

    plant = Plant()
    await plant.endpoint.start()
    shutil.copytree(known, folder / "data")
    shutil.copy(ROOT / "config" / "sites" / "works.svg", folder)
    (folder / "site.yaml").write_text(json.dumps(site(plant, read=read, owed=owed)), encoding="utf-8")
    command = ("run", str(folder / "site.yaml"), "--data", str(folder / "data"), "--json-logs")
    try:
        with Process(*command, log=folder / "log") as gateway:
            line = Line(int((await gateway.url()).rstrip("/").rsplit(":", 1)[1]))
            await line.mend()
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=executable, args=list(FLAGS))
                story = Story(plant, gateway, line, browser, folder)
                try:
                    yield story
                finally:
                    for context in story._contexts:
                        await context.close()
                    await browser.close()
                    await line.cut()
    finally:
        await plant.endpoint.stop()
