"""Orders to the alarm book: which trigger each is, what it must say, and the words it leaves in the journal."""

from collections.abc import Mapping
from typing import Final

from gateway.alarms.level import BY_NAME
from gateway.alarms.policy import Policy
from gateway.alarms.source import SYSTEM, Source
from gateway.alarms.state import UNACKNOWLEDGED, Trigger
from gateway.alarms.transition import Cause, sounds_of
from gateway.core.alarm import AlarmEvent, Command, Verb
from gateway.core.clock import NS_PER_S
from gateway.core.errors import CommandRefusedError, IncompleteOrderError, OutdatedOrderError
from gateway.core.model import Reason

TRIGGERS: Final[Mapping[Verb, Trigger]] = {
    Verb.ACKNOWLEDGE: Trigger.ACKNOWLEDGE,
    Verb.RESET: Trigger.RESET,
    Verb.SHELVE: Trigger.SHELVE,
    Verb.UNSHELVE: Trigger.UNSHELVE,
    Verb.OUT_OF_SERVICE: Trigger.TAKE_OUT,
    Verb.RETURN_TO_SERVICE: Trigger.PUT_BACK,
}
"""Orders about one alarm."""
PERMIT_ALARM: Final = SYSTEM + "permit/"
"""How the id of the alarm of a permit that is over begins; its end is what is out of service under it."""
REMINDER_ALARM: Final = SYSTEM + "out-of-service"
"""The alarm that tells at the begin of each shift what is out of service."""

_DONE = {Verb.SILENCE: "silenced"}
_DONE_ZH = {
    Verb.ACKNOWLEDGE: "确认",
    Verb.RESET: "复位",
    Verb.SILENCE: "消音",
    Verb.SHELVE: "搁置",
    Verb.UNSHELVE: "解除搁置",
    Verb.OUT_OF_SERVICE: "停用",
    Verb.RETURN_TO_SERVICE: "恢复使用",
}


def check(command: Command, why: str, alarm: Source, last: AlarmEvent, policy: Policy) -> None:
    """Refuse what the order does not say, what its giver may not, and what he would not have ordered had he known.

    Args:
        command: The order.
        why: Its reason on one line.
        alarm: The alarm.
        last: The alarm's last event.
        policy: The site's.

    Raises:
        IncompleteOrderError: A reason, a note or a time is missing, or the time is too long for the role.
        OutdatedOrderError: The alarm was raised again or has risen since the giver saw it.
        CommandRefusedError: The role may not.
    """
    match command.verb:
        case Verb.ACKNOWLEDGE:
            _check_acknowledgement(command, why, alarm, last)
        case Verb.SHELVE:
            _check_words(command, why, policy.shelve_max_s(command.role))
            policy.check_shelving(alarm, last, BY_NAME[last.level], command.role)
        case Verb.OUT_OF_SERVICE:
            if alarm.id.startswith(PERMIT_ALARM) or alarm.id == REMINDER_ALARM:
                raise CommandRefusedError(f"{alarm.id} tells what is out of service; it cannot be taken out itself")
            _check_words(command, why, policy.out_of_service_max_s)


def cause(command: Command, who: str, why: str, now_ns: int) -> Cause:
    """Return an order as what changes an alarm."""
    timed = command.verb in (Verb.SHELVE, Verb.OUT_OF_SERVICE)
    return Cause(
        now_ns,
        told(command.verb, who, why),
        who,
        until_ns=now_ns + round(command.duration_s * NS_PER_S) if timed else 0,
        permit_for=(command.permit_for or command.alarm) if command.verb is Verb.OUT_OF_SERVICE else "",
    )


def told(verb: Verb, who: str, why: str) -> Reason:
    """Return a person's own words, or who did what."""
    return Reason(why, why) if why else Reason(f"{_DONE.get(verb, verb)} by {who}", f"{who} {_DONE_ZH[verb]}")


def _check_words(command: Command, why: str, longest_s: float) -> None:
    if not why:
        raise IncompleteOrderError(f"{command.verb} of {command.alarm} needs a reason")
    if not 0 < command.duration_s <= longest_s:
        whose = f" for an {command.role}" if command.role else ""
        raise IncompleteOrderError(
            f"{command.verb} of {command.alarm} for {command.duration_s:g} s: more than 0 and at most {longest_s:g} s"
            f"{whose}"
        )


def _check_acknowledgement(command: Command, why: str, alarm: Source, last: AlarmEvent) -> None:
    if last.state not in UNACKNOWLEDGED:
        return  # nothing to be done, or refused by the table
    news = max(sounds_of(last).values(), default=0)
    if command.seen and news > command.seen:
        raise OutdatedOrderError(
            f"{alarm.id} is {last.level} since event {news}, and you saw it as of event {command.seen}; look again"
        )
    if alarm.note_required and not why:
        raise IncompleteOrderError(f"acknowledging {alarm.id} needs a note that says what was found")
