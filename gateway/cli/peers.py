"""The peers of a demonstration, each in a process of its own: a simulated plant and a supervision platform."""

import asyncio
import base64
import json
import os
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from gateway.core.errors import HazgateError
from gateway.site.document import Document, parse
from gateway.site.examples import shipped

START_TIMEOUT_S = 20.0
PAST_TIMEOUT_S = 240.0
"""How long a plant may take that runs through a past first; a small machine needs a minute for eight hours."""
END_TIMEOUT_S = 1.0
FLEET_CHANNELS = 4
PAST_FILE = "past.npz"
SITES = {"shift": "works"}
"""Example sites of scenarios; of all others `demo`."""


class Peer:
    """A child process that says in one line of JSON where it listens.

    Args:
        name: For messages.
        arguments: After `python -m`.
        environment: Added to our own.
        start_s: How long it may take to start.
    """

    def __init__(
        self,
        name: str,
        *arguments: str,
        environment: dict[str, str] | None = None,
        start_s: float = START_TIMEOUT_S,
    ) -> None:
        self.name = name
        self._start_s = start_s
        self.said: Any = None
        self._arguments = arguments
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        # A session of its own: Ctrl-C is ours, and we end our children in order.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            env=self._environment,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(self._start_s):
                line = await self._process.stdout.readline()
            self.said = json.loads(line)
        except (TimeoutError, ValueError) as error:
            await self.__aexit__()
            raise HazgateError(f"the {self.name} did not start") from error
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is not None and self._process.returncode is not None


def new_secret() -> str:
    """Return a fresh webhook secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def platform(secret: str) -> Peer:
    """Return the supervision platform, not started yet."""
    return Peer("supervision platform", "simulators.platform", environment={"HAZGATE_PLATFORM_SECRET": secret})


def plant(scenario: str, folder: Path, past_s: float = 0.0) -> Peer:
    """Return a plant of an example scenario, not started yet; it listens on free ports and on a line in `folder`.

    Args:
        scenario: Its name.
        folder: For its files.
        past_s: So many seconds it runs through first, and writes what was shown into `past.npz`.

    Raises:
        SiteFileError: There is no such scenario, or it cannot be read.
    """
    path = shipped("scenarios", f"{scenario}.yaml")
    data = dict(parse(path).data)
    if isinstance(data.get("plant"), str):
        data = {**parse(path.parent / data.pop("plant")).data, **data}
    data["buses"] = {name: _free(name, bus, folder) for name, bus in data["buses"].items()}
    own = folder / "scenario.yaml"
    own.write_text(json.dumps(data), encoding="utf-8")
    ahead = ("--past", str(folder / PAST_FILE), "--past-s", f"{past_s:g}") if past_s else ()
    truth = ("--truth", str(folder / "truth.jsonl"))
    start_s = PAST_TIMEOUT_S if past_s else START_TIMEOUT_S
    return Peer("simulated plant", "simulators.plant", str(own), *truth, *ahead, start_s=start_s)


def fleet(instruments: int) -> Peer:
    """Return so many more instruments behind Modbus TCP, not started yet."""
    endpoints = max(1, min(8, instruments))
    arguments = ("--instruments", str(instruments), "--channels", str(FLEET_CHANNELS), "--endpoints", str(endpoints))
    return Peer("fleet", "simulators.fleet", *arguments)


def add_fleet(document: Document, endpoints: list[dict[str, Any]]) -> None:
    """Add a fleet's endpoints and instruments to a site."""
    for k, endpoint in enumerate(endpoints):
        name = f"fleet{k}"
        options = {"endpoint": endpoint["address"]}
        document.data["connections"].append({"id": name, "type": "modbus", "options": options})
        for unit in range(1, endpoint["units"] + 1):
            channels = [
                {"id": f"t{n}", "quantity": "temperature", "unit": "°C", "decimals": 1, "options": _float_at(2 * n)}
                for n in range(endpoint["channels"])
            ]
            document.data["instruments"].append(
                {
                    "id": f"{name}-{unit}",
                    "connection": name,
                    "area": "fleet",
                    "options": {"unit": unit},
                    "channels": channels,
                }
            )


def _float_at(address: int) -> dict[str, Any]:
    return {"table": "holding", "address": address, "type": "float32"}


def _free(name: str, bus: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {**bus, "link": str(folder / name)} if bus["type"] == "modbus-rtu" else {**bus, "port": 0}


def demo_site(scenario: str, endpoints: list[dict[str, Any]], platform_url: str, bind: str) -> Document:
    """Return a scenario's site, its connections pointed at the plant's endpoints and its alerts at the platform."""
    document = parse(shipped("sites", f"{SITES.get(scenario, 'demo')}.yaml"))
    data = document.data
    found = {endpoint["bus"]: endpoint for endpoint in endpoints}
    for connection in data["connections"]:
        connection["options"].update(_where(found[connection["id"]]))
    data["uplinks"] = [{"id": "platform", "type": "webhook", "options": {"url": platform_url, "secret": "platform"}}]
    data["secrets"] = {"platform": {"env": "HAZGATE_PLATFORM_SECRET"}}
    data["api"] = {"bind": bind, "local_operator": True, "read": "anyone"}
    return Document(document.path, data, document.text)


def _where(endpoint: dict[str, Any]) -> dict[str, Any]:
    address = str(endpoint["address"])
    if endpoint["type"] == "mqtt":
        host, _, port = address.rpartition("//")[2].rpartition(":")
        return {"host": host, "port": int(port)}
    return {"endpoint": address}
