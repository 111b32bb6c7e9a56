"""The demonstration as people run it: one command, and nothing is left when it ends."""

import asyncio
import os
import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from simulators.broker import mosquitto_path
from tests.e2e.gateway_process import Process

pytestmark = pytest.mark.timeout(120)


def family(process: Process) -> list[psutil.Process]:
    whole = psutil.Process(process.pid)
    return [whole, *whole.children(recursive=True)]


async def all_gone(members: list[psutil.Process]) -> bool:
    for _ in range(50):
        if not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members):
            return True
        await asyncio.sleep(0.02)
    return False


def without_mosquitto() -> tuple[str, ...]:
    """Return what to put before a command so that it finds no Mosquitto: one hidden by a mount, where there is one."""
    found = mosquitto_path()
    if found is None:
        return ()
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("hiding the installed Mosquitto needs root and unshare")
    return ("unshare", "-m", "sh", "-c", f'mount --bind /dev/null {found} && exec "$@"', "sh")


async def test_a_leak_is_raised_escalates_and_is_delivered_without_any_broker_installed(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Process(
        "demo", "--for", "25", "--plain", "--port", "0",
        log=tmp_path / "log", environment={"TMPDIR": str(temporary)}, prefix=without_mosquitto(),
    ) as demo:  # fmt: skip
        await demo.said("gas:gd-", 40)
        members = family(demo)
        assert len(members) >= 3, "plant and platform are processes of their own"
        assert not [member for member in members if "mosquitto" in member.name()]
        assert await demo.ended(45) == 0, demo.output()[-3000:]
        gas = [line for line in demo.output().splitlines() if "gas:gd-" in line]
        assert any(re.search(r"raised\s+low", line, re.IGNORECASE) for line in gas), gas
        assert any(re.search(r"escalated\s+high", line, re.IGNORECASE) for line in gas), gas
        assert await all_gone(members)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_impatient_person_leaves_no_process_and_no_file_behind(tmp_path: Path, number: int) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Process(
        "demo", "--plain", "--port", "0", log=tmp_path / "log", environment={"TMPDIR": str(temporary)}
    ) as demo:
        await demo.said("gas:gd-", 40)
        members = family(demo)
        os.kill(demo.pid, number)
        await demo.ended(4.0)
        assert await all_gone(members), [member.cmdline() for member in members if member.is_running()]
    assert "Traceback" not in demo.output()
    assert list(temporary.iterdir()) == []
