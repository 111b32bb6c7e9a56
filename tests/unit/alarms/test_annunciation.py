"""What switches an output on, what releases it, and what does not; each story also with a restart after every line."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from gateway.alarms.annunciation import Annunciation, Selection
from gateway.alarms.book import AlarmBook
from gateway.alarms.state import ASIDE, ON_THE_LIST
from gateway.core.alarm import AlarmEvent, AlarmState, Command, EventKind, Suppression, Verb
from gateway.core.model import Channel, Level, Priority, Quality, Rule, Verdicts
from gateway.core.plugin import PluginOptions

T0 = 1_700_000_000_000_000_000
NAMES = ("gas:gd-1.ch4", "gas:gd-2.ch4", "heat:th-1.t")
AREAS = ("tank", "hall", "hall")
WORDS = {"gas": 0, "gas2": 1, "heat": 2}
VERBS = {
    "ack": Verb.ACKNOWLEDGE,
    "reset": Verb.RESET,
    "shelve": Verb.SHELVE,
    "unshelve": Verb.UNSHELVE,
    "out": Verb.OUT_OF_SERVICE,
    "back": Verb.RETURN_TO_SERVICE,
}
OUTPUTS = (
    Selection("sounder"),
    Selection("evacuate", level="high"),
    Selection("beacon", release="reset"),
    Selection("beacon-high", level="high", release="reset"),
    Selection("hall", areas=("hall",)),
    Selection("faulty", level="high", faults=True),
    Selection("heat-only", alarms=("heat:*",)),
    Selection("system", alarms=("system/*",)),
)


def rules() -> list[Rule]:
    """Two gas heads that latch and a thermometer that does not."""
    return [
        Rule(
            index=k,
            id=name,
            type="threshold",
            channels=(Channel(row=k, id=name.partition(":")[2], instrument=f"i{k}", quantity="ch4"),),
            options=PluginOptions(),
            latching=name.startswith("gas"),
            area=AREAS[k],
        )
        for k, name in enumerate(NAMES)
    ]


def verdict(index: int, level: Level) -> Verdicts:
    quality = Quality.COMMS_LOST if level is Level.FAULT else Quality.GOOD
    return Verdicts(
        np.array([index], np.int32),
        np.array([level], np.int8),
        np.zeros(1, np.float32),
        np.array([T0]),
        np.array([1.0]),
        np.array([10.0]),
        np.array([quality], np.uint8),
    )


def book_of(next_seq: int = 1) -> AlarmBook:
    return AlarmBook(rules(), next_seq, suppressions=[Suppression(id="x", alarms=tuple(NAMES), row=9)])


class Site:
    """A book and what its outputs are to be."""

    def __init__(self) -> None:
        self.book = book_of()
        self.annunciation = Annunciation(OUTPUTS)

    def act(self, words: list[str]) -> None:
        for event in self.events(words):
            self.annunciation.take(event)

    def events(self, words: list[str]) -> list[AlarmEvent]:
        verb, *rest = words
        if verb in WORDS:
            return self.book.judge(verdict(WORDS[verb], Level[rest[0].upper()]))
        if verb == "silence":
            return self.book.command(Command(verb=Verb.SILENCE, who="wang"), T0)
        if verb in VERBS:
            order = Command(verb=VERBS[verb], alarm=NAMES[WORDS[rest[0]]], who="wang", why="as agreed", duration_s=60)
            return self.book.command(order, T0)
        if verb == "recheck":
            return self.book.recheck([WORDS[rest[0]]], T0)
        if verb == "expire":
            return self.book.advance(T0 + 10**12)
        if verb in {"suppress", "unsuppress"}:
            return self.book.suppress(NAMES[WORDS[rest[0]]], verb == "suppress", "shut down", T0, by="x")
        assert verb in {"sys", "own"}
        alarm = "system/disk" if verb == "sys" else "system/output/system"
        return self.book.system(alarm, rest[0] == "on", "broken", T0, priority=Priority.RED)

    def restart(self) -> None:
        told = book_of(self.book.next_seq)
        silenced = AlarmEvent(seq=self.book.silenced, time_ns=T0, kind=EventKind.SILENCED)
        told.restore([*self.book.last_events(), silenced])
        self.book = told
        self.annunciation = Annunciation(OUTPUTS)
        self.annunciation.restore(told.last_events(), told.silenced)

    def on(self) -> list[str]:
        return [each.output for each in OUTPUTS if self.annunciation.wanted(each.output)]


@pytest.fixture(params=[False, True], ids=["running", "restarted after every line"])
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tell a story: on each line what happens and, after two blanks, all that is on then."""

    def told(text: str) -> None:
        site = Site()
        for line in text.strip().splitlines():
            action, want = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            site.act(action.split())
            if request.param:
                site.restart()
            assert " ".join(site.on()) == want.replace("-none-", ""), f"after {action!r}"

    return told


def test_gas_sounds_until_silenced_and_flashes_until_reset(tell: Callable[[str], None]) -> None:
    tell("""
        gas low       sounder beacon
        gas high      sounder evacuate beacon beacon-high faulty
        silence       beacon beacon-high
        ack gas       beacon beacon-high
        gas normal    beacon beacon-high
        reset gas     -none-
    """)


def test_acknowledging_alone_does_not_stop_a_sounder(tell: Callable[[str], None]) -> None:
    tell("""
        gas low       sounder beacon
        ack gas       sounder beacon
        gas normal    sounder beacon
        silence       beacon
        reset gas     -none-
    """)


def test_a_reset_ends_an_unsilenced_sounder_too(tell: Callable[[str], None]) -> None:
    tell("""
        gas low       sounder beacon
        gas normal    sounder beacon
        ack gas       sounder beacon
        reset gas     -none-
    """)


