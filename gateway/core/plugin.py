"""What a plugin is: one module with `Options` and `create`, satisfying one of three protocols.

A detector's module also says, where it is not the usual: `BINDING`, how rules are made of the channels of a section of
the site file (one rule a channel where left out); `JUDGED`, what its verdicts' values are; `LEVELS`, the levels it can
report beside NORMAL (LOW and HIGH where left out); `HAZARD = True`, that what it reports is gas or fire whatever its
channels measure.

A driver's module also has `InstrumentOptions` and `ChannelOptions`, the options that each instrument and each channel
on its bus take, and `OutputOptions` where it can switch something. `create` checks everything it can without touching
a network or a file system it does not own, and raises `ConfigError` with a path that starts at the options it got.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gateway.core.model import Batch, Channel, Float64, Int8, Verdicts


class PluginOptions(BaseModel):
    """Root of every plugin's options: frozen, no unknown keys, every field described."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """A channel as its driver sees it: its row and quantity, and where on the bus it lives.

    Attributes:
        channel: The channel; `channel.period_s` is how often it is to be read, which may differ from the instrument's.
        options: The driver's `ChannelOptions`, validated.
        path: Where it stands in the site file, for `ConfigError`.
        alarmed: A rule other than fault supervision judges it: it is read first, and keeps its period where a line is
            too slow for everything.
    """

    channel: Channel
    options: BaseModel
    path: tuple[str | int, ...] = ()
    alarmed: bool = True


@dataclass(frozen=True, slots=True)
class InstrumentPlan:
    """An instrument as its driver sees it.

    Attributes:
        id: The instrument's id.
        period_s: Seconds between polls.
        options: The driver's `InstrumentOptions`, validated.
        channels: Its channels, in the order of the site file.
        path: Where it stands in the site file, for `ConfigError`.
    """

    id: str
    period_s: float
    options: BaseModel
    channels: tuple[ChannelPlan, ...]
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """A relay or coil as its driver sees it: the only things that are ever written.

    Attributes:
        id: The output's id.
        options: The driver's `OutputOptions`, validated.
        path: Where it stands in the site file, for `ConfigError`.
    """

    id: str
    options: BaseModel
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """What stores and uplinks may know of the site.

    Attributes:
        id: The site's id, as it goes into tags and messages.
        gateway: This gateway's id.
        epoch: The journal's epoch: a copied or restored data folder has a new one.
        channels: The channel table; `channels[row].row == row`.
        timezone: IANA name of the site's zone.
        name: For people.
        secrets: Secrets by name, read from files or the environment, never from the site file itself.
    """

    id: str
    gateway: str
    epoch: str
    channels: Sequence[Channel]
    timezone: str = "UTC"
    name: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)


class Driver(Protocol):
    """Reads the instruments of one connection: a TCP endpoint, a serial line, a broker, a recording.

    Who calls: the supervisor, one task a connection: `connect`, then `read` again and again; after
    `NotConnectedError` from either it waits and starts again with `connect`; `close` at the end. No retry of
    connections in the driver, and no other exception leaves it. One instrument of several that does not answer is no
    lost connection: the driver makes its readings BAD, leaves it alone for a while that grows, and goes on with the
    others.
    """

    async def connect(self) -> None:
        """Open the connection; may be called again after a failure. Raises NotConnectedError. Prompt to cancel."""
        ...

    async def read(self) -> Batch:
        """Wait for the next readings and return them, never an empty batch.

        A polled driver waits until its next poll is due by the clock it was given and stamps the reply's arrival; a
        pushed driver waits until something arrives. Only its own channels' rows appear. Raises NotConnectedError,
        and EndOfRecordingError where a recording ends. Prompt to cancel.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; may be called twice, and without `connect`."""
        ...


@runtime_checkable
class Acknowledging(Protocol):
    """A driver whose peer waits for an acknowledgement (MQTT QoS 1) also has this."""

    def returned(self) -> int:
        """Return how many messages `read` has returned the readings of so far; cheap, called before a flush."""
        ...

    async def stored(self, returned: int) -> None:
        """Say that the readings of the first `returned` messages are on disk, so that they can be acknowledged."""
        ...


@runtime_checkable
class Switching(Protocol):
    """A driver with outputs. Its module has `OutputOptions`, and its `create` takes `outputs: Sequence[OutputPlan]`."""

    async def switch(self, output: str, *, on: bool) -> None:
        """Switch an output and read it back; returns when the instrument shows it as asked.

        May be called while another task is in `read`, and again at any time for the same state. Raises OutputError.
        """
        ...


@runtime_checkable
class Timed(Protocol):
    """A driver that knows how long its instruments take to answer."""

    def latency_s(self, row: int) -> float | None:
        """Return seconds from request to reply of a channel's last reading; None before the first."""
        ...


