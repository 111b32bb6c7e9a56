"""What is noted of people, and that a flood of it is counted instead."""

from gateway.alarms.words import WHY_MAX
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import ManualClock
from gateway.core.model import Reason
from gateway.people.audit import ALL_MAX, EVENTS_MAX, SUBJECTS_MAX, Audit

WHY = Reason("wrong password", "密码错误")


def made() -> tuple[Audit, ManualClock, list[AlarmEvent]]:
    told: list[AlarmEvent] = []
    clock = ManualClock()
    return Audit(told.append, clock), clock, told


def test_ten_a_minute_are_noted_and_the_rest_is_one_line() -> None:
    audit, clock, told = made()
    for _ in range(250):
        audit.refused("", WHY, "192.0.2.7")
    assert len(told) == EVENTS_MAX
    audit.sweep()
    assert len(told) == EVENTS_MAX
    clock.advance(61)
    audit.sweep()
    assert [event.why for event in told[EVENTS_MAX:]] == ["240 more within a minute: 192.0.2.7"]
    assert "240" in told[-1].why_zh
    audit.sweep()
    assert len(told) == EVENTS_MAX + 1


def test_one_loud_address_hides_no_other() -> None:
    audit, _, told = made()
    for _ in range(500):
        audit.refused("", WHY, "192.0.2.7")
    audit.refused("", WHY, "192.0.2.8")
    assert len(told) == EVENTS_MAX + 1


def test_a_thousand_addresses_are_bounded_together_and_counted_to_the_last() -> None:
    audit, clock, told = made()
    for number in range(3 * SUBJECTS_MAX):
        audit.refused("", WHY, f"10.0.{number // 256}.{number % 256}")
    assert len(told) <= ALL_MAX + 1
    clock.advance(61)
    audit.sweep()
    counted = sum(int(e.why.split()[0]) for e in told if "more within a minute" in e.why)
    noted = sum(e.why == WHY.en for e in told)
    assert noted == ALL_MAX
    assert noted + counted == 3 * SUBJECTS_MAX


def test_refusals_leave_room_for_what_was_done_with_accounts() -> None:
    audit, _, told = made()
    for number in range(200):
        audit.refused("", WHY, f"10.0.0.{number}")
    audit.account("wang", Reason("account 'li' made", "新建账号"))
    assert told[-1].kind is EventKind.ACCOUNT
    assert (told[-1].who, told[-1].seq) == ("wang", 0)


def test_changes_of_accounts_are_never_left_out_and_sign_ins_are_counted() -> None:
    """Else whoever has taken over an administrator could hide one account behind ten others."""
    audit, clock, told = made()
    for number in range(50):
        audit.account("wang", Reason(f"account 'p{number}' made", "新建账号"))
        audit.account("wang", Reason("signed in", "登录"), "session wang")
    assert sum("made" in event.why for event in told) == 50
    assert sum("signed in" in event.why for event in told) == EVENTS_MAX
    clock.advance(61)
    audit.sweep()
    assert (told[-1].kind, told[-1].why) == (EventKind.ACCOUNT, "40 more within a minute: session wang")


def test_a_note_is_one_line_of_bounded_length() -> None:
    audit, _, told = made()
    audit.refused("a\r\nb", Reason("x\n" * 5000, "字" * 5000), "s")
    assert told[0].who == "a b"
    assert "\n" not in told[0].why
    assert len(told[0].why_zh) == WHY_MAX
