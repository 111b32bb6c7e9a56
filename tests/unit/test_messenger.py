"""Delivery to people by a hand-moved clock: order, limits, failures, restarts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.alarms.book import AlarmBook
from gateway.alarms.desk import Desk
from gateway.alarms.routing import Route
from gateway.alarms.telling import Surroundings, Teller
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import NS_PER_S
from gateway.core.errors import RejectedError, StorageError, UnavailableError
from gateway.core.model import Priority
from gateway.core.notice import Notice, Text
from gateway.messenger import Messenger
from gateway.site.operation import RouteSection
from tests.integration.memory_notifications import MemoryEvents, MemoryLedger, Told

ZONE = ZoneInfo("Asia/Shanghai")


class HandClock:
    """Time that moves only by hand, and wakes who waits for it."""

    def __init__(self) -> None:
        self._s = 1_000.0
        self.step_s = 1_700_000_000.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return round((self._s + self.step_s) * NS_PER_S)

    def monotonic_s(self) -> float:
        return self._s

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._s + max(0.0, seconds), future))
        await future

    async def move(self, seconds: float) -> None:
        """Let time go on, each sleeper waking at its time."""
        end_s = self._s + seconds
        while True:
            await settle()
            due = [(at, future) for at, future in self._sleepers if at <= end_s and not future.done()]
            if not due:
                break
            at, future = min(due, key=lambda one: one[0])
            self._s = max(self._s, at)
            future.set_result(None)
            self._sleepers = [(a, f) for a, f in self._sleepers if not f.done()]
        self._s = end_s
        await settle()


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


class Journal(MemoryEvents):
    """A journal whose followers hear of nothing but events; `broken` makes the disk refuse."""

    broken = False

    async def read(self, after: int, limit: int) -> list[AlarmEvent]:
        if self.broken:
            raise StorageError("the disk is gone")
        return await super().read(after, limit)

    async def follow(self, after: int | None) -> AsyncIterator[AlarmEvent | None]:
        last = self.published if after is None else after
        while True:
            news = self._news
            for event in await self.read(last, 500):
                last = event.seq
                yield event
            await news.wait()


class Stage:
    def __init__(self, channel: Told | None = None) -> None:
        self.clock = HandClock()
        self.book = AlarmBook([])
        self.events = Journal()
        self.ledger = MemoryLedger()
        self.channel = channel or Told()
        self.changes: list[str] = []
        self.messenger: Any = None

    @asynccontextmanager
    async def life(self, *routes: dict[str, Any], **more: Any) -> AsyncIterator[Messenger]:
        made = [Route.of(RouteSection.model_validate({"to": ["duty"], **one})) for one in routes or ({},)]
        around = Surroundings(Text("一号", "One"), "one", ZONE)
        self.messenger = Messenger(
            "duty",
            type_="told",
            notifier=self.channel,
            desk=Desk("duty", made, ZONE, per_minute=self.channel.per_minute),
            teller=Teller("duty", around),
            events=self.events,
            ledger=self.ledger,
            clock=self.clock,
            alarms=self.book.alarms,
            on_change=self.changes.append,
            **more,
        )
        task = asyncio.create_task(self.messenger.run())
        await settle()
        try:
            yield self.messenger
        finally:
            task.cancel()
            await asyncio.wait((task,))
            await self.messenger.close()
            if not task.cancelled() and (error := task.exception()):
                raise error

    def alarm(self, name: str, active: bool = True, priority: Priority = Priority.YELLOW) -> None:
        now_ns = self.clock.now_ns()
        self.events.publish(
            self.book.system(f"system/{name}", active=active, why="x", now_ns=now_ns, priority=priority)
        )


async def test_an_alarm_is_told_once_the_channel_takes_it_and_the_state_is_kept() -> None:
    stage = Stage()
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(1)
        assert len(stage.channel.notices) == 1
        status = messenger.status()
        assert (status.sent, status.waiting, status.up, status.health) == (1, 0, True, "ok")
    assert msgspec.json.decode(stage.ledger.cursors["notifier/duty"])["position"] == 1
    assert stage.channel.closed == 1


async def test_what_waits_for_a_dead_channel_survives_a_restart_in_order() -> None:
    stage = Stage()
    stage.channel.fail = UnavailableError("no route to host")
    async with stage.life():
        for name in "abc":
            stage.alarm(name)
        await stage.clock.move(5)
        stage.alarm("d")
        await stage.clock.move(30)
    assert stage.channel.notices == []
    stage.channel.fail = None
    async with stage.life() as messenger:
        await stage.clock.move(5)
        assert [title.split("system/")[1] for title in stage.channel.titles] == ["a", "b", "c", "d"]
        assert messenger.status().health == "ok"
    async with stage.life():
        await stage.clock.move(60)
    assert len(stage.channel.notices) == 4, "nothing is told again"


async def test_a_channel_that_fails_for_a_minute_raises_an_alarm_that_ends_with_the_first_message() -> None:
    stage = Stage()
    stage.channel.fail = UnavailableError("no route to host")
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(55)
        assert stage.changes == []
        assert (messenger.status().up, messenger.status().health) == (False, "failing")
        await stage.clock.move(10)
        assert stage.changes == ["people cannot be told: no route to host"]
        await stage.clock.move(600)
        assert len(stage.changes) == 1, "told once"
        stage.channel.fail = None
        await stage.clock.move(61)
        assert stage.changes[1:] == [""]


async def test_a_refused_message_is_given_up_and_told_of_at_once() -> None:
    stage = Stage()
    stage.channel.fail = RejectedError({0: "40058: too long"})
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(1)
        assert stage.changes == ["people cannot be told: 40058: too long"]
        stage.channel.fail = None
        stage.alarm("b")
        await stage.clock.move(1)
        assert stage.changes[1:] == [""]
        status = messenger.status()
        assert (status.sent, status.failed, status.waiting) == (1, 1, 0)


class Censor(Told):
    """A channel that refuses a word, as providers of text messages do."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word

    async def send(self, notice: Notice) -> None:
        if any(self.word in line.en for line in notice.lines):
            raise RejectedError({0: "a word that is not allowed"})
        await super().send(notice)


