"""What an instrument shows to its bus: registers filled, or messages made, from the world's columns."""

import uuid
from collections.abc import Iterable

import numpy as np

from simulators.behaviour import SILENT
from simulators.encoding import encoded, raw_number, register_count
from simulators.mqtt import Publisher
from simulators.payloads import Value, chirpstack_uplink, columns, json_object, plain
from simulators.registers import Registers
from simulators.scenario import ChannelSpec, InstrumentSpec
from simulators.world import SimChannel, World

_BEHIND_S = 1e-9


class Face:
    """What both kinds of face read from the world.

    Args:
        name: The instrument's id.
        spec: Its part of the scenario.
        world: Where its values are.
    """

    def __init__(self, name: str, spec: InstrumentSpec, world: World) -> None:
        self.name, self.spec, self.world = name, spec, world
        self.number = world.instruments.index(name)
        self.channels = [channel for channel in world.channels if channel.instrument == self.number]

    @property
    def faulty(self) -> bool:
        """Whether it says of itself that it has a fault."""
        return bool(self.world.heads.fault[self.number])

    def states(self) -> list[str]:
        """Return what the instrument says of itself; empty when all is well. The gravest comes first."""
        heads, said = self.world.heads, []
        if heads.fault[self.number]:
            said.append("fault")
        if heads.inhibited[self.number]:
            said.append("inhibit")
        if heads.warming_up[self.number]:
            said.append("warm_up")
        if any(heads.over_range[channel.row] for channel in self.channels):
            said.append("over_range")
        return said

    def said_instead(self, spec: ChannelSpec) -> float | None:
        """Return the raw number that takes a channel's place while it has no value; None where it shows its value."""
        heads = self.world.heads
        if heads.fault[self.number]:
            # A dead head whose maker gave it no number for that shows nothing at all: 0, which looks safe.
            return 0.0 if spec.fault_raw is None else spec.fault_raw
        return spec.warm_up_raw if heads.warming_up[self.number] else None

    def shown(self, channel: SimChannel) -> float:
        """Return what a channel shows: its value, or 0 or 1 where it is a contact."""
        value = float(self.world.heads.shown[channel.row])
        return value if channel.spec.above is None else float(value >= channel.spec.above)


class RegisterFace(Face):
    """An instrument on Modbus."""

    def __init__(self, name: str, spec: InstrumentSpec, world: World, registers: Registers) -> None:
        super().__init__(name, spec, world)
        self._registers = registers
        for channel in self.channels:
            assert channel.spec.address is not None
            first = channel.spec.address
            registers.define(channel.spec.table, range(first, first + register_count(channel.spec.type)))
        for word in (spec.status, spec.heartbeat):
            if word is not None:
                assert word.address is not None
                registers.define(word.table, (word.address,))

    def show(self) -> None:
        """Put the present values into the registers."""
        for channel in self.channels:
            self._show(channel, channel.spec)
        status, beat = self.spec.status, self.spec.heartbeat
        if status is not None and status.address is not None:
            said = self.states()
            word = sum(1 << bit for state, bit in status.bits.items() if state in said)
            self._registers.write(status.table, status.address, word.to_bytes(2, "big"))
        if beat is not None and beat.address is not None:
            count = int(self.world.heads.heartbeat[self.number]) & 0xFFFF
            self._registers.write(beat.table, beat.address, count.to_bytes(2, "big"))

    def _show(self, channel: SimChannel, spec: ChannelSpec) -> None:
        assert spec.address is not None
        if spec.type == "bit":
            on = self.shown(channel) > 0.0 and not self.faulty
            self._registers.set_bit(spec.table, spec.address, spec.bit, on=on)
            return
        raw = self.said_instead(spec)
        if raw is None:
            raw = raw_number(self.shown(channel), spec.scale, spec.offset)
        self._registers.write(spec.table, spec.address, encoded(raw, spec.type, spec.order))


class MessageFace(Face):
    """An instrument on MQTT."""

    def __init__(self, name: str, spec: InstrumentSpec, world: World, rng: np.random.Generator) -> None:
        super().__init__(name, spec, world)
        self._rng = rng
        # Spread over the period, as instruments that were switched on at different times are.
        self._due_s = spec.every_s * ((self.number * 0.618) % 1.0)
        self._counter = 0
        self._rows: list[dict[str, Value]] = []
        self._times_ns: list[int] = []

    def publish(self, publisher: Publisher, now_ns: int) -> None:
        """Hand over the messages that are due; `now_ns` goes into them as their time."""
        if self.world.t_s + _BEHIND_S < self._due_s:
            return
        self._due_s += self.spec.every_s * (1 + (self.world.t_s - self._due_s) // self.spec.every_s)
        for topic, payload in self._messages(now_ns):
            delay_s = self.world.behaviours[self.name].delay_s(self._rng)
            garbled = self.world.behaviours[self.name].garbles(self._rng)
            if delay_s == SILENT or garbled:
                continue
            if delay_s > 0.0:
                publisher.put_later(delay_s, topic, payload)
            else:
                publisher.put(topic, payload)

    def _messages(self, now_ns: int) -> Iterable[tuple[str, bytes]]:
        values, topic = self._values(), str(self.spec.place_on_bus)
        match self.spec.payload:
            case "plain":
                return [(f"{topic}/{path}", plain(value)) for path, value in values.items()]
            case "json":
                return [(topic, json_object(values, now_ns))]
            case "chirpstack":
                self._counter += 1
                fresh = uuid.UUID(bytes=self._rng.bytes(16), version=4)
                uplink = chirpstack_uplink(
                    values,
                    name=self.name,
                    dev_eui=self.spec.dev_eui.lower(),
                    counter=self._counter,
                    time_ns=now_ns,
                    deduplication=str(fresh),
                )
                return [(topic, uplink)]
            case "columns":
                return self._column_message(values, now_ns)

    def _column_message(self, values: dict[str, Value], now_ns: int) -> list[tuple[str, bytes]]:
        self._rows.append(values)
        self._times_ns.append(now_ns)
        if len(self._rows) < self.spec.rows:
            return []
        payload = columns(self._rows, self._times_ns)
        self._rows, self._times_ns = [], []
        return [(str(self.spec.place_on_bus), payload)]

    def _values(self) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for channel in self.channels:
            key = channel.spec.path or channel.id.rpartition(".")[2]
            if self.faulty:
                values[key] = channel.spec.fault_raw
            elif (instead := self.said_instead(channel.spec)) is not None:
                values[key] = instead
            elif channel.spec.above is not None:
                values[key] = bool(self.shown(channel))
            else:
                raw = raw_number(self.shown(channel), channel.spec.scale, channel.spec.offset)
                values[key] = float(f"{raw:.9g}")
        if self.spec.status is not None:
            values[self.spec.status.path] = next(iter(self.states()), "normal")
        if self.spec.heartbeat is not None:
            values[self.spec.heartbeat.path] = int(self.world.heads.heartbeat[self.number])
        return values
