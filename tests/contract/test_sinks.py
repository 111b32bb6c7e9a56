"""What every store and uplink owes the outbox, for each plugin found in the folders, with a peer that is not there."""

import asyncio
import base64
import socket
import time
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.core.clock import SystemClock
from gateway.core.errors import UnavailableError
from gateway.core.model import Batch, Channel
from gateway.core.plugin import SiteInfo
from gateway.registry import Kind, load, names

# Ours alone: other tests put plugins of their own beside them.
SINKS = [
    (kind, name)
    for kind in (Kind.STORE, Kind.UPLINK)
    for name in names(kind)
    if load(kind, name).__name__.startswith(kind.value)
]
CHANNEL = Channel(row=0, id="gd-01.co", instrument="gd-01", quantity="co", unit="ppm")
EVENT = AlarmEvent(
    seq=1, time_ns=1_700_000_000_000_000_000, kind=EventKind.RAISED, alarm="co:gd-01.co", state=AlarmState.UNACKED,
    level="high", condition="high", priority=1, occurrence=1, raised_ns=1_700_000_000_000_000_000,
    channel="gd-01.co", instrument="gd-01", quantity="co", unit="ppm", value=61.5, limit=50.0,
)  # fmt: skip


class AnySecret(dict[str, str]):
    """Knows every secret."""

    def __missing__(self, key: str) -> str:
        return "whsec_" + base64.b64encode(bytes(32)).decode()

    def get(self, key: str, default: Any = None) -> str:
        return self[key]


SITE = SiteInfo("park-1", "gw-1", "e1", [CHANNEL], secrets=AnySecret())


def options_at(module: ModuleType, port: int) -> BaseModel:
    """A plugin's options made from its own examples, with its peer at a port of this machine."""
    model: type[BaseModel] = module.Options
    values: dict[str, Any] = {
        name: field.examples[0] for name, field in model.model_fields.items() if field.is_required() and field.examples
    }
    places: Mapping[str, Any] = {"url": f"http://127.0.0.1:{port}", "host": "127.0.0.1", "port": port, "timeout_s": 5.0}
    found = {name: value for name, value in places.items() if name in model.model_fields}
    if "url" not in found and "host" not in found:
        pytest.skip(f"{module.__name__} names its peer in a way of its own; its own tests take it away")
    return model.model_validate({**values, **found})


def sink_at(kind: Kind, name: str, port: int) -> tuple[Any, Any]:
    module = load(kind, name)
    sink = module.create(options_at(module, port), SITE, SystemClock())
    return sink, Batch.of([0], EVENT.time_ns, [1.0]) if kind is Kind.STORE else [EVENT]


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(("kind", "name"), SINKS)
async def test_a_peer_that_is_not_there_is_unavailable(kind: Kind, name: str, closed_port: int) -> None:
    sink, items = sink_at(kind, name, closed_port)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
            await asyncio.wait_for(sink.write(items), 15)
    await sink.close()


@pytest.mark.parametrize(("kind", "name"), SINKS)
async def test_closing_twice_and_without_a_write_is_harmless(kind: Kind, name: str, closed_port: int) -> None:
    sink, _ = sink_at(kind, name, closed_port)
    await sink.close()
    await sink.close()


@pytest.mark.parametrize(("kind", "name"), SINKS)
async def test_a_write_to_a_peer_that_says_nothing_is_prompt_to_cancel(kind: Kind, name: str, silent_port: int) -> None:
    sink, items = sink_at(kind, name, silent_port)
    task = asyncio.create_task(sink.write(items))
    await asyncio.sleep(0.3)
    assert not task.done(), "nothing was acknowledged"
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await sink.close()
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(("kind", "name"), SINKS)
def test_every_option_is_described_and_has_an_example(kind: Kind, name: str) -> None:
    for option, field in load(kind, name).Options.model_fields.items():
        assert field.description, f"{name}.{option}"
        assert field.description.endswith("."), f"{name}.{option}"
        assert field.examples, f"{name}.{option}"