async def test_an_alarm_whose_words_a_channel_refuses_is_told_by_its_title_alone() -> None:
    stage = Stage(Censor("x"))
    async with stage.life() as messenger:
        stage.alarm("a", priority=Priority.RED)
        await stage.clock.move(2)
        (notice,) = stage.channel.notices
        assert "[RED]" in notice.title.en
        assert notice.lines == ()
        assert stage.changes == ["people cannot be told: a word that is not allowed"], "and somebody has to look at it"
        status = messenger.status()
        assert (status.sent, status.failed, status.waiting) == (1, 1, 0)


async def test_a_mistake_of_a_notifier_costs_one_message() -> None:
    stage = Stage()
    stage.channel.fail = ZeroDivisionError("oops")
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(1)
        assert "ZeroDivisionError" in messenger.status().reason
        stage.channel.fail = None
        stage.alarm("b")
        await stage.clock.move(1)
        assert len(stage.channel.notices) == 1


async def test_no_more_is_sent_in_a_minute_than_the_channel_takes() -> None:
    stage = Stage(Told(per_minute=6))
    sent_s: list[float] = []
    original = stage.channel.send

    async def send(notice: Any) -> None:
        sent_s.append(stage.clock.monotonic_s())
        await original(notice)

    stage.channel.send = send  # type: ignore[method-assign]
    async with stage.life():
        for k in range(200):
            stage.alarm(f"n{k}", priority=Priority.RED if k % 3 else Priority.YELLOW)
            await stage.clock.move(1.0)
        await stage.clock.move(300)
        assert stage.messenger.status().waiting == 0
    for begin in sent_s:
        assert sum(begin <= at < begin + 60 for at in sent_s) <= 6
    named = " ".join(str(notice) for notice in stage.channel.notices)
    assert all(f"system/n{k}" in named for k in range(200) if k % 3), "every red one is named"


async def test_a_red_alarm_does_not_wait_for_the_end_of_a_back_off() -> None:
    stage = Stage()
    stage.channel.fail = UnavailableError("down")
    async with stage.life():
        stage.alarm("a")
        await stage.clock.move(200)
        before = len(stage.channel.tried)
        stage.channel.fail = None
        stage.alarm("fire", priority=Priority.RED)
        await stage.clock.move(3)
        assert len(stage.channel.tried) > before
        assert "fire" in stage.channel.titles[0]


async def test_a_wait_that_the_channel_asked_for_is_kept() -> None:
    stage = Stage()
    stage.channel.fail = UnavailableError("45009", 60)
    async with stage.life():
        stage.alarm("a")
        await stage.clock.move(1)
        stage.alarm("fire", priority=Priority.RED)
        await stage.clock.move(50)
        assert len(stage.channel.tried) == 1
        stage.channel.fail = None
        await stage.clock.move(15)
        assert "fire" in stage.channel.titles[0]


