"""Questions of a person: what is refused is found, what an instrument calls itself, which profile it carries."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from drivers.modbus.frames import BIT_FUNCTIONS, Refused, Request
from drivers.modbus.link import Answer, Fault, Miss
from drivers.modbus.survey.bus import QUESTIONS_MAX, ModbusBus
from drivers.modbus.survey.identify import SURE_BITS, bits, identify
from gateway.commissioning.wing import fingerprints
from gateway.core.clock import ManualClock
from gateway.core.commissioning import Fingerprint, Found, LineSettings, Mark, NoAnswerError


@dataclass
class Instrument:
    """Answers as an instrument does: by function and address; what it has not, it refuses."""

    words: Mapping[tuple[int, int], int] = field(default_factory=dict)
    objects: Mapping[int, bytes] = field(default_factory=dict)
    silent_from: int = 65536
    busy: int = 0
    asked: list[Request] = field(default_factory=list)

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
        assert timeout_s is None
        self.asked.append(request)
        if self.busy:
            self.busy -= 1
            return Refused(6)
        if request.function == 43:
            return self._identity(request.address)
        if request.address >= self.silent_from:
            return Miss(Fault.SILENT, "no reply")
        here = [(request.function, a) for a in range(request.address, request.address + request.count)]
        if not all(place in self.words for place in here):
            return Refused(2)
        found = [self.words[place] for place in here]
        if request.function in BIT_FUNCTIONS:
            return sum(bit << i for i, bit in enumerate(found)).to_bytes((len(found) + 7) // 8, "little")
        return b"".join(word.to_bytes(2, "big") for word in found)

    def _identity(self, first: int) -> Answer:
        """One object a reply, so that following is tried."""
        if first not in self.objects:
            return Refused(1)
        text = self.objects[first]
        later = [number for number in self.objects if number > first]
        more = bytes((0xFF, later[0])) if later else bytes((0, 0))
        return bytes((0x82,)) + more + bytes((1, first, len(text))) + text


def bus(instrument: Instrument) -> ModbusBus:
    return ModbusBus(instrument, "tcp://bench", ManualClock())


async def test_a_register_that_is_refused_hides_none_of_its_neighbours() -> None:
    instrument = Instrument({(3, a): a * 10 for a in range(40) if a not in (7, 22)})
    words = await bus(instrument).read(1, "holding", 0, 40)
    assert words.values == tuple(None if a in (7, 22) else a * 10 for a in range(40))
    assert dict(words.refused) == {7: 2, 22: 2}


async def test_a_long_look_is_cut_into_requests_that_small_instruments_take() -> None:
    instrument = Instrument({(4, a): a for a in range(200)})
    words = await bus(instrument).read(1, "input", 0, 200)
    assert words.values == tuple(range(200))
    assert max(request.count for request in instrument.asked) <= 64


async def test_bits_are_read_in_their_order() -> None:
    pattern = [1, 0, 0, 1, 1, 0, 1, 0, 1, 1]
    words = await bus(Instrument({(1, a): bit for a, bit in enumerate(pattern)})).read(1, "coil", 0, 10)
    assert words.values == tuple(pattern)


async def test_an_instrument_that_refuses_everything_is_not_asked_for_ever() -> None:
    instrument = Instrument({(3, a): 0 for a in range(0, 512, 2)})
    words = await bus(instrument).read(1, "holding", 0, 512)
    assert len(instrument.asked) <= QUESTIONS_MAX
    assert len(words.values) == 512
    assert all(a in words.refused for a, word in enumerate(words.values) if word is None)


async def test_a_silent_instrument_is_said_to_be_silent() -> None:
    with pytest.raises(NoAnswerError, match="unit 5: no reply"):
        await bus(Instrument(silent_from=0)).read(5, "holding", 0, 4)


async def test_what_was_refused_once_is_not_asked_for_again() -> None:
    instrument = Instrument({(3, a): a for a in range(40) if a not in (7, 22)})
    way = bus(instrument)
    first = await way.read(1, "holding", 0, 40)
    asked = len(instrument.asked)
    assert (await way.read(1, "holding", 0, 40)).values == first.values
    assert len(instrument.asked) - asked == 3


async def test_a_table_that_the_instrument_has_not_costs_one_question() -> None:
    class NoInput(Instrument):
        async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
            await super().ask(request, timeout_s)
            return Refused(1)

    instrument = NoInput()
    words = await bus(instrument).read(1, "input", 0, 200)
    assert set(words.refused.values()) == {1}
    assert len(instrument.asked) == 1


async def test_a_gateway_that_cannot_reach_the_unit_is_told() -> None:
    class Gateway(Instrument):
        async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
            await super().ask(request, timeout_s)
            return Refused(0x0B)

    with pytest.raises(NoAnswerError, match="0x0b"):
        await bus(Gateway()).read(1, "holding", 0, 9)


async def test_a_busy_instrument_is_asked_again() -> None:
    words = await bus(Instrument({(3, 0): 7}, busy=2)).read(1, "holding", 0, 1)
    assert words.values == (7,)


async def test_an_identification_is_followed_to_its_end_and_made_printable() -> None:
    instrument = Instrument(objects={0: b"Honeywell\0", 1: b"XCD", 5: b"S\x07 \xff"})
    assert await bus(instrument).identify(1) == {"vendor": "Honeywell", "product": "XCD", "model": "S? \ufffd"}


async def test_an_instrument_that_refuses_the_regular_objects_is_asked_for_the_basic_ones() -> None:
    class Basic(Instrument):
        async def ask(self, request: Request, timeout_s: float | None = None) -> Answer:
            answer = await super().ask(request, timeout_s)
            return answer if request.rtu[3] == 1 else Refused(3)

    assert await bus(Basic(objects={0: b"Acme", 1: b"G"})).identify(1) == {"vendor": "Acme", "product": "G"}


async def test_an_instrument_that_knows_no_identification_has_none() -> None:
    assert await bus(Instrument()).identify(1) == {}


async def test_nothing_but_reading_functions_goes_out() -> None:
    instrument = Instrument({(3, 0): 1}, objects={0: b"x"})
    way = bus(instrument)
    await way.identify(1)
    await way.read(1, "holding", 0, 2)
    assert {request.function for request in instrument.asked} <= {1, 2, 3, 4, 43}
    with pytest.raises(AssertionError):
        await way.ask(Request.write_register(1, 0, 1))


MARKED = Fingerprint("marked", marks=(Mark("holding", 6, 1, ((700, 701),)), Mark("input", 10)))
WEAK = Fingerprint("weak", marks=(Mark("holding", 6, 1, ((0, 1000),)),))
NAMED = Fingerprint("named", identification={"vendor": "^Honey"})


async def identified(instrument: Instrument, *known: Fingerprint, line: LineSettings | None = None) -> Found:
    return await identify(bus(instrument), Found("rtu:///a", 1, line), known)


async def test_a_telling_fingerprint_is_sure_and_stands_before_a_weak_one() -> None:
    found = await identified(Instrument({(3, 6): 700, (4, 10): 5}), WEAK, MARKED)
    assert (found.profiles, found.sure) == (("marked", "weak"), True)


async def test_a_fingerprint_that_much_would_fit_is_no_more_than_a_suggestion() -> None:
    found = await identified(Instrument({(3, 6): 700}), WEAK, MARKED)
    assert (found.profiles, found.sure) == (("weak",), False)


async def test_two_fingerprints_that_say_as_much_make_none_sure() -> None:
    other = Fingerprint("other", line=LineSettings(4800), marks=MARKED.marks)
    found = await identified(Instrument({(3, 6): 700, (4, 10): 5}), MARKED, other, line=LineSettings(4800))
    assert (found.profiles, found.sure) == (("other", "marked"), False)


async def test_what_an_instrument_calls_itself_outranks_its_registers() -> None:
    found = await identified(Instrument({(3, 6): 700, (4, 10): 5}, {0: b"Honeywell"}), MARKED, NAMED)
    assert (found.profiles[0], found.sure) == ("named", True)
    assert found.identification == {"vendor": "Honeywell"}


async def test_a_register_is_asked_for_once_however_many_fingerprints_want_it() -> None:
    instrument = Instrument({(3, 6): 5})
    await identified(instrument, *(Fingerprint(f"p{i}", marks=(Mark("holding", 6, 1, ((i, i),)),)) for i in range(9)))
    assert sum(request.function == 3 for request in instrument.asked) == 1


async def test_an_instrument_that_falls_silent_is_asked_no_further() -> None:
    instrument = Instrument({(3, 6): 700}, silent_from=7)
    marks = (Mark("holding", 7), Mark("holding", 8), Mark("holding", 9))
    found = await identified(instrument, Fingerprint("a", marks=marks), WEAK)
    assert sum(request.function == 3 for request in instrument.asked) == 1
    assert "silent" in found.note


def test_a_value_tells_more_than_an_answer_and_a_rare_value_more_than_a_common_one() -> None:
    common, rare, answers = (
        Mark("holding", 0, 1, ((0, 500),)),
        Mark("holding", 0, 1, ((9600, 9600),)),
        Mark("holding", 0),
    )
    told = [bits(Fingerprint("p", marks=(mark,))) for mark in (answers, common, rare)]
    assert told == sorted(told)
    assert told[0] < SURE_BITS < told[2]


def test_every_shipped_fingerprint_can_be_asked_for_and_tells_something() -> None:
    known = fingerprints()
    assert len({each.profile for each in known}) == len(known) > 10
    told = [each for each in known if each.marks or each.identification]
    assert told
    assert all(bits(each) > 1 and each.title for each in told)
