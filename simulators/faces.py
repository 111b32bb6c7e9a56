"""What an instrument shows to its bus: registers filled, or messages made, from the world's columns."""

import numpy as np

from simulators.encoding import encoded, raw_number, register_count
from simulators.functions import Table
from simulators.registers import Registers
from simulators.scenario import IDENTITY, ChannelSpec, InstrumentSpec, State
from simulators.words import GRAVEST, Words, words_of
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
        self.channels = world.channels_of(self.number)
        self._rows = np.array([channel.row for channel in self.channels], np.intp)

    @property
    def faulty(self) -> bool:
        """Whether it says of itself that it has a fault."""
        return bool(self.world.heads.fault[self.number])

    def states(self) -> list[State]:
        """Return what the instrument says of itself; empty when all is well. The gravest comes first."""
        heads, number = self.world.heads, self.number
        so = {
            "fault": heads.fault[number],
            "inhibit": heads.inhibited[number],
            "calibration": heads.calibrating[number] >= 0.0 and not heads.untold[number],
            "warm_up": heads.warms_up(number),
            "over_range": heads.over_range[self._rows].any(),
        }
        return [state for state in GRAVEST if so[state]]

    def said_instead(self, spec: ChannelSpec) -> float | None:
        """Return the raw number that takes a channel's place while it has no value; None where it shows its value."""
        heads = self.world.heads
        if spec.apart:
            return None
        if heads.fault[self.number]:
            # A dead head whose maker gave it no number for that shows nothing at all: 0, which looks safe.
            return 0.0 if spec.fault_raw is None else spec.fault_raw
        return spec.warm_up_raw if heads.warms_up(self.number) else None

    def shown(self, channel: SimChannel) -> float:
        """Return what a channel shows: its value, or 0 or 1 where it is a contact."""
        value = float(self.world.heads.shown[channel.row] * self.world.heads.times[self.number])
        return value if channel.spec.above is None else float(value >= channel.spec.above)


class RegisterFace(Face):
    """An instrument on Modbus: its values, words, relays and identity in the registers of its unit."""

    def __init__(self, name: str, spec: InstrumentSpec, world: World, registers: Registers) -> None:
        super().__init__(name, spec, world)
        self._registers = registers
        for channel in self.channels:
            assert channel.spec.address is not None
            first = channel.spec.address
            registers.define(channel.spec.table, range(first, first + register_count(channel.spec.type)))
        for table, spans in spec.spare.items():
            for first, last in spans:
                registers.define(table, range(first, last + 1))
        self._words = Words(words_of(spec), registers)
        self._relays: dict[tuple[Table, int], str] = {
            (relay.table, relay.address): key for key, relay in spec.relays.items()
        }
        for table, address in self._relays:
            registers.define(table, (address,), writable=True)
        if self._relays:
            registers.written = self._written
        registers.registers_max = min(registers.registers_max, spec.registers_max)
        if spec.identity:
            registers.identity = {IDENTITY.index(key): text.encode() for key, text in spec.identity.items()}
        registers.files |= {file: b"".join(_word(raw) for raw in held) for file, held in spec.files.items()}
        registers.queues |= {pointer: list(held) for pointer, held in spec.queues.items()}

    def show(self) -> None:
        """Put the present values into the registers."""
        heads, number = self.world.heads, self.number
        # The words first: contacts may be bits of theirs.
        self._words.show(self.states(), heads.beats_s(number), self.world.unit_words.get(self.name))
        for channel in self.channels:
            self._show(channel, channel.spec)
        if self._relays:
            self._registers.relays = "ignore" if self.name in self.world.relays_stuck else "obey"

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

    def _written(self, table: Table, address: int, count: int) -> None:
        """Have the truth file tell which relay the bus has switched, and what it holds now."""
        for at in range(address, address + count):
            relay = self._relays.get((table, at))
            if relay is not None:
                held = int.from_bytes(self._registers.held(table, at) or b"", "big")
                self.world.note("relay_written", f"{self.name}.{relay}", holds=held)


def _word(raw: int) -> bytes:
    return raw.to_bytes(2, "big")