def test_an_alarm_that_clears_by_itself_sounds_until_somebody_has_taken_note(tell: Callable[[str], None]) -> None:
    tell("""
        heat low      sounder beacon hall heat-only
        heat normal   sounder beacon hall heat-only
        ack heat      -none-
        heat low      sounder beacon hall heat-only
        ack heat      sounder beacon hall heat-only
        heat normal   -none-
    """)


def test_an_alarm_that_sinks_below_its_outputs_level_does_not_release_it(tell: Callable[[str], None]) -> None:
    tell("""
        heat high     sounder evacuate beacon beacon-high hall faulty heat-only
        heat low      sounder evacuate beacon beacon-high hall faulty heat-only
        heat normal   sounder evacuate beacon beacon-high hall faulty heat-only
        silence       beacon beacon-high
        heat low      sounder beacon beacon-high hall heat-only
        ack heat      sounder beacon beacon-high hall heat-only
        heat normal   -none-
    """)


def test_each_new_alarm_and_each_rise_sounds_again_after_a_silence(tell: Callable[[str], None]) -> None:
    tell("""
        gas low       sounder beacon
        silence       beacon
        gas2 low      sounder beacon hall
        silence       beacon
        gas2 high     sounder evacuate beacon beacon-high hall faulty
        silence       beacon beacon-high
        gas fault     sounder beacon beacon-high
        silence       beacon beacon-high
        gas low       sounder beacon beacon-high
    """)


def test_a_reset_while_gas_is_there_has_no_gap_in_the_beacon_and_sounds_with_the_next_reading(
    tell: Callable[[str], None],
) -> None:
    tell("""
        gas low       sounder beacon
        silence       beacon
        ack gas       beacon
        reset gas     beacon
        recheck gas   sounder beacon
        ack gas       sounder beacon
        reset gas     beacon
        gas normal    -none-
    """)


def test_a_fault_switches_only_outputs_that_ask_for_faults_and_gets_no_quieter_by_getting_worse(
    tell: Callable[[str], None],
) -> None:
    tell("""
        gas fault     faulty
        gas low       sounder beacon faulty
        silence       beacon
        gas fault     sounder beacon
    """)


def test_what_is_put_aside_holds_nothing_on_and_a_rise_above_the_shelved_does(tell: Callable[[str], None]) -> None:
    tell("""
        gas low       sounder beacon
        shelve gas    -none-
        gas fault     -none-
        gas low       -none-
        gas high      sounder evacuate beacon beacon-high faulty
        out gas       -none-
        gas low       -none-
        gas high      -none-
        back gas      sounder evacuate beacon beacon-high faulty
        silence       beacon beacon-high
        suppress gas  -none-
        unsuppress gas  sounder evacuate beacon beacon-high faulty
    """)


def test_a_shelving_that_ends_with_the_condition_still_there_sounds(tell: Callable[[str], None]) -> None:
    tell("""
        heat high     sounder evacuate beacon beacon-high hall faulty heat-only
        shelve heat   -none-
        heat low      -none-
        expire        sounder beacon hall heat-only
    """)


def test_system_alarms_switch_only_outputs_that_name_them_and_never_their_own(tell: Callable[[str], None]) -> None:
    tell("""
        sys on        system
        silence       -none-
        sys off       -none-
        sys on        system
        silence       -none-
        own on        -none-
    """)


def test_every_state_answers_for_sounder_and_beacon() -> None:
    held: dict[str, set[AlarmState]] = {"silence": set(), "reset": set()}
    for state in AlarmState:
        event = AlarmEvent(
            seq=4,
            time_ns=T0,
            kind=EventKind.NOTE,
            alarm="gas:x",
            state=state,
            level="high",
            sounded=4,
            sounds={"high": 4},
        )
        for release, states in held.items():
            if Selection("o", release=release).is_held_by(event, silenced=3):  # type: ignore[arg-type]  # a loop variable
                states.add(state)
    assert held == {"silence": set(ON_THE_LIST), "reset": set(ON_THE_LIST)}
    assert not held["silence"] & ASIDE


def test_a_journal_that_knew_no_sounds_by_level_is_believed_by_its_level() -> None:
    old = AlarmEvent(
        seq=9, time_ns=T0, kind=EventKind.RETURNED, alarm="gas:x", state=AlarmState.RETURNED, level="high", sounded=7
    )
    evacuate = Selection("evacuate", level="high")
    assert evacuate.is_held_by(old, silenced=6)
    assert not evacuate.is_held_by(old, silenced=8)


def test_holding_says_which_alarms_keep_an_output_on() -> None:
    site = Site()
    site.act(["gas2", "low"])
    site.act(["gas", "low"])
    assert site.annunciation.holding("sounder") == ["gas:gd-1.ch4", "gas:gd-2.ch4"]
    with pytest.raises(KeyError):
        site.annunciation.wanted("nosuch")


@pytest.mark.parametrize("release", ["silence", "reset"])
def test_only_an_output_that_names_warnings_follows_them_and_lets_go_with_them(release: str) -> None:
    site = Site()
    lamps = [Selection("sounder", faults=True, release=release), Selection("lamp", warnings=True, release=release)]  # type: ignore[arg-type]  # a parameter
    site.annunciation = Annunciation(lamps)

    def after(*words: str) -> list[bool]:
        site.act(list(words))
        return [site.annunciation.wanted(lamp.output) for lamp in lamps]

    assert after("gas", "warning") == [False, True]
    assert not site.book.audible()
    assert after("silence") == [False, release == "reset"]
    assert after("gas", "normal") == [False, release == "reset"]
    assert after("ack", "gas") == [False, False]
    assert after("gas", "low") == [True, True]
