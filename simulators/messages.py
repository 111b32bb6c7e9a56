"""What an instrument on MQTT publishes, when, how often, and what its broker or server says in its name."""

import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulators import lorawan, smart_home
from simulators.behaviour import SILENT
from simulators.encoding import raw_number
from simulators.faces import Face
from simulators.mqtt import Publisher
from simulators.payloads import Value, chirpstack_uplink, columns, json_object, plain
from simulators.scenario import CHIRPSTACK, InstrumentSpec, State
from simulators.world import World

_BEHIND_S = 1e-9
REMEMBERED_MAX = 200
"""Readings that a LoRaWAN head keeps while nobody hears it; beyond it the oldest are lost."""
_MISSED = 3.0
"""Reports after which whoever relays an instrument says that it is gone."""


class Message(NamedTuple):
    """One message; `retained` where the broker is to keep it."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What an instrument has to say at a moment.

    Attributes:
        values: By path; None where a channel has no value.
        contacts: Which of them are contacts.
        states: What it says of itself, the gravest first.
        time_ns: When.
        up_s: How long it has been on.
    """

    values: Mapping[str, Value]
    contacts: frozenset[str]
    states: Sequence[State]
    time_ns: int
    up_s: float


class MessageFace(Face):
    """An instrument on MQTT.

    Args:
        name: The instrument's id.
        spec: Its part of the scenario.
        world: Where its values are.
        rng: Source of chance.
    """

    def __init__(self, name: str, spec: InstrumentSpec, world: World, rng: np.random.Generator) -> None:
        super().__init__(name, spec, world)
        self._rng = rng
        self._topic = str(spec.place_on_bus)
        # Spread over the period, as instruments that were switched on at different times are.
        self._due_s = spec.every_s * ((self.number * 0.618) % 1.0)
        self._counter = 0
        self._waiting: list[Report] = []
        self._remembered: deque[Report] = deque(maxlen=REMEMBERED_MAX)
        self._silent_since_s: float | None = None
        self._said_online: bool | None = None
        self._make: Callable[[Report], list[Message]] = {
            "plain": self._plain,
            "json": self._json,
            "columns": self._columns,
        }.get(spec.payload, self._uplinks if spec.payload in CHIRPSTACK else self._at_home)

    def publish(self, publisher: Publisher, now_ns: int) -> None:
        """Hand over the messages that are due; `now_ns` goes into them as their time."""
        self._say_whether_online(publisher)
        if self.world.t_s + _BEHIND_S < self._due_s:
            return
        self._due_s += self.spec.every_s * (1 + (self.world.t_s - self._due_s) // self.spec.every_s)
        behaviour, report = self.world.behaviours[self.name], self.report(now_ns)
        if behaviour.silent:
            self._remembered.append(report)
            return
        for message in self._make(report):
            delay_s = behaviour.delay_s(self._rng)
            if delay_s == SILENT or behaviour.garbles(self._rng):
                continue
            for copy in self._copies(message):
                publisher.put_later(delay_s, copy.topic, copy.payload, retained=copy.retained)

    def report(self, now_ns: int) -> Report:
        """Return what it has to say now."""
        contacts = frozenset(self._path(channel.id) for channel in self.channels if channel.spec.above is not None)
        return Report(self._values(), contacts, self.states(), now_ns, self.world.heads.beats_s(self.number))

    def _copies(self, message: Message) -> list[Message]:
        """Return a message as often as it is published: a network may hear it twice."""
        if self._rng.random() >= self.world.behaviours[self.name].repeated:
            return [message]
        if self.spec.payload in CHIRPSTACK and self._rng.random() < 0.5:
            # A second network server heard the same frame: another identifier, the same frame counter.
            return [message, message._replace(payload=lorawan.heard_again(message.payload, self._fresh()))]
        return [message, message]

    def _say_whether_online(self, publisher: Publisher) -> None:
        """Publish what is retained about the instrument being there: by itself, its last will, or whoever relays it."""
        said = smart_home.ONLINE.get(self.spec.payload)
        if said is None or publisher.down:
            return
        if not self.world.behaviours[self.name].silent:
            self._silent_since_s = None
        elif self._silent_since_s is None:
            self._silent_since_s = self.world.t_s
        gone = self._silent_since_s is not None and self.world.t_s - self._silent_since_s >= _MISSED * self.spec.every_s
        if self._said_online is None and said.relay:
            publisher.put(said.relay, said.online, retained=True)
        if gone is self._said_online or self._said_online is None:
            self._said_online = not gone
            publisher.put(self._place(said.topic), said.offline if gone else said.online, retained=True)

    def _place(self, pattern: str) -> str:
        return pattern.format(topic=self._topic)

    def _json(self, report: Report) -> list[Message]:
        return [Message(self._topic, json_object(self._with_words(report), report.time_ns))]

    def _plain(self, report: Report) -> list[Message]:
        return [Message(f"{self._topic}/{path}", plain(value)) for path, value in self._with_words(report).items()]

    def _columns(self, report: Report) -> list[Message]:
        self._waiting.append(report)
        if len(self._waiting) < self.spec.rows:
            return []
        rows, self._waiting = self._waiting, []
        return [Message(self._topic, columns([self._with_words(row) for row in rows], [row.time_ns for row in rows]))]

    def _at_home(self, report: Report) -> list[Message]:
        made = smart_home.MESSAGES[self.spec.payload](report.values, report.contacts, report.states, report.time_ns)
        return [Message(self._place(topic), payload) for topic, payload in made]

    def _uplinks(self, report: Report) -> list[Message]:
        if self.spec.payload == "chirpstack":
            return [self._uplink(report, self._with_words(report))]
        remembered = [(old.values, old.time_ns) for old in self._remembered]
        self._remembered.clear()
        now = lorawan.FRAMES[self.spec.payload](report.values, report.states)
        frames = [*lorawan.history(self.spec.payload, remembered), now]
        return [self._uplink(report, None, frame) for frame in frames]

    def _uplink(self, report: Report, decoded: Mapping[str, Value] | None, frame: bytes = b"") -> Message:
        self._counter += 1
        payload = chirpstack_uplink(
            decoded,
            name=self.name,
            dev_eui=self.spec.dev_eui.lower(),
            counter=self._counter,
            time_ns=report.time_ns,
            deduplication=self._fresh(),
            frame=frame,
        )
        return Message(self._topic, payload)

    def _fresh(self) -> str:
        return str(uuid.UUID(bytes=self._rng.bytes(16), version=4))

    def _path(self, channel: str) -> str:
        spec = self.spec.channels[channel.rpartition(".")[2]]
        return spec.path or channel.rpartition(".")[2]

    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for channel in self.channels:
            key = self._path(channel.id)
            if self.faulty:
                values[key] = channel.spec.fault_raw
            elif (instead := self.said_instead(channel.spec)) is not None:
                values[key] = instead
            elif channel.spec.above is not None:
                values[key] = bool(self.shown(channel))
            else:
                raw = raw_number(self.shown(channel), channel.spec.scale, channel.spec.offset)
                values[key] = float(f"{raw:.9g}")
        return values

    def _with_words(self, report: Report) -> dict[str, Value]:
        values = dict(report.values)
        if self.spec.status is not None:
            values[self.spec.status.path] = next(iter(report.states), "normal")
        if self.spec.heartbeat is not None:
            values[self.spec.heartbeat.path] = int(report.up_s / self.spec.heartbeat.every_s)
        return values
