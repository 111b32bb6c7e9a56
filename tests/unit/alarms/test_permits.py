"""Out of service: told at each shift, demanded when the permit is over, and never ended but by a person."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from gateway.alarms.book import AlarmBook
from gateway.alarms.permits import Permits, in_service, permits, shift_begun
from gateway.core.alarm import AlarmEvent, AlarmState, Command, Verb
from gateway.core.errors import CommandRefusedError, IncompleteOrderError
from gateway.core.model import Channel, Rule
from gateway.core.plugin import PluginOptions

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(clock: str, day: int = 10) -> int:
    return round(datetime.fromisoformat(f"2026-03-{day:02d}T{clock}:00+08:00").timestamp()) * SECOND


def rules(count: int = 4) -> list[Rule]:
    """Two heads with two channels each, in two areas."""
    found = []
    for k in range(count):
        head = f"gd-{k // 2}"
        channel = Channel(row=k, id=f"{head}.c{k}", instrument=head, quantity="ch4", area=f"area-{k // 2}")
        found.append(Rule(k, f"gas:{channel.id}", "threshold", (channel,), PluginOptions(), area=channel.area))
    return found


class Site:
    """A book with its watch, on a clock of its own; what it says is kept, and it can be restarted."""

    def __init__(self, *begins: str) -> None:
        self.begins = begins
        self.book = AlarmBook(rules())
        self.watch = Permits(begins, SHANGHAI)
        self.said: list[AlarmEvent] = []
        self.now_ns = at("09:00")
        self.watch.look(self.book, self.now_ns)

    def take_out(self, *alarms: str, hours: float = 2.0, scope: str = "", why: str = "permit 17") -> None:
        for alarm in alarms:
            order = Command(
                verb=Verb.OUT_OF_SERVICE, alarm=alarm, who="li", why=why, duration_s=hours * 3600, permit_for=scope
            )
            self.said += self.book.command(order, self.now_ns)

    def put_back(self, alarm: str) -> None:
        self.said += self.book.command(Command(verb=Verb.RETURN_TO_SERVICE, alarm=alarm, who="li"), self.now_ns)

    def until(self, time_ns: int) -> list[str]:
        """Let time go by, minute by minute, and return what is told meanwhile."""
        told: list[AlarmEvent] = []
        while self.now_ns < time_ns:
            self.now_ns = min(self.now_ns + 60 * SECOND, time_ns)
            told += self.watch.look(self.book, self.now_ns)
        self.said += told
        return [f"{event.alarm} {event.kind} {event.level}" for event in told]

    def restart(self) -> set[str]:
        told = AlarmBook(rules(), self.book.next_seq)
        told.restore(self.book.last_events())
        self.book, self.watch = told, Permits(self.begins, SHANGHAI)
        return self.watch.restore(told)

    def state(self, alarm: str) -> str:
        found = self.book.alarm(alarm)
        return found.event.state.value if found else "normal"


@pytest.mark.parametrize(
    ("begins", "now", "begun"),
    [
        (("08:00", "20:00"), "07:59", ("20:00", 9)),
        (("08:00", "20:00"), "08:00", ("08:00", 10)),
        (("22:00", "06:00", "14:00"), "13:00", ("06:00", 10)),
        (("22:00", "06:00", "14:00"), "03:00", ("22:00", 9)),
        ((), "09:00", ("08:00", 10)),
        ((), "23:59", ("16:00", 10)),
        ((), "00:00", ("00:00", 10)),
    ],
)
def test_a_shift_begins_by_the_sites_own_clock(begins: tuple[str, ...], now: str, begun: tuple[str, int]) -> None:
    assert shift_begun(begins, SHANGHAI, at(now)) == at(*begun)


def test_a_shift_begins_once_where_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = round(datetime(2026, 3, 29, 0, 0, tzinfo=UTC).timestamp()) * SECOND
    begun = [shift_begun(("02:30", "14:00"), berlin, night + k * HOUR // 4) for k in range(96)]
    assert begun == sorted(begun)
    assert len(set(begun)) == 3


def test_a_permit_that_ends_demands_a_return_and_the_alarms_stay_out() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", "gas:gd-0.c1", scope="gd-0")
    assert site.until(at("10:59")) == []
    assert site.until(at("11:01")) == ["system/permit/gd-0 raised fault"]
    event = site.said[-1]
    assert (event.annunciate, event.priority, event.area) == (True, 3, "area-0")
    assert event.why == (
        "gd-0 (2 alarms) is still out of service and its permit ended at 2026-03-10T03:00:00.000+00:00; return it or"
        " prolong the permit: permit 17"
    )
    assert "请恢复使用或延期" in event.why_zh
    assert site.state("gas:gd-0.c0") == site.state("gas:gd-0.c1") == "out_of_service"
    assert site.until(at("12:00")) == []


def test_a_permit_that_is_prolonged_ends_the_demand_and_a_new_end_demands_again() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", hours=1)
    assert site.until(at("10:01")) == ["system/permit/gas:gd-0.c0 raised fault"]
    site.take_out("gas:gd-0.c0", hours=1, why="permit 18")
    assert site.said[-1].permit == "permit 18"
    assert site.until(at("10:02")) == ["system/permit/gas:gd-0.c0 returned fault"]
    assert site.said[-1].why == "the permit was prolonged"
    assert site.until(at("11:02")) == ["system/permit/gas:gd-0.c0 raised fault"]
    assert site.said[-1].occurrence == 2


def test_a_demand_ends_only_when_the_last_of_what_was_taken_out_together_is_back() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", "gas:gd-0.c1", hours=1, scope="gd-0")
    site.until(at("10:01"))
    site.put_back("gas:gd-0.c0")
    assert site.until(at("10:10")) == []
    site.put_back("gas:gd-0.c1")
    assert site.until(at("10:11")) == ["system/permit/gd-0 returned fault"]
    assert site.said[-1].why == "returned to service"


def test_each_shift_is_told_what_is_out_and_of_a_permit_that_is_over_with_sound() -> None:
    site = Site("08:00", "20:00")
    site.take_out("gas:gd-0.c0", hours=1, scope="gd-0")
    site.take_out("gas:gd-1.c2", hours=100, scope="area-1")
    site.until(at("10:01"))
    site.book.command(Command(verb=Verb.ACKNOWLEDGE, alarm="system/permit/gd-0", who="li"), site.now_ns)
    assert site.until(at("19:59")) == []
    assert site.until(at("20:00")) == [
        "system/permit/gd-0 cleared normal",
        "system/permit/gd-0 raised fault",
        "system/out-of-service raised warning",
    ]
    assert [event.annunciate for event in site.said[-3:]] == [False, True, False]
    assert site.said[-1].why == "out of service: area-1, gd-0"
    assert site.said[-1].priority == 4
    assert len(site.until(at("07:59", 11))) == 0
    assert len(site.until(at("08:00", 11))) == 4
    site.put_back("gas:gd-0.c0")
    site.put_back("gas:gd-1.c2")
    told = site.until(at("08:05", 11))
    assert sorted(told) == ["system/out-of-service returned warning", "system/permit/gd-0 returned fault"]


def test_nothing_is_told_where_nothing_is_out() -> None:
    site = Site("08:00")
    assert site.until(at("09:00", 12)) == []


def test_what_is_taken_out_within_a_shift_is_first_told_of_with_the_next_one() -> None:
    site = Site("08:00")
    site.take_out("gas:gd-0.c0", hours=48)
    assert site.until(at("07:59", 11)) == []
    assert site.until(at("08:00", 11)) == ["system/out-of-service raised warning"]


def test_a_restart_keeps_the_permits_and_tells_of_the_shift_that_began_meanwhile() -> None:
    site = Site("08:00", "20:00")
    site.take_out("gas:gd-0.c0", hours=1)
    site.until(at("10:01"))
    still = site.restart()
    assert still == {"system/permit/gas:gd-0.c0", "system/out-of-service"}
    assert site.state("system/permit/gas:gd-0.c0") == "unacked"
    site.now_ns = at("20:30")
    assert site.until(at("20:31")) == [
        "system/permit/gas:gd-0.c0 returned fault",
        "system/permit/gas:gd-0.c0 raised fault",
        "system/out-of-service raised warning",
    ]
    assert site.restart() == still
    assert site.until(at("21:00")) == []


def test_a_clock_set_back_ends_no_service_and_demands_at_once() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", hours=720)
    site.now_ns -= 48 * HOUR
    assert site.watch.look(site.book, site.now_ns)[-1].alarm == "system/permit/gas:gd-0.c0"
    assert site.state("gas:gd-0.c0") == "out_of_service"


def test_alarms_of_one_order_are_one_permit_and_the_first_that_is_due_counts() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", "gas:gd-1.c2", hours=3, scope="gas:gd-0.c0")
    site.take_out("gas:gd-1.c3", hours=5)
    found = permits(site.book.out_of_service())
    assert [(one.what, one.area, one.alarms) for one in found] == [("gas:gd-0.c0", "", 2), ("gas:gd-1.c3", "area-1", 1)]
    assert found[0].until_ns == at("12:00")


def test_an_alarm_that_was_taken_out_before_permits_had_ends_is_demanded_at_once() -> None:
    site = Site()
    (event,) = site.book.command(
        Command(verb=Verb.OUT_OF_SERVICE, alarm="gas:gd-0.c0", who="li", why="old", duration_s=60), site.now_ns
    )
    old = msgspec.structs.replace(event, until_ns=0, permit="", permit_for="")
    site.book = AlarmBook(rules(), 2)
    site.book.restore([old])
    assert site.until(at("09:01")) == ["system/permit/gas:gd-0.c0 raised fault"]


def test_what_is_new_on_an_instrument_that_is_out_is_in_service_and_that_is_noted() -> None:
    site = Site()
    assert in_service(site.book, site.now_ns) == []
    site.take_out("gas:gd-0.c0", scope="gd-0")
    (note,) = in_service(site.book, site.now_ns)
    assert note.why == "in service, though gd-0 is out of service: gas:gd-0.c1"
    site.take_out("gas:gd-0.c1", scope="gd-0")
    assert in_service(site.book, site.now_ns) == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"duration_s": 0}, "more than 0 and at most 2.592e"),
        ({"duration_s": 31 * 86400.0}, "more than 0 and at most 2.592e"),
        ({"why": " "}, "needs a reason"),
    ],
)
def test_out_of_service_needs_a_permit_with_an_end(more: dict[str, Any], why: str) -> None:
    order = {"verb": Verb.OUT_OF_SERVICE, "alarm": "gas:gd-0.c0", "who": "li", "why": "17", "duration_s": 60.0, **more}
    book = AlarmBook(rules())
    with pytest.raises(IncompleteOrderError, match=why):
        book.command(Command(**order), 0)
    assert book.alarms() == []


def test_what_tells_of_permits_cannot_be_taken_out_itself() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", hours=1)
    site.until(at("10:01"))
    with pytest.raises(CommandRefusedError, match="cannot be taken out itself"):
        site.take_out("system/permit/gas:gd-0.c0")


def test_a_permit_stands_in_every_event_until_the_return() -> None:
    site = Site()
    site.take_out("gas:gd-0.c0", scope="gd-0", why="permit 17: filter")
    (event,) = site.book.out_of_service()
    assert (event.permit, event.permit_for, event.until_ns) == ("permit 17: filter", "gd-0", at("11:00"))
    site.put_back("gas:gd-0.c0")
    event = site.said[-1]
    assert (event.state, event.permit, event.permit_for, event.until_ns) == (AlarmState.NORMAL, "", "", 0)
