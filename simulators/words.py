"""The words that an instrument keeps beside its values: status, flags, unit, heartbeat, as they stand in registers."""

from collections import defaultdict
from collections.abc import Sequence

from simulators.encoding import Order, RegisterType, encoded, register_count
from simulators.functions import Table
from simulators.registers import Registers
from simulators.scenario import InstrumentSpec, State, WordSpec

GRAVEST: tuple[State, ...] = ("fault", "inhibit", "calibration", "warm_up", "over_range")
"""In which order one word for several states at once tells them."""
Place = tuple[Table, int, RegisterType, Order]


def words_of(spec: InstrumentSpec) -> tuple[WordSpec, ...]:
    """Return all words of an instrument on Modbus: its status word and heartbeat, and those of its profile."""
    found = list(spec.words)
    if spec.status is not None and spec.status.address is not None:
        found.append(WordSpec(table=spec.status.table, address=spec.status.address, flags=spec.status.bits))
    if spec.heartbeat is not None and spec.heartbeat.address is not None:
        beat = spec.heartbeat
        assert beat.address is not None
        found.append(WordSpec(table=beat.table, address=beat.address, beat_s=beat.every_s))
    return tuple(found)


class Words:
    """One instrument's words in its registers.

    Args:
        specs: Their fields.
        registers: Where they stand; the addresses are made.
    """

    def __init__(self, specs: Sequence[WordSpec], registers: Registers) -> None:
        self._registers = registers
        self._fields: dict[Place, list[WordSpec]] = defaultdict(list)
        for spec in specs:
            self._fields[spec.table, spec.address, spec.type, spec.order].append(spec)
            registers.define(spec.table, range(spec.address, spec.address + register_count(spec.type)))

    def show(self, states: Sequence[State], beats_s: float, unit_word: int | None) -> None:
        """Put them into the registers.

        Args:
            states: What the instrument says of itself, the gravest first; empty when all is well.
            beats_s: Seconds that its heartbeat has counted.
            unit_word: What its word for the unit says where somebody has changed it.
        """
        for (table, address, kind, order), fields in self._fields.items():
            number = 0
            for field in fields:
                number |= held(field, states, beats_s, unit_word)
            if kind == "bit":
                self._registers.set_bit(table, address, 0, on=bool(number))
            else:
                self._registers.write(table, address, encoded(float(number), kind, order))


def held(field: WordSpec, states: Sequence[State], beats_s: float, unit_word: int | None) -> int:
    """Return the bits of one field, where they stand in the word.

    >>> held(WordSpec(address=0, shift=8, width=4, normal=1, values={"fault": 3}), ["fault"], 0.0, None)
    768
    """
    number = field.fixed
    if field.tells_unit and unit_word is not None:
        number = unit_word
    if field.values or field.normal:
        number += next((field.values[state] for state in states if state in field.values), field.normal)
    for state in states:
        if state in field.flags:
            number |= 1 << field.flags[state]
    if field.beat_s is not None:
        number += int(beats_s / field.beat_s + 1e-6)
    # A count runs over where its field, or its word, ends.
    width = min(field.width, 16 * register_count(field.type) - field.shift)
    return (number & (1 << width) - 1) << field.shift
