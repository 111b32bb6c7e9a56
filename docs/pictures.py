"""Take the pictures of the console that the tutorials show, from the shift of the demonstration.

`python -m docs.pictures` writes `docs/images/console/*.png` and `docs/images/console.png`; `--only NAME` takes some of
them, `--url ADDRESS` takes them of a demonstration that runs already. Needs Chromium and the packages playwright and
pillow, all of which the tests need too.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState, ViewportSize

IMAGES = Path(__file__).parent / "images"
FOLDER = IMAGES / "console"
DEMO = (sys.executable, "-c", "from gateway.cli.main import main; main()", "demo", "--scenario", "shift", "--plain")
PASSWORD = "lishui-control-room"  # noqa: S105 - of people who exist in the demonstration alone
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--autoplay-policy=no-user-gesture-required")
BEGINS_S = 300.0
SETTLES_MS = 1500
"""Charts draw themselves after the values have come."""
BYTES_MAX = 150_000


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: Its file, without the ending.
        page: The console's page.
        lang: `en` or `zh`.
        look: `night` or `day`.
        phone: Taken at the width of a phone.
        who: Who has signed in; empty for nobody.
        act: What is done before it is taken.
    """

    name: str
    page: str
    lang: str = "en"
    look: str = "night"
    phone: bool = False
    who: str = "wang"
    act: Callable[["Page"], None] | None = None


def key(letter: str) -> Callable[["Page"], None]:
    """Press a key, and wait for what it opens."""

    def act(page: "Page") -> None:
        page.keyboard.press(letter)
        page.get_by_role("dialog").wait_for()

    return act


def lose(page: "Page") -> None:
    """Wait for the state that a gateway leaves behind which is gone: the picture that comes last."""
    page.locator(".shell-lost").wait_for(timeout=30_000)


PICTURES = (
    Picture("now-night", "now"),
    Picture("now-day-zh", "now", "zh", "day"),
    Picture("acknowledge", "now", "en", "day", act=key("a")),
    Picture("shelve", "now", "zh", act=key("s")),
    Picture("response", "case", "en", "day"),
    Picture("point", "point/gd-41.h2s", "en", act=lambda page: page.mouse.wheel(0, 440)),
    Picture("journal", "journal", "en", "day"),
    Picture("handover", "handover", "en", "day"),
    Picture("handover-zh", "handover", "zh"),
    Picture("statistics", "statistics", "en", "day"),
    Picture("phone-now-zh", "now", "zh", phone=True),
    Picture("phone-instrument", "instrument/gd-01", "en", "day", phone=True),
    Picture("wall-zh", "wall", "zh", who=""),
)
OFFLINE = "offline"
README = "now-night"
"""The picture that the README shows, too."""


@contextmanager
def demonstration() -> Iterator[tuple[str, Callable[[], None]]]:
    """Start the demonstration, and give its address and what ends it."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*DEMO, "--port", str(port)], stdout=said, stderr=said)  # noqa: S603 - our own command
        try:
            url = f"http://127.0.0.1:{port}/"
            _wait(url, process)
            yield url, process.terminate
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + BEGINS_S
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}api/v1/health").raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None:
                raise SystemExit(f"the demonstration ended with {process.returncode}") from None
            time.sleep(0.5)
        else:
            return
    raise SystemExit(f"no demonstration at {url} within {BEGINS_S:.0f} s")


def opened(browser: "Browser", url: str, picture: Picture, known: dict[str, "StorageState"]) -> "Page":
    """Return a tab that shows what a picture is of, as its person sees it; `known` keeps who has signed in."""
    size: ViewportSize = {"width": 390, "height": 844} if picture.phone else {"width": 1366, "height": 768}
    context = browser.new_context(
        viewport=size,
        locale="zh-CN" if picture.lang == "zh" else "en-GB",
        color_scheme="light" if picture.look == "day" else "dark",
        is_mobile=picture.phone,
        has_touch=picture.phone,
        reduced_motion="reduce",
        storage_state=known.get(picture.who),
    )
    page = context.new_page()
    page.goto(url)
    if picture.who and picture.who not in known:
        _sign_in(page, picture.who)
        # Not what the page keeps for itself: the language of one picture is not that of the next.
        known[picture.who] = {"cookies": context.storage_state()["cookies"], "origins": []}
    page.goto(f"{url}#/{picture.page}")
    page.locator("main > *").first.wait_for()
    page.mouse.move(1000, 764)
    page.wait_for_timeout(SETTLES_MS)
    if picture.act is not None:
        picture.act(page)
        page.wait_for_timeout(SETTLES_MS)
    return page


def _sign_in(page: "Page", name: str) -> None:
    page.locator(".shell-head .menu > button").click()
    page.locator(".menu-list button").first.click()
    door = page.locator("dialog")
    door.locator("input").first.fill(name)
    door.locator("input[type=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    door.wait_for(state="detached")
    # The word that welcomes goes away by itself.
    page.locator(".toast").wait_for(state="detached")


def take(page: "Page", path: Path) -> None:
    """Take a picture and make it small: a console has few colours. Raises SystemExit where it stays too large."""
    from PIL import Image  # noqa: PLC0415 - only where pictures are taken

    page.screenshot(path=path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path.name}: {size:,} bytes\n")
    if size > BYTES_MAX:
        raise SystemExit(f"{path} has {size} bytes, more than {BYTES_MAX}")
    if path.stem == README:
        shutil.copy(path, IMAGES / "console.png")


def take_all(browser: "Browser", url: str, wanted: Sequence[str], end: Callable[[], None]) -> None:
    """Take the pictures that are wanted; the demonstration is over with the last one."""
    FOLDER.mkdir(exist_ok=True)
    known: dict[str, StorageState] = {}
    for picture in PICTURES:
        if not wanted or picture.name in wanted:
            page = opened(browser, url, picture, known)
            take(page, FOLDER / f"{picture.name}.png")
            page.context.close()
    if not wanted or OFFLINE in wanted:
        page = opened(browser, url, Picture("", "now"), known)
        end()
        lose(page)
        page.wait_for_timeout(SETTLES_MS)
        take(page, FOLDER / f"{OFFLINE}.png")


def main(arguments: Sequence[str] | None = None) -> None:
    """Take pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="take these pictures only")
    parser.add_argument("--url", help="of a demonstration that runs already; leaves out the one of its end")
    chosen = parser.parse_args(arguments)
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not installed where no picture is taken

    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        if chosen.url:
            take_all(browser, chosen.url, chosen.only or [one.name for one in PICTURES], lambda: None)
        else:
            with demonstration() as (url, end):
                take_all(browser, url, chosen.only, end)
        browser.close()


if __name__ == "__main__":
    main()
