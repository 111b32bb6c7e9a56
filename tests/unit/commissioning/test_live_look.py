"""One look at every channel: what counts as read, when it ends, and that it disturbs nobody."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.commissioning.live import line_loads, look, missing_ports, twins
from gateway.core.clock import ManualClock
from gateway.core.errors import EndOfRecordingError, NotConnectedError
from gateway.core.model import Batch, Quality
from gateway.site.load import Site, load_site

SITE = """\
site: {id: s}
connections:
  - {id: net, type: modbus, options: {endpoint: "tcp://127.0.0.1:1"}}
instruments:
  - {id: a, connection: net, channels: [{id: x, options: {address: 0}}, {id: y, options: {address: 1}}]}
outputs:
  - {id: sounder, connection: net, options: {unit: 9, address: 0}}
"""
BROKER = """\
site: {id: s}
connections:
  - {id: net, type: mqtt, options: {client_id: gateway-1, clean_session: false, share: group}}
instruments:
  - {id: a, connection: net, options: {topic: t}, channels: [{id: x, options: {path: v}}]}
"""
Step = Batch | Exception | float
"""What `read` gives: readings, an error, or nothing for so many seconds."""


class Made:
    """A driver that gives what it was told, and remembers what it was made with."""

    def __init__(self, steps: Sequence[Step], connect: Sequence[Exception] = ()) -> None:
        self.steps = list(steps)
        self.refusals = list(connect)
        self.closed = 0
        self.options: Any = None
        self.outputs: Any = None

    def create(self, options: Any, _instruments: Any, _clock: Any, outputs: Any = ()) -> "Made":
        self.options, self.outputs = options, outputs
        return self

    async def connect(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)

    async def read(self) -> Batch:
        step = self.steps.pop(0) if self.steps else 3600.0
        if isinstance(step, Exception):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
            return await self.read()
        return step

    async def close(self) -> None:
        self.closed += 1

    def latency_s(self, row: int) -> float | None:
        return 0.02 + row


def site_of(made: Made, tmp_path: Path, text: str = SITE) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    site = load_site(path)
    module = cast("Any", SimpleNamespace(create=made.create, OutputOptions=object))
    return replace(site, connections=tuple(replace(each, module=module) for each in site.connections))


async def shown(made: Made, tmp_path: Path, timeout_s: float = 5.0) -> list[tuple[int | None, str]]:
    looked = await look(site_of(made, tmp_path), ManualClock(), timeout_s)
    assert made.closed >= 1
    return [(each.quality, each.why) for each in looked]


async def test_it_ends_as_soon_as_every_channel_is_good(tmp_path: Path) -> None:
    made = Made([Batch.of([0], 1, [4.5]), Batch.of([1], 2, [5.5])])
    looked = await look(site_of(made, tmp_path), ManualClock(), 5.0)
    assert [(each.value, each.quality, each.latency_s) for each in looked] == [(4.5, 0, 0.02), (5.5, 0, 1.02)]
    assert not any(each.bad or each.why for each in looked)


async def test_a_first_reading_that_is_doubtful_may_be_followed_by_a_good_one(tmp_path: Path) -> None:
    made = Made([Batch.of([0, 1], 1, [1, 1], Quality.UNCERTAIN), Batch.of([0, 1], 2, [1, 1])])
    assert await shown(made, tmp_path) == [(0, ""), (0, "")]


async def test_a_channel_that_stays_bad_is_told_with_the_reason(tmp_path: Path) -> None:
    bad = [Quality.REFUSED, Quality.WARM_UP]
    made = Made([Batch.of([0, 1], t, [0, 0], bad) for t in (1, 2)])
    [refused, warm] = await shown(made, tmp_path)
    assert refused == (Quality.REFUSED, "refuses the register")
    assert "warming up" in warm[1]


class Telling(Made):
    """A driver that knows more of what is bad."""

    def why(self, row: int) -> str:
        return "says ppm" if row == 1 else ""


async def test_a_driver_that_knows_more_of_a_bad_reading_is_heard(tmp_path: Path) -> None:
    made = Telling([Batch.of([0, 1], t, [0, 0], Quality.UNREADABLE) for t in (1, 2)])
    assert await shown(made, tmp_path) == [
        (Quality.UNREADABLE, "no value: see type, scale, unit"),
        (Quality.UNREADABLE, "says ppm"),
    ]


async def test_what_the_instrument_remembers_is_no_reading_of_now(tmp_path: Path) -> None:
    made = Made([Batch.of([0, 1], 1, [9, 9], Quality.BACKFILLED)])
    assert await shown(made, tmp_path, 0.1) == [(None, "nothing came within 0.1 s")] * 2


async def test_an_endpoint_that_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    refusal = [NotConnectedError("tcp://127.0.0.1:1", "in use")] * 2
    assert await shown(Made([], refusal), tmp_path) == [(Quality.COMMS_LOST, "in use")] * 2


async def test_an_endpoint_that_refuses_once_is_tried_again(tmp_path: Path) -> None:
    made = Made([Batch.of([0, 1], 1, [1, 2])], [NotConnectedError("tcp://127.0.0.1:1", "busy")])
    assert await shown(made, tmp_path) == [(0, ""), (0, "")]


async def test_a_recording_that_ends_is_no_mistake(tmp_path: Path) -> None:
    made = Made([Batch.of([0], 1, [1]), EndOfRecordingError()])
    assert await shown(made, tmp_path) == [(0, ""), (None, "the recording ended")]


async def test_a_mistake_in_a_driver_is_not_taken_for_silence(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="oops"):
        await shown(Made([RuntimeError("oops")]), tmp_path)


async def test_a_look_has_no_outputs(tmp_path: Path) -> None:
    made = Made([Batch.of([0, 1], 1, [1, 2])])
    await shown(made, tmp_path)
    assert made.outputs == ()


async def test_a_look_takes_neither_the_gateways_name_at_a_broker_nor_its_messages(tmp_path: Path) -> None:
    made = Made([Batch.of([0], 1, [1])])
    await look(site_of(made, tmp_path, BROKER), ManualClock(), 1.0)
    assert (made.options.client_id, made.options.clean_session, made.options.share) == ("", True, "")


def test_a_driver_that_knows_no_load_has_none(tmp_path: Path) -> None:
    assert line_loads(site_of(Made([]), tmp_path)) == []


def test_ports_that_are_not_there_are_told_whatever_driver_they_are_for(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        """
site: {id: s}
connections:
  - {id: line, type: modbus, options: {endpoint: "rtu:///dev/no-such-line"}}
  - {id: module, type: uart, options: {port: /dev/no-such-module}}
  - {id: there, type: uart, options: {port: /dev/null}}
  - {id: net, type: modbus, options: {endpoint: "tcp://127.0.0.1:1"}}
instruments:
  - {id: a, connection: line, profile: xy-md02}
  - {id: b, connection: module, profile: winsen-9byte}
  - {id: c, connection: there, profile: winsen-9byte}
  - {id: d, connection: net, profile: xy-md02}
""",
        encoding="utf-8",
    )
    assert missing_ports(load_site(site)) == [("line", "/dev/no-such-line"), ("module", "/dev/no-such-module")]


def test_instruments_that_read_the_same_registers_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "site: {id: s}\nconnections: [{id: net, type: modbus, options: {endpoint: 'tcp://127.0.0.1:1'}}]\ninstruments:\n"
        + "".join(
            f"  - {{id: {name}, connection: net, profile: xy-md02, options: {{unit: {unit}}}}}\n"
            for name, unit in (("a", 1), ("b", 2), ("c", 1))
        )
        + "  - {id: d, connection: net, options: {unit: 1}, channels: [{id: x, options: {address: 99}}]}\n",
        encoding="utf-8",
    )
    assert twins(load_site(path)) == [("a", "c", "unit 1 of net")]
