"""The operator's page in a real browser, before a real listener."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.api.access import new_token
from gateway.api.server import ApiServer
from gateway.core.alarm import AlarmState, Command, Verb
from gateway.core.model import Channel, Level, Quality, Reason
from tests.e2e.browser import Tab, browser_or_skip, open_tab
from tests.integration.memory_gateway import MemoryGateway

# A browser that starts on a busy machine takes its time.
pytestmark = pytest.mark.timeout(120)

SCREENS = {
    "night": (1366, 768, "dark"),
    "day": (1366, 768, "light"),
    "phone": (390, 844, "dark"),
}
ROWS = "document.querySelectorAll('#rows tr').length"
FIRST_ROW = "document.querySelector('#rows tr')"


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    browser_or_skip()
    async with open_tab(tmp_path / "profile") as one:
        await one.size(1366, 768)
        yield one


@pytest.fixture
async def site() -> AsyncIterator[tuple[MemoryGateway, ApiServer]]:
    gateway = MemoryGateway()
    server = ApiServer(gateway, local_operator=True)
    await server.start("127.0.0.1:0")
    yield gateway, server
    await server.stop()


def address(server: ApiServer) -> str:
    return f"http://127.0.0.1:{server.port}/"


async def test_an_alarm_appears_by_itself_is_acknowledged_and_reset(
    tab: Tab, site: tuple[MemoryGateway, ApiServer]
) -> None:
    gateway, server = site
    await tab.go(address(server))
    await tab.until("document.body.innerText.includes('No alarms · 6 channels online')")
    assert "⚠" not in await tab.js("document.title")

    gateway.judge(0, Level.HIGH, 17.2)
    await tab.until(f"{ROWS} === 1")
    row = await tab.js(f"{FIRST_ROW}.innerText")
    for told in ("CH4 high", "Tank farm", "17.2", "%LEL", "10", "Unacknowledged", "first"):
        assert told in row
    assert await tab.js("document.querySelector('#rows svg').getAttribute('aria-label')") == "Level 1"
    assert await tab.js("document.querySelector('#banner').innerText.includes('against the wind')")
    assert await tab.js("document.title") == "(1) Plant 1"
    assert await tab.js("loudest()") == 1

    await tab.key("m")
    await tab.until("loudest() === 9")
    assert not gateway.audible()

    await tab.js("document.querySelector('#rows button').click()")
    await tab.until("document.querySelector('#rows .state').innerText.includes('by local')")
    assert gateway.alarms()[0].event.state is AlarmState.ACKED
    assert gateway.alarms()[0].event.who == "local"

    gateway.judge(0, Level.NORMAL, 1.0)
    await tab.until("document.querySelector('#rows button').innerText === 'Reset'")
    await tab.key("r")
    await tab.until(f"{ROWS} === 0")
    assert tab.errors == []
    assert {urlsplit(url).port for url in tab.requests} == {server.port}, "the page asks another host"


async def test_a_lost_link_takes_away_values_and_buttons_and_comes_back_by_itself(
    tab: Tab, site: tuple[MemoryGateway, ApiServer]
) -> None:
    gateway, server = site
    gateway.judge(0, Level.HIGH, 17.2)
    await tab.go(address(server))
    await tab.until(f"{ROWS} === 1 && document.body.innerText.includes('17.2')")
    port = server.port
    await server.stop()
    await tab.until("document.body.innerText.includes('Disconnected from the gateway')", 3.0)
    assert (await tab.js("document.title")).startswith("⚠")
    for part in ("#rows", "#banner", "#list"):
        assert "17.2" not in await tab.js(f"document.querySelector('{part}').innerText")
    assert "— —" in await tab.js(f"{FIRST_ROW}.innerText")
    assert await tab.js(
        "[...document.querySelectorAll('#rows button, #banner button, #silence')].every(b => b.disabled)"
    )
    assert await tab.js("loudest()") == "lost"

    gateway.judge(1, Level.LOW, 61.0)
    again = ApiServer(gateway, local_operator=True)
    await again.start(f"127.0.0.1:{port}")
    try:
        await tab.until(f"{ROWS} === 2 && document.querySelector('#bar').hidden")
        assert not await tab.js("document.querySelector('#rows button').disabled")
    finally:
        await again.stop()


async def test_a_changed_site_shows_its_new_channels_and_never_a_value_under_another_name(
    tab: Tab, site: tuple[MemoryGateway, ApiServer]
) -> None:
    gateway, server = site
    gateway.judge(0, Level.HIGH, 17.2)
    await tab.go(address(server))
    await tab.until(f"{ROWS} === 1 && document.body.innerText.includes('17.2')")
    await tab.js("window.lostOnce = false; setInterval(() => { if (link === 'lost') lostOnce = true; }, 5)")
    gateway.change([gateway.channels[4], gateway.channels[0]])
    gateway.read(0, 33.3)
    gateway.read(1, 21.4)
    await tab.until("columns && columns.id.length === 2 && value.length === 2 && value[0] === 33.3")
    await tab.until("document.querySelector('#list').innerText.includes('33.3')")
    listed = await tab.js("document.querySelector('#list').innerText")
    first = listed.index(gateway.channels[0].id)
    assert first < listed.index("33.3") < listed.index(gateway.channels[1].id) < listed.index("21.4")
    assert await tab.js(f"{FIRST_ROW}.innerText.includes('21.4')"), "the alarm's value is that of its own channel"
    assert not await tab.js("lostOnce")
    assert tab.errors == []


async def test_silence_of_the_gateway_is_shown_as_stale_and_then_as_disconnected(
    tab: Tab, site: tuple[MemoryGateway, ApiServer]
) -> None:
    gateway, server = site
    await tab.go(address(server))
    await tab.until("document.body.innerText.includes('6 channels online')")
    gateway.silent = True
    await tab.until("document.body.innerText.includes('Data is stale')", 6.0)
    assert await tab.js("document.querySelector('.row .n').innerText.includes('1.0')"), "stale values stay, marked"
    await tab.until("document.body.innerText.includes('Disconnected from the gateway')", 9.0)
    assert await tab.js("document.querySelector('.row .n').innerText.includes('— —')")
    assert "No alarms" not in await tab.js("document.body.innerText")
    gateway.silent = False
    await tab.until("document.querySelector('#bar').hidden")


async def test_a_bad_reading_shows_no_value_and_says_why(tab: Tab, site: tuple[MemoryGateway, ApiServer]) -> None:
    gateway, server = site
    await tab.go(address(server))
    await tab.until("document.querySelectorAll('.row:not([hidden])').length === 6")
    gateway.read(0, 0.0, Quality.COMMS_LOST)
    await tab.until("document.querySelector('.row .n').innerText.includes('comms lost')")
    assert "— —" in await tab.js("document.querySelector('.row .n').innerText")
    await tab.js("filter.value = 'comms_lost tank'; filter.oninput()")
    await tab.until("document.querySelectorAll('.row:not([hidden])').length === 1")


async def test_a_refused_command_says_why_on_its_row(tab: Tab, site: tuple[MemoryGateway, ApiServer]) -> None:
    gateway, server = site
    gateway.judge(0, Level.HIGH, 17.2)
    await tab.go(address(server))
    await tab.until(f"{ROWS} === 1")
    gateway.book.command(Command(verb=Verb.OUT_OF_SERVICE, alarm="high:gd-00.ch4", who="eng", why="repair"), 1)
    await tab.js("document.querySelector('#rows button').click()")
    await tab.until("document.querySelector('#rows .refused') !== null")
    assert "out of service" in (await tab.js("document.querySelector('#rows .refused').innerText")).lower()


async def test_names_of_instruments_cannot_run_as_a_program(tab: Tab) -> None:
    gateway = MemoryGateway(0)
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    gateway = MemoryGateway(1)
    one = gateway.channels[0]
    gateway.channels = (Channel(row=0, id=one.id, instrument=evil, quantity="ch4", unit=evil, area=evil, label=evil),)
    gateway.site_name = evil
    server = ApiServer(gateway, local_operator=True)
    await server.start("127.0.0.1:0")
    try:
        gateway.system("system/uplink/" + evil, evil)
        await tab.go(address(server))
        await tab.until(f"{ROWS} === 1 && document.querySelectorAll('.row').length > 0")
        assert await tab.js("document.querySelectorAll('img, body script').length") == 0
        assert await tab.js("document.title") != "owned"
        assert await tab.js("document.querySelector('.row').innerText.includes('<img')")
        await tab.js("document.querySelector('#rows button').click()")
        await tab.until("document.querySelector('#rows .state').innerText.includes('Acknowledged')")
    finally:
        await server.stop()


async def test_signing_in_with_a_token_and_reading_only_as_a_viewer(tab: Tab) -> None:
    gateway = MemoryGateway()
    token = gateway.tokens.add(new_token()[0], "desk", "viewer")
    server = ApiServer(gateway)
    await server.start("127.0.0.1:0")
    try:
        gateway.judge(0, Level.HIGH, 17.2)
        await tab.go(address(server))
        await tab.until("document.getElementById('signin').open")
        assert await tab.js(ROWS) == 0
        await tab.js(f"document.getElementById('token').value = '{token}'")
        await tab.js("document.querySelector('#signin .main').click()")
        await tab.until(f"{ROWS} === 1")
        assert await tab.js("document.querySelector('#rows button').disabled"), "a viewer reads"
        assert token not in await tab.js("document.documentElement.outerHTML + JSON.stringify(localStorage)")
        gateway.tokens.by_digest.clear()
        await tab.until("document.getElementById('signin').open", 12.0)
    finally:
        await server.stop()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
async def test_a_flood_stays_usable_and_nothing_is_cut_off(
    tab: Tab, site: tuple[MemoryGateway, ApiServer], width: int, height: int
) -> None:
    gateway, server = site
    await tab.size(width, height)
    await tab.go(address(server))
    await tab.until("document.body.innerText.includes('No alarms')")
    for number in range(450):
        gateway.system(f"system/uplink/p{number:03d}", "no answer")
    gateway.judge(0, Level.HIGH, 17.2)
    await tab.until("alarms.size === 451")
    await tab.until("document.querySelector('#more').innerText.includes('251')")
    assert "CH4 high" in await tab.js(f"{FIRST_ROW}.innerText"), "the most urgent stands on top"
    assert await tab.js("document.documentElement.scrollWidth <= innerWidth")
    right = "Math.max(...[...document.querySelectorAll('#rows button')].map(b => b.getBoundingClientRect().right))"
    assert await tab.js(f"{right} <= document.querySelector('#alarms').getBoundingClientRect().right")


async def test_the_page_speaks_chinese_and_english(tab: Tab, site: tuple[MemoryGateway, ApiServer]) -> None:
    gateway, server = site
    gateway.judge(0, Level.HIGH, 17.2)
    await tab.go(address(server))
    await tab.until(f"{ROWS} === 1")
    await tab.js("document.getElementById('lang').click()")
    await tab.until("document.querySelector('#rows button').innerText === '确认'")
    await tab.until("document.querySelector('.row').innerText.includes('储罐区')")
    assert await tab.js("JSON.stringify(Object.keys(T.en)) === JSON.stringify(Object.keys(T.zh))")


async def test_a_warning_is_calm_stands_below_the_others_and_says_why_in_the_pages_language(
    tab: Tab, site: tuple[MemoryGateway, ApiServer], tmp_path: Path
) -> None:
    gateway, server = site
    await tab.go(address(server))
    await tab.until("document.body.innerText.includes('6 channels online')")
    reason = Reason(
        "+3.2 %LEL in 5 min; normal here ±0.4; reaches 25 %LEL in about 9 min",
        "5 分钟内 +3.2 %LEL；此处正常波动 ±0.4；约 9 分钟后达到 25 %LEL",
    )
    gateway.judge(3, Level.WARNING, 4.4, reason)
    await tab.until(f"{ROWS} === 1")
    assert await tab.js("loudest()") == 9
    assert await tab.js("document.querySelector('#banner').hidden")
    icon = "document.querySelector('#rows tr:last-child svg')"
    assert await tab.js(f"{icon}.getAttribute('aria-label')") == "Level 4 warning"
    assert await tab.js(f"getComputedStyle({icon}).animationName") == "none"

    gateway.judge(1, Level.FAULT, float("nan"))
    gateway.judge(0, Level.LOW, 12.0)
    await gateway.command(Command(verb=Verb.ACKNOWLEDGE, alarm="high:gd-01.temperature", who="li"))
    gateway.judge(5, Level.WARNING, 9.0, Reason("9 ppm; 0.999 of its past was below", "9 ppm；历史 99.9% 低于此值"))
    await tab.until(f"{ROWS} === 4")
    rows = await tab.js("[...document.querySelectorAll('#rows tr')].map((row) => row.innerText)")
    assert [row.split("\n")[0] != "" and "warning" in row for row in rows] == [False, False, True, True]
    assert "CH4 Boiler room 3 · +3.2 %LEL in 5 min; normal here ±0.4" in rows[3]
    folder = Path(os.environ.get("HAZGATE_PICTURES", tmp_path))
    for name, (width, height, scheme) in SCREENS.items():
        await tab.size(width, height, scheme=scheme)
        await tab.picture(folder / f"{name}.png")
        assert await tab.js("document.documentElement.scrollWidth <= innerWidth")

    await tab.js("document.getElementById('lang').click()")
    await tab.until("document.querySelector('#rows tr:last-child').innerText.includes('5 分钟内 +3.2 %LEL')")
    assert "预警" in await tab.js("document.querySelector('#rows tr:last-child').innerText")
    await tab.picture(folder / "warning-zh.png")
    assert tab.errors == []
