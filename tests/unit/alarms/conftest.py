"""A small notation for the life of alarms: one line a moment, each with the events it must make, exactly."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from gateway.alarms.book import AlarmBook
from gateway.core.alarm import AlarmEvent, Command, EventKind, Suppression, Verb
from gateway.core.errors import CommandRefusedError
from gateway.core.model import Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
LIMITS = {Level.LOW: 10.0, Level.HIGH: 50.0}
VALUES = {Level.NORMAL: 3.0, Level.LOW: 17.2, Level.HIGH: 61.5}
VERBS = {
    "ack": Verb.ACKNOWLEDGE,
    "reset": Verb.RESET,
    "shelve": Verb.SHELVE,
    "unshelve": Verb.UNSHELVE,
    "out": Verb.OUT_OF_SERVICE,
    "back": Verb.RETURN_TO_SERVICE,
}


def site() -> list[Rule]:
    """Two gas heads and a thermometer by the tank, smoke in the hall."""
    return [
        rule(0, "gas", "ch4", "%LEL", area="tank", latching=True),
        rule(1, "gas2", "ch4", "%LEL", area="tank", latching=True),
        rule(2, "temp", "temperature", "°C", area="tank"),
        rule(3, "smoke", "smoke", area="hall", latching=True),
    ]


def rule(index: int, name: str, quantity: str, unit: str = "", *, area: str = "", latching: bool = False) -> Rule:
    channel = Channel(row=index, id=f"{name}-01.{quantity}", instrument=f"{name}-01", quantity=quantity, unit=unit)
    return Rule(
        index=index,
        id=name,
        type="threshold",
        channels=(channel,),
        options=PluginOptions(),
        latching=latching,
        area=area,
        response="leave the building",
    )


def book_of(next_seq: int = 1) -> AlarmBook:
    """A book of the site, with a suppression by the site's logic for each alarm."""
    logic = [Suppression(id=f"logic-{each.id}", alarms=(each.id,), row=9) for each in site()]
    return AlarmBook(site(), next_seq, suppressions=logic)


def verdicts(*lines: tuple[int, Level, int, float, float, int]) -> Verdicts:
    """Columns of (rule, level, time_ns, value, limit, quality)."""
    index, level, time_ns, value, limit, quality = zip(*lines, strict=True)
    return Verdicts(
        rule=np.array(index, np.int32),
        level=np.array(level, np.int8),
        score=np.full(len(lines), np.nan, np.float32),
        time_ns=np.array(time_ns, np.int64),
        value=np.array(value, np.float64),
        limit=np.array(limit, np.float64),
        quality=np.array(quality, np.uint8),
    )


def said(index: int, level: Level, time_ns: int, *, test: bool = False) -> tuple[int, Level, int, float, float, int]:
    """One verdict with the value, limit and quality that go with its level."""
    quality = Quality.COMMS_LOST if level is Level.FAULT else Quality.TEST if test else Quality.GOOD
    return index, level, time_ns, VALUES.get(level, np.nan), LIMITS.get(level, np.nan), quality


def shown(event: AlarmEvent) -> str:
    """An event as the stories write it: kind, state, level held / condition, and what is out of the ordinary."""
    if not event.alarm:
        return f"site {event.kind}"
    extra = {
        "sound": event.annunciate,
        "first": event.first,
        "test": event.test,
        f"#{event.occurrence}": event.occurrence > 1,
    }
    head = f"{event.alarm} {event.kind} {event.state} {event.level}/{event.condition}"
    return " ".join([head, *(word for word, there in extra.items() if there)])


@dataclass
class Story:
    """A book, and everything it has said so far."""

    book: AlarmBook = field(default_factory=book_of)
    said: list[AlarmEvent] = field(default_factory=list)

    def act(self, now_ns: int, words: list[str]) -> list[AlarmEvent]:
        """Do what one line says."""
        verb, *rest = words
        indexes = {each.id: each.index for each in site()}
        if verb in indexes:
            name = rest[0].removeprefix("test-")
            line = said(indexes[verb], Level[name.upper()], now_ns, test=rest[0] != name)
            return self.book.judge(verdicts(line))
        if verb in VERBS:
            duration_s = float(rest[1]) if len(rest) > 1 else 3600.0 * (verb == "out")
            return self.order(now_ns, VERBS[verb], rest[0], duration_s)
        if verb == "silence":
            return self.order(now_ns, Verb.SILENCE)
        if verb == "recheck":
            return self.book.recheck([indexes[rest[0]]], now_ns)
        if verb in {"suppress", "unsuppress"}:
            by = f"logic-{rest[0]}"
            return self.book.suppress(rest[0], verb == "suppress", "the plant is shut down", now_ns, by=by)
        if verb == "sys":
            priority = Priority(int(rest[1])) if len(rest) > 1 else Priority.YELLOW
            return self.book.system("system/disk", rest[0] == "on", "the disk is full", now_ns, priority=priority)
        assert verb == "wait"
        return self.book.advance(now_ns)

    def order(self, now_ns: int, verb: Verb, alarm: str = "", duration_s: float = 0.0) -> list[AlarmEvent]:
        return self.book.command(
            Command(verb=verb, alarm=alarm, who="wang", why="as agreed", duration_s=duration_s), now_ns
        )

    def restart(self) -> None:
        """Put a book in its place that knows the last events only, as after a power cut."""
        last = {event.alarm or event.kind: event for event in self.said}
        last.pop(EventKind.NOTE, None)
        told = book_of(self.book.next_seq)
        told.restore(last.values())
        assert msgspec.json.encode(told.alarms()) == msgspec.json.encode(self.book.alarms())
        assert told.condition.tolist() == self.book.condition.tolist()
        assert (told.rechecks, told.audible(), told.next_seq) == (
            self.book.rechecks,
            self.book.audible(),
            self.book.next_seq,
        )
        self.book = told


def lines_of(text: str) -> Iterator[tuple[int, list[str], str]]:
    for line in re.sub(r"\s*\n\s*;", ";", text.strip()).splitlines():
        moment, action, want = re.split(r"\s{2,}", line.strip(), maxsplit=2)
        yield START_NS + int(float(moment) * SECOND), action.split(), want


@pytest.fixture(params=[False, True], ids=["running", "restarted after every line"])
def tell(request: pytest.FixtureRequest) -> Callable[[str], Story]:
    """Tell a story and compare every event; `-` is no event, `refused: words` a refusal.

    A line that ends in `| loud` or `| mute` also says whether the site sounds after it.
    """

    def told(text: str) -> Story:
        story = Story()
        for now_ns, action, want in lines_of(text):
            where = f"after {' '.join(action)!r}"
            if want.startswith("refused: "):
                with pytest.raises(CommandRefusedError, match=re.escape(want.removeprefix("refused: "))):
                    story.act(now_ns, action)
                continue
            events = story.act(now_ns, action)
            wanted, _, sound = want.partition(" | ")
            assert ("; ".join(shown(event) for event in events) or "-") == wanted, where
            assert not sound or story.book.audible() is (sound == "loud"), where
            story.said += events
            if request.param:
                story.restart()
        assert [event.seq for event in story.said] == list(range(1, len(story.said) + 1))
        return story

    return told


@pytest.fixture
def story() -> Story:
    """A book of the small site with nothing in it yet."""
    return Story()
