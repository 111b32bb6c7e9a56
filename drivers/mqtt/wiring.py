"""From the site file's instruments to what each topic of theirs leads to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from drivers.mqtt.channels import ChannelDecoder, check_column
from drivers.mqtt.decode import MessageDecoder, Said
from drivers.mqtt.layout_options import CsvOptions
from drivers.mqtt.options import ChannelOptions, InstrumentOptions
from drivers.mqtt.presence import Availability, Heartbeat, Presence, repeat_s
from drivers.mqtt.readings import Readings
from drivers.mqtt.repeats import Repeats
from drivers.mqtt.topics import filled, unshared
from drivers.mqtt.trust import Status
from drivers.mqtt.trust_options import StatusOptions
from drivers.mqtt.vigil import Vigil
from gateway.core.errors import ConfigError
from gateway.core.plugin import InstrumentPlan

Place = tuple[str | int, ...]


class Listener(Protocol):
    """What a topic leads to."""

    channels: tuple[ChannelDecoder, ...]
    accepts_retained: bool

    def decode(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        """Take a message; whatever the payload is, nothing is raised."""
        ...

    def retained(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Take what the broker has kept; return whether it was worth anything."""
        ...

    def refuse(self, reason: str, arrival_ns: int, out: Readings) -> None:
        """Take that a message came that cannot be read."""
        ...

    def overlook(self) -> None:
        """Take that a message was dropped unread."""
        ...

    def deny(self) -> list[int]:
        """Take that the broker refuses the topic; return the rows of which nothing can be had."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A topic filter and what it leads to.

    Attributes:
        filter: As it is to be subscribed.
        listener: Who takes its messages.
        presence: The instrument's, which is to be told when something comes from itself; None where nobody cares.
    """

    filter: str
    listener: Listener
    presence: Presence | None = None


@dataclass(slots=True)
class Wiring:
    """All that one instrument listens to."""

    targets: list[Target] = field(default_factory=list)
    heartbeat: Heartbeat | None = None
    statuses: list[Status] = field(default_factory=list)


class Instrument:
    """Wires one instrument.

    Args:
        plan: The instrument.
        vigil: Who looks at what may fall silent.
        share: Group for the topics that bring readings, or empty.

    Raises:
        ConfigError: Topics that cannot be made, or options that do not fit together.
    """

    def __init__(self, plan: InstrumentPlan, vigil: Vigil, share: str = "") -> None:
        assert isinstance(plan.options, InstrumentOptions)
        self._plan = plan
        self._options = plan.options
        self._vigil = vigil
        self._share = share
        self._base = self._topic(self._options.topic, "topic")
        self._channels = [ChannelDecoder(item, self._options) for item in plan.channels]
        self._every_s = repeat_s([(item.channel.period_s, item.channel.stale_after_s) for item in plan.channels])

    def wire(self) -> Wiring:
        """Return what it listens to."""
        made = Wiring()
        presence = None
        if self._options.availability:
            presence = Presence(self._channels, made.statuses, self._every_s, self._vigil)
        made.targets += self._messages(presence, made.statuses)
        for i, availability in enumerate(self._options.availability):
            topic = self._topic(availability.topic, "availability", i, "topic")
            assert presence is not None
            made.targets.append(Target(unshared(topic), Availability(availability, i, presence)))
        if (heartbeat := self._options.heartbeat) is not None:
            made.heartbeat = Heartbeat(heartbeat, self._channels, self._every_s, self._vigil)
            for channel in self._channels:
                channel.trust.listen(made.heartbeat)
            target = Target(unshared(self._topic(heartbeat.topic, "heartbeat", "topic")), made.heartbeat)
            made.targets.insert(0, target)  # a beat in a message with values vouches for these already
        return made

    def _messages(self, presence: Presence | None, statuses: list[Status]) -> Iterable[Target]:
        channels: dict[str, list[ChannelDecoder]] = {}
        said: dict[str, list[Said]] = {}
        for item, channel in zip(self._plan.channels, self._channels, strict=True):
            assert isinstance(item.options, ChannelOptions)
            channels.setdefault(self._joined(item.options.topic_suffix, item.path), []).append(channel)
        for i, options in enumerate(self._options.status):
            where = (*self._plan.path, "options", "status", i)
            topic = self._topic(options.topic, "status", i, "topic") if options.topic else ""
            told = self._status(options, where)
            statuses.append(told[0])
            said.setdefault(topic or self._joined(options.topic_suffix, where), []).append(told)
        for topic in dict.fromkeys([*channels, *said]):
            # Each topic by itself: a server may tell of several things under one key.
            repeats = Repeats(self._options.repeat_keys, self._options.repeat_window_s)
            decoder = MessageDecoder(
                self._options, channels.get(topic, ()), said.get(topic, ()), repeats if topic in channels else None
            )
            yield Target(self._shared(topic) if topic in channels else unshared(topic), decoder, presence)

    def _status(self, options: StatusOptions, where: Place) -> Said:
        self._check_place(options, where)
        status = Status(options)
        channels = [c for c in self._channels if not options.channels or self._is(c, options.channels)]
        for name in options.channels:
            if not any(self._is(c, (name,)) for c in self._channels):
                known = ", ".join(self._short(c) for c in self._channels)
                raise ConfigError((*where, "channels"), f"{name!r} is no channel of {self._plan.id}; there are {known}")
        for channel in channels:
            channel.trust.listen(status)
        return status, channels

    def _check_place(self, options: StatusOptions, where: Place) -> None:
        if options.field and (self._options.layout is None or options.field not in self._options.layout.names):
            raise ConfigError((*where, "field"), f"{options.field!r} is no field of the layout")
        if options.column is not None:
            if self._options.format != "csv":
                raise ConfigError((*where, "column"), f"a payload of format {self._options.format} has no columns")
            try:
                check_column(options.column, self._options.csv or CsvOptions(), "column")
            except ConfigError as error:
                raise error.under(*where) from error
        placed = options.topic or options.topic_suffix or options.path or options.field or options.column is not None
        if not placed and self._options.format not in {"json", "text"}:
            raise ConfigError(where, "give a path, field or column, or the topic where the payload is the status")

    def _is(self, channel: ChannelDecoder, names: Sequence[str]) -> bool:
        return channel.id in names or self._short(channel) in names

    def _short(self, channel: ChannelDecoder) -> str:
        return channel.id.removeprefix(f"{self._plan.id}.")

    def _topic(self, template: str, *where: str | int) -> str:
        path = (*self._plan.path, "options")
        try:
            return filled(template, self._options.fill)
        except KeyError as error:
            name = str(error.args[0])
            raise ConfigError((*path, "fill", name), f"is missing: the topic {template!r} asks for it") from error
        except ValueError as error:
            raise ConfigError((*path, *where), str(error)) from error

    def _joined(self, suffix: str, path: Place) -> str:
        try:
            return filled(f"{self._base}/{suffix}", self._options.fill) if suffix else self._base
        except KeyError as error:
            raise ConfigError(
                (*self._plan.path, "options", "fill", str(error.args[0])), f"is missing: {suffix!r} asks for it"
            ) from error
        except ValueError as error:
            raise ConfigError((*path, "options", "topic_suffix"), str(error)) from error

    def _shared(self, topic: str) -> str:
        return f"$share/{self._share}/{topic}" if self._share and not topic.startswith("$share/") else topic
