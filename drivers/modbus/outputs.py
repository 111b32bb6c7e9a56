"""Relays and coils: the only things that are ever written, and how they are read back. Pure."""

from collections.abc import Sequence

from drivers.modbus.decode import wire_order
from drivers.modbus.frames import FUNCTIONS, Request
from drivers.modbus.options import OutputOptions, WordOptions
from drivers.modbus.places import BIT_TABLES, FLOATS, WIDTH_BITS
from gateway.core.errors import ConfigError
from gateway.core.plugin import OutputPlan

COIL_FUNCTIONS = (5, 15)
REGISTER_FUNCTIONS = (6, 16)
BIT_FUNCTION = 22


class ModbusOutput:
    """One output: what switches it, what reads it back, and what the reply shows.

    Args:
        output: Its id.
        options: Its options, in which nothing contradicts anything.

    Attributes:
        id: Its id.
        unit: Unit address.
        places: What it writes: table, address and bit, the bit None for all of a coil or register.
    """

    def __init__(self, output: str, options: OutputOptions) -> None:
        self.id = output
        self.unit = options.unit
        self.places = (options.table, options.address, options.bit)
        self._requests = {on: _write(options, on=on) for on in (True, False)}
        self._back = _own_place(options) if options.read_back is None else options.read_back
        self._length, self._mask, self._shift = _shape(self._back)
        self._index = [int(i) for i in wire_order(self._back.order or "ABCD", self._length)]
        self._look = Request(self.unit, FUNCTIONS[self._back.table], self._back.address, self._length)
        self._states = _states(options)

    def write(self, *, on: bool) -> Request:
        """Return the request that switches it."""
        return self._requests[on]

    def look(self) -> Request:
        """Return the request that reads it back."""
        return self._look

    def shows(self, data: bytes) -> bool | None:
        """Return whether a reply shows it on, or None where it shows neither state."""
        if self._back.table in BIT_TABLES:
            return bool(data[0] & 1)
        raw = int.from_bytes(bytes(data[i] for i in self._index), "big") >> self._shift & self._mask
        if self._states is None:
            return bool(raw)
        on, off = self._states
        return True if raw == on else False if raw == off else None


def outputs_of(plans: Sequence[OutputPlan]) -> list[ModbusOutput]:
    """Return the outputs of a connection.

    Raises:
        ConfigError: Options that contradict one another, or two outputs in one place; the path is the output's.
    """
    found: list[ModbusOutput] = []
    for plan in plans:
        options = plan.options
        assert isinstance(options, OutputOptions)
        try:
            _check(options)
        except ConfigError as error:
            raise error.under(*plan.path, "options") from None
        output = ModbusOutput(plan.id, options)
        for other in found:
            if other.unit == output.unit and _overlap(other, output):
                raise ConfigError((*plan.path, "options", "address"), f"{other.id} writes there too")
        found.append(output)
    return found


def _overlap(one: ModbusOutput, other: ModbusOutput) -> bool:
    same_word = one.places[:2] == other.places[:2]
    return same_word and (one.places[2] == other.places[2] or None in (one.places[2], other.places[2]))


def _check(options: OutputOptions) -> None:
    allowed: tuple[int, ...] = COIL_FUNCTIONS if options.table == "coil" else REGISTER_FUNCTIONS
    if options.bit is not None:
        if options.table == "coil":
            raise ConfigError(("bit",), "a coil has no bits; leave it out")
        allowed = (BIT_FUNCTION,)
    if options.function is not None and options.function not in allowed:
        raise ConfigError(
            ("function",), f"{options.function} does not write this place; {' or '.join(map(str, allowed))} is allowed"
        )
    whole = options.table == "holding" and options.bit is None
    given = {"on", "off"} & options.model_fields_set
    if given and not whole and options.read_back is None:
        raise ConfigError((min(given),), "only a whole register has values for on and off")
    if options.on == options.off:
        raise ConfigError(("on",), f"{options.on} is what the register holds while it is off")
    if options.read_back is not None:
        _check_word(options.read_back)


def _check_word(word: WordOptions) -> None:
    bit_table = word.table in BIT_TABLES
    kind = word.type or ("bit" if bit_table else "uint16")
    if word.table not in FUNCTIONS:
        raise ConfigError(("read_back", "table"), f"{word.table} shows no output")
    if (kind == "bit") != bit_table or kind in FLOATS:
        raise ConfigError(("read_back", "type"), f"{kind} in table {word.table} shows no output")
    if word.bit is not None and word.bits is not None:
        raise ConfigError(("read_back", "bits"), "bit and bits exclude one another")
    shift, width = word.bits or (word.bit or 0, 1)
    if shift + width > WIDTH_BITS[kind] or (bit_table and (word.bit is not None or word.bits is not None)):
        raise ConfigError(
            ("read_back",), f"bits {shift} to {shift + width - 1} of {kind}, which has {WIDTH_BITS[kind]}"
        )
    if word.address + max(1, WIDTH_BITS[kind] // 16) > 65536:
        raise ConfigError(("read_back", "address"), f"{kind} at {word.address} ends beyond 65535")


def _write(options: OutputOptions, *, on: bool) -> Request:
    value = options.on if on else options.off
    if options.table == "coil":
        if options.function == 15:
            return Request.write_coils(options.unit, options.address, [on])
        return Request.write_coil(options.unit, options.address, on=on)
    if options.bit is not None:
        mask = 1 << options.bit
        return Request.mask_register(options.unit, options.address, keep=0xFFFF ^ mask, put=mask if on else 0)
    if options.function == 16:
        return Request.write_registers(options.unit, options.address, [value])
    return Request.write_register(options.unit, options.address, value)


def _own_place(options: OutputOptions) -> WordOptions:
    return WordOptions(table=options.table, address=options.address, bit=options.bit)


def _shape(word: WordOptions) -> tuple[int, int, int]:
    """Return registers or bits read, the mask of the value and how far it is shifted."""
    if word.table in BIT_TABLES:
        return 1, 1, 0
    kind = word.type or "uint16"
    shift, width = word.bits or ((word.bit, 1) if word.bit is not None else (0, WIDTH_BITS[kind]))
    return WIDTH_BITS[kind] // 16, (1 << width) - 1, shift


def _states(options: OutputOptions) -> tuple[int, int] | None:
    """Return the raw values of on and off, or None where anything but 0 is on."""
    if options.read_back is None:
        return (options.on, options.off) if options.table == "holding" and options.bit is None else None
    return (options.on, options.off) if "on" in options.model_fields_set else None