@runtime_checkable
class Explaining(Protocol):
    """A driver that can say more of a bad reading than its quality does."""

    def why(self, row: int) -> str:
        """Return why a channel's last reading is bad, in few words for people; empty where nothing more is known."""
        ...


class Binding(StrEnum):
    """How rules are made of the channels that a section of the site file names."""

    EACH = "each"
    """One rule a channel."""
    GROUP = "group"
    """One rule for all channels of an area (or an instrument, or the whole section): `Rule.channels` has them all, at
    most 1,000."""
    PEERS = "peers"
    """One rule a channel, with others of the same quantity, unit and area behind it in `Rule.channels`: the 32 that
    stand nearest to it in the site file, none where there are none."""


class Detector(Protocol):
    """Judges: all rules of its type at once. No clock, no I/O, no `await`, nothing random.

    The pipeline makes one detector for each set of rules of a type in which no channel occurs twice (with
    `Binding.PEERS`, no first channel occurs twice), and never hands it a batch in which a channel occurs twice;
    readings of a channel come in order of arrival, and their times may step back (a clock was set): a delay that was
    running then starts again at the earlier time.

    Attributes:
        level: int8[len(rules)], the level last reported for each rule, in the order of `create`'s list. The pipeline
            may set it when it restores alarms whose readings were lost in a power cut.
    """

    level: Int8

    def update(self, batch: Batch) -> Verdicts:
        """Judge a batch and return the changed levels. The batch is not modified. Rows without a rule are ignored."""
        ...

    def save(self) -> dict[str, NDArray[np.generic]]:
        """Return everything that `update` depends on, as named arrays of which each has the rules as its first axis.

        Row `k` tells all of rule `k` and of no other one: when the site file changes, each rule that stays takes its
        rows along to whatever detector judges it then. The shape of a row depends on nothing but the options and,
        with `Binding.GROUP`, the number of channels: rules of groups of one size share a detector.
        """
        ...

    def restore(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Take over what `save` returned, for the same rules in the same order."""
        ...


@runtime_checkable
class Learning(Protocol):
    """A detector that learns what is normal also has these. It warns; it never reports LOW or HIGH by what it learned.

    The pipeline judges its rules after all others of the same batch.

    Attributes:
        score: float64[len(rules)], how unusual each rule's last reading was: 0 not at all, 0.999 what one in a
            thousand readings of its own past reaches; NaN before it has learned.
        ready: bool[len(rules)], whether it has learned enough to judge.
    """

    score: Float64
    ready: NDArray[np.bool_]

    def hold(self, held: NDArray[np.bool_]) -> None:
        """Learn nothing from channels in alarm or fault, from the next batch on, until told otherwise.

        Args:
            held: bool[channels], by row.
        """
        ...

    def relearn(self, rules: NDArray[np.intp]) -> None:
        """Forget what was learned of these rules, by their place in `create`'s list: an instrument was changed."""
        ...


ItemsT_contra = TypeVar("ItemsT_contra", contravariant=True)


class Sink(Protocol[ItemsT_contra]):
    """Takes what leaves the gateway: a store takes a `Batch`, an uplink a list of `AlarmEvent`.

    Idempotent: the same items written twice have the effect of once (by time and tags in a store, by the event's key
    on a platform).
    """

    async def write(self, items: ItemsT_contra) -> None:
        """Deliver and return when the peer has acknowledged all of it.

        Raises:
            UnavailableError: None, or nobody knows how many, were taken: keep and write again.
            RejectedError: Those named are refused for ever, all others were taken.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; may be called twice."""
        ...