async def test_an_escalation_comes_at_its_time() -> None:
    stage = Stage()
    async with stage.life({"after_s": 300}):
        stage.alarm("a")
        await stage.clock.move(299)
        assert stage.channel.notices == []
        await stage.clock.move(2)
        assert "still unacknowledged" in stage.channel.titles[0]


async def test_a_new_notifier_hears_of_what_stands_and_not_of_the_past() -> None:
    stage = Stage()
    for name in "abc":
        stage.alarm(name)
    stage.alarm("b", active=False)
    async with stage.life():
        await stage.clock.move(1)
    assert all("system/" in title for title in stage.channel.titles)
    assert len(stage.channel.notices) == 3, "one that is gone still waits to be acknowledged"


@pytest.mark.parametrize("state", ["nonsense", "{}", '{"position":9999,"at":0,"unnamed":0,"standing":[],"waiting":[]}'])
async def test_a_state_that_cannot_be_used_tells_what_stands(state: str) -> None:
    stage = Stage()
    stage.ledger.cursors["notifier/duty"] = state
    stage.alarm("a")
    async with stage.life():
        await stage.clock.move(1)
        assert len(stage.channel.notices) == 1
        stage.alarm("b")
        await stage.clock.move(1)
        assert len(stage.channel.notices) == 2


async def test_a_journal_that_cannot_be_read_is_asked_again() -> None:
    stage = Stage()
    async with stage.life():
        stage.events.broken = True
        stage.alarm("a")
        await stage.clock.move(1)
        assert stage.channel.notices == []
        stage.events.broken = False
        await stage.clock.move(10)
        assert len(stage.channel.notices) == 1


async def test_a_disk_that_refuses_the_state_stops_no_message() -> None:
    stage = Stage()

    async def refuse(name: str, text: str) -> None:
        raise StorageError(f"{name} {len(text)}: full")

    stage.ledger.set_cursor = refuse  # type: ignore[method-assign]
    async with stage.life():
        stage.alarm("a")
        stage.alarm("b")
        await stage.clock.move(2)
    assert len(stage.channel.notices) == 2


async def test_a_large_state_is_kept_seldom() -> None:
    stage = Stage(Told(per_minute=600))
    async with stage.life({"repeat_s": 60}):
        for k in range(3_000):
            stage.alarm(f"a-long-name-so-that-the-state-is-large/{k}")
        await stage.clock.move(10)
        before = stage.ledger.kept
        for k in range(10):
            stage.alarm(f"fire/{k}", priority=Priority.RED)
            await stage.clock.move(0.3)
        assert stage.ledger.kept - before <= 3
    assert stage.ledger.cursors["notifier/duty"].count("[") > 3_000


async def test_a_trial_message_is_sent_at_once_and_says_what_became_of_it() -> None:
    stage = Stage()
    async with stage.life() as messenger:
        trying = asyncio.create_task(messenger.try_out("li"))
        await stage.clock.move(1)
        tried = await trying
        assert tried.ok
        assert "[TEST]" in stage.channel.titles[0]
        assert stage.channel.notices[0].test
        stage.channel.fail = UnavailableError("310000: sign not match")
        trying = asyncio.create_task(messenger.try_out("li"))
        await stage.clock.move(1)
        assert (await trying).detail == "310000: sign not match"
        assert messenger.status().health == "failing"
        assert stage.changes == [], "whoever asked has been told"


async def test_a_trial_message_that_arrives_lets_what_waits_follow() -> None:
    stage = Stage()
    stage.channel.fail = UnavailableError("down")
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(300)
        stage.channel.fail = None
        trying = asyncio.create_task(messenger.try_out("li"))
        await stage.clock.move(0.5)
        assert (await trying).ok
        await stage.clock.move(0.5)
        assert len(stage.channel.notices) == 2
        assert stage.changes[-1] == ""


async def test_a_trial_keeps_to_the_channels_limit_too() -> None:
    stage = Stage(Told(per_minute=1))
    async with stage.life() as messenger:
        stage.alarm("a")
        await stage.clock.move(1)
        tried = await messenger.try_out("li")
    assert not tried.ok
    assert "1 messages a minute" in tried.detail
