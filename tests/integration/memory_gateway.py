"""A small gateway that the API can be tried with: real alarm book, real clock, a journal that is a list."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from msgspec.structs import replace as replace_fields

from gateway.alarms.book import AlarmBook
from gateway.api.access import token_digest
from gateway.api.face import Latest, Reloaded, Running, Trend
from gateway.calibration import CalibrationDuty
from gateway.core.alarm import Alarm, AlarmEvent, Command
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import StorageError
from gateway.core.model import Channel, Level, Quality, Reason, Rule, Verdicts
from gateway.core.plugin import PluginOptions
from gateway.core.status import InstrumentStatus, OutputStatus, RuleStatus, UplinkStatus
from gateway.orders import Orders
from gateway.places import Places
from gateway.records import Records
from gateway.site.document import Document
from gateway.site.drawings import Drawings
from gateway.site.plans import Site
from gateway.site.schema import SiteFile, SiteSection
from tests.integration.memory_cases import cases_and_figures
from tests.integration.memory_notifications import notifications_of
from tests.integration.memory_people import MemoryPeople
from tests.integration.memory_records import records_of

KINDS = (("ch4", "%LEL", 1, 10.0), ("temperature", "°C", 1, 60.0), ("co", "ppm", 0, 24.0))
AREAS = (("Tank farm", "储罐区"), ("Boiler room", "锅炉房"), ("Loading bay", "装卸站台"), ("Workshop", "车间"))


def channel(row: int) -> Channel:
    quantity, unit, decimals, _ = KINDS[row % len(KINDS)]
    area = AREAS[row // 3 % len(AREAS)][0]
    return Channel(
        row=row,
        id=f"gd-{row:02d}.{quantity}",
        instrument=f"gd-{row:02d}",
        quantity=quantity,
        unit=unit,
        decimals=decimals,
        range_low=0.0,
        range_high=100.0,
        area=area,
        label=f"{quantity.upper()} {area} {row}",
        label_zh=f"{quantity.upper()} {AREAS[row // 3 % len(AREAS)][1]} {row}",
    )


def rule(place: Channel) -> Rule:
    return Rule(
        index=place.row,
        id=f"high:{place.id}",
        type="threshold",
        channels=(place,),
        options=PluginOptions(),
        latching=place.quantity == "ch4",
        area=place.area,
        response="Leave the area against the wind and call the control room.",
    )


class MemoryTokens:
    """Tokens by digest; `broken` makes the disk refuse."""

    def __init__(self) -> None:
        self.by_digest: dict[str, tuple[str, str]] = {}
        self.lookups = 0
        self.broken = False

    def add(self, token: str, name: str, role: str) -> str:
        self.by_digest[token_digest(token)] = (name, role)
        return token

    def tokens(self) -> Sequence[object]:
        return list(self.by_digest.values())

    def find_token(self, digest: str) -> tuple[str, str] | None:
        self.lookups += 1
        if self.broken:
            raise StorageError("the journal cannot be read")
        return self.by_digest.get(digest)


class MemoryGateway:
    """Satisfies `gateway.api.face.Gateway`."""

    def __init__(self, channels: int = 6, clock: Clock | None = None, *, responds: bool = False) -> None:
        self.clock: Clock = clock or SystemClock()
        self.tokens = MemoryTokens()
        self.people = MemoryPeople(self.clock, lambda event: self.publish([self.book.number(event)]))
        self.site_id = "plant-1"
        self.site_name = "Plant 1"
        self.site_file = SiteFile(site=SiteSection(id="plant-1", name="Plant 1"))
        self.calibrations = CalibrationDuty(
            Site(self.site_file, (), (), (), (), (), {}, Document(Path("site.yaml"), {}, "")),
            self.clock, tell=lambda _: None, record=self.record,
        )  # fmt: skip
        self.epoch = "e1"
        self.table = 1
        self.reloaded = Reloaded(applied=True, what="rule gas changed")
        self.reloaded_by: list[str] = []
        self.channels: Sequence[Channel] = tuple(channel(row) for row in range(channels))
        self.book = AlarmBook([rule(each) for each in self.channels])
        self.journal: list[AlarmEvent] = []
        self.orders = Orders(lambda: self.book, self.clock, self.publish, self._on_disk)
        self.notifications = notifications_of(self.site_file, self.journal, self.book, self.clock)
        self.cases, self.figures = cases_and_figures(self, responds=responds)
        self.value = np.full(channels, 1.0)
        self.quality = np.zeros(channels, np.uint8)
        self.time_ns = np.full(channels, self.clock.now_ns())
        self.places = Places(None, Drawings)
        self.delay_s = 0.0
        self.silent = False
        self.running: list[Running] = []
        self._news = asyncio.Event()

    # What a test does to it

    def publish(self, events: Sequence[AlarmEvent]) -> list[AlarmEvent]:
        self.journal.extend(self.figures.follow(self.cases.follow(events)))
        self._news.set()
        self._news = asyncio.Event()
        return list(events)

    def read(self, row: int, value: float, quality: Quality = Quality.GOOD) -> None:
        bad = quality >= Quality.BAD
        self.value[row], self.quality[row] = np.nan if bad else value, quality
        self.time_ns[row] = self.clock.now_ns()

    def judge(self, row: int, level: Level, value: float = 30.0, reason: Reason | None = None) -> list[AlarmEvent]:
        """Let a rule change its mind."""
        self.read(row, value)
        verdicts = Verdicts(
            np.array([row], np.int32),
            np.array([level], np.int8),
            np.array([1.0], np.float32),
            np.array([self.clock.now_ns()], np.int64),
            np.array([value]),
            np.array([KINDS[row % len(KINDS)][3]]),
            np.zeros(1, np.uint8),
            () if reason is None else (reason,),
        )
        return self.publish(self.book.judge(verdicts))

    def system(self, alarm: str, why: str) -> list[AlarmEvent]:
        return self.publish(self.book.system(alarm, bool(why), why or "well again", self.clock.now_ns()))

    def change(self, channels: Sequence[Channel]) -> None:
        """Take another channel table, as after a reload; nothing has been read yet."""
        self.channels = tuple(replace(each, row=row) for row, each in enumerate(channels))
        before, self.book = self.book, AlarmBook([rule(each) for each in self.channels])
        self.book.succeed(before)
        self.value = np.full(len(channels), np.nan)
        self.quality = np.full(len(channels), Quality.BAD, np.uint8)
        self.time_ns = np.zeros(len(channels), np.int64)
        self.table += 1

    # What the API sees

    @cached_property
    def records(self) -> Records:
        return records_of(self)

    @property
    def rules(self) -> Sequence[Rule]:
        return [rule(each) for each in self.channels]

    def latest(self) -> Latest:
        return Latest(self.time_ns.copy(), self.value.copy(), self.quality.copy())

    def alarms(self) -> list[Alarm]:
        return self.book.alarms()

    def audible(self) -> bool:
        return self.book.audible()

    def instruments(self) -> list[InstrumentStatus]:
        return [
            InstrumentStatus(
                id=each.instrument,
                connection="bus-1",
                type="modbus-tcp",
                online=bool(self.quality[each.row] != Quality.COMMS_LOST),
                last_ns=int(self.time_ns[each.row]),
                readings=7,
                bad=2,
            )
            for each in self.channels
        ]

    def uplinks(self) -> list[UplinkStatus]:
        at_ns = self.clock.now_ns()
        return [
            UplinkStatus(
                id="park",
                type="webhook",
                kind="uplink",
                up=False,
                delivered=3,
                dead=1,
                waiting=2,
                oldest_ns=at_ns - 5_000_000_000,
                last_ns=0,
                reason="refused",
            )
        ]

    def outputs(self) -> list[OutputStatus]:
        return [OutputStatus(id="horn", connection="line1", label="Horn", wanted=True, shown=None, alarms=2, last_ns=0)]

    def rules_of(self, channel: Channel) -> list[RuleStatus]:
        limit = RuleStatus(
            id=f"high:{channel.id}",
            type="threshold",
            level="normal",
            in_service=True,
            learns=False,
            ready=True,
            score=None,
        )
        habit = replace_fields(limit, id="habit", type="novelty", level="warning", learns=True, score=0.5)
        return [limit, habit]

    def connections(self) -> list[Running]:
        return self.running

    def statistics(self) -> Mapping[str, float]:
        return {"readings_total": 42, "uptime_s": 3.5, "events_not_on_disk": 0}

    @staticmethod
    async def _on_disk(_: int) -> None:
        """Everything is on this disk at once."""

    async def command(self, command: Command) -> list[AlarmEvent]:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return self.publish(self.book.command(command, self.clock.now_ns()))

    async def record(self, event: AlarmEvent) -> AlarmEvent:
        return self.publish([self.book.number(event)])[0]

    async def reload(self, who: str = "") -> Reloaded:
        self.reloaded_by.append(who)
        return self.reloaded

    async def events(
        self, after: int, limit: int, *, alarm: str = "", kind: str = "", newest_first: bool = False
    ) -> list[AlarmEvent]:
        chosen = [e for e in self.journal if (not alarm or e.alarm == alarm) and (not kind or e.kind == kind)]
        if newest_first:
            return [e for e in reversed(chosen) if not after or e.seq < after][:limit]
        return [e for e in chosen if e.seq > after][:limit]

    async def history(self, channel: str, start_ns: int, end_ns: int, resolution_s: int) -> Trend:
        step_ns = (resolution_s or 600) * 1_000_000_000
        if channel not in {each.id for each in self.channels}:
            start_ns = end_ns
        times = np.arange(start_ns, end_ns, step_ns, np.int64)
        values = np.linspace(0.0, 9.0, len(times))
        quality = np.zeros(len(times), np.uint8)
        if len(times):
            values[0], quality[0] = np.nan, Quality.COMMS_LOST
        return Trend(times, values, values, values, quality, resolution_s)

    async def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        last = after if after is not None else (self.journal[-1].seq if self.journal else 0)
        while True:
            news = self._news
            for event in [e for e in self.journal if e.seq > last]:
                last = event.seq
                yield event
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await news.wait()
            while self.silent:
                await asyncio.sleep(0.05)
            if news is self._news:
                yield None
