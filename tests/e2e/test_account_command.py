"""`hazgate account`, `token` and `run` as processes: the first administrator, changes meanwhile, a kill -9."""

import asyncio
import json
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.e2e.gateway_process import HAZGATE, ROOT, Process

pytestmark = pytest.mark.timeout(120)
GOOD = "correct horse 9"
V1 = "/api/v1"
SITE = '{"site": {"id": "people-command"}, "api": {"bind": "127.0.0.1:0"}}'


def hazgate(*arguments: str, typed: str = "") -> tuple[int, str]:
    """Run a command to its end; returns its exit code and all it says."""
    done = subprocess.run(
        [*HAZGATE, *arguments], input=typed, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


async def command(*arguments: str, typed: str = "") -> str:
    """Run a command that must succeed, without holding the loop; returns what it prints."""
    code, said = await asyncio.to_thread(hazgate, *arguments, typed=typed)
    assert code == 0, said
    return said.strip()


async def whys(client: httpx.AsyncClient, kind: str) -> list[tuple[str, str]]:
    events = (await client.get(f"{V1}/events?kind={kind}&limit=100")).json()["events"]
    return [(event["who"], event["why"]) for event in events]


async def test_from_the_code_on_the_terminal_to_a_kill_and_back(tmp_path: Path) -> None:
    site, data = tmp_path / "site.json", str(tmp_path / "data")
    site.write_text(SITE)
    arguments = ("run", str(site), "--data", data, "--json-logs")
    with Process(*arguments, log=tmp_path / "log") as first:
        code = json.loads(await first.said('"code"'))["code"]
        async with httpx.AsyncClient(base_url=await first.url(), timeout=20) as browser:
            order = {"code": code, "name": "王敏", "password": GOOD}
            made = await browser.post(f"{V1}/setup", json=order)
            assert made.status_code == 200, made.text
            csrf, cookie = {"X-CSRF-Token": made.json()["csrf"]}, browser.cookies["hazgate_session"]
            password = await command("account", "--data", data, "add", "Li", "--role", "operator", "--generate")
            token = await command("token", "--data", data, "add", "plc")
            async with httpx.AsyncClient(base_url=str(browser.base_url)) as li:
                signed = await li.post(f"{V1}/session", json={"name": "li", "password": password})
                assert signed.json()["must_change"] is True
                await command("account", "--data", data, "disable", "LI")
                async with asyncio.timeout(8):
                    while (await li.get(f"{V1}/alarms")).status_code == 200:
                        await asyncio.sleep(0.1)
                assert (await li.get(f"{V1}/alarms")).status_code == 401
                bearer = {"Authorization": f"Bearer {token}"}
                assert (await li.get(f"{V1}/alarms", headers=bearer)).status_code == 200
            async with asyncio.timeout(10):
                while "account 'Li' disabled; all sessions ended" not in [
                    why for _, why in await whys(browser, "account")
                ]:
                    await asyncio.sleep(0.1)
            noted = await whys(browser, "account")
            assert ("王敏", "first administrator '王敏' made by the one-time code") in noted
            assert any(who.endswith(" at the terminal") and "token 'plc' made" in why for who, why in noted)
        first.kill()
    with Process(*arguments, log=tmp_path / "log") as second:
        async with httpx.AsyncClient(base_url=await second.url(), timeout=20) as browser:
            browser.cookies.set("hazgate_session", cookie)
            told = (await browser.get(f"{V1}/session")).json()
            assert (told["name"], told["csrf"], told["setup"]) == ("王敏", csrf["X-CSRF-Token"], False)
            assert (await browser.post(f"{V1}/silence", json={}, headers=csrf)).status_code == 200
        assert '"code"' not in second.output()
    for secret in (GOOD, password, token, cookie):
        assert secret not in (tmp_path / "log").read_text()
    content = b"".join(path.read_bytes() for path in Path(data).glob("journal.db*"))
    for secret in (GOOD, password, token, cookie):
        assert secret.encode() not in content
