"""What is noted of people: who signed in, what was changed, what was refused; never more than a journal can bear."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.alarms.words import one_line
from gateway.core.alarm import AlarmEvent, EventKind
from gateway.core.clock import Clock
from gateway.core.model import Reason

EVENTS_MAX: Final = 10
"""Events a minute for one address or person; what is more is counted and told in one."""
ALL_MAX: Final = 60
"""Refusals a minute for all addresses and persons together."""
SUBJECTS_MAX: Final = 1_024
MINUTE_S: Final = 60.0
_ALL: Final = ""


@dataclass(slots=True)
class _Minute:
    """One address or person's minute."""

    began_s: float
    kind: EventKind = EventKind.REFUSED
    noted: int = 0
    left_out: int = 0

    def takes(self, limit: int) -> bool:
        """Count one more, and return whether it is still to be noted."""
        if self.noted < limit:
            self.noted += 1
            return True
        self.left_out += 1
        return False


class Audit:
    """Puts what people do with accounts, and what was refused to them, into the journal.

    Args:
        tell: Takes an event without its number and journals it; called in the event loop.
        clock: Time.
    """

    def __init__(self, tell: Callable[[AlarmEvent], None], clock: Clock) -> None:
        self._tell = tell
        self._clock = clock
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()
        self._everywhere = _Minute(clock.monotonic_s())

    def account(self, who: str, why: Reason, subject: str = "", time_ns: int = 0) -> None:
        """Note what was done with an account, a session or a token.

        Args:
            who: By whom.
            why: What.
            subject: Whose minute it counts in. Empty for what must never be left out, whatever comes with it: an
                account that was made, changed or removed, a token.
            time_ns: When, 0 for now.
        """
        if not subject or self._has_room(subject, EventKind.ACCOUNT):
            self._put(EventKind.ACCOUNT, who, why, time_ns)

    def refused(self, who: str, why: Reason, subject: str = "") -> None:
        """Note what was refused.

        Args:
            who: To whom; empty where nobody has proved who it is.
            why: What, and the reason. Never a password or a token.
            subject: Whose minute it counts in: an address, or `who` where empty.
        """
        if not self._has_room(subject or f"refused {who}", EventKind.REFUSED):
            return
        # The minute of all comes last, so that one loud address does not use it up.
        self._everywhere = self._present(_ALL, self._everywhere)
        if self._everywhere.takes(ALL_MAX):
            self._put(EventKind.REFUSED, who, why)

    def sweep(self) -> None:
        """Tell how much was left out in the minutes that are over; call it every few seconds."""
        for subject in [name for name, minute in self._minutes.items() if self._is_over(minute)]:
            self._summarise(subject, self._minutes.pop(subject))
        self._everywhere = self._present(_ALL, self._everywhere)

    def _has_room(self, subject: str, kind: EventKind) -> bool:
        minute = self._minutes[subject] = self._present(subject, self._minutes.get(subject), kind)
        if len(self._minutes) > SUBJECTS_MAX:
            self._summarise(*self._minutes.popitem(last=False))
        return minute.takes(EVENTS_MAX)

    def _present(self, subject: str, minute: _Minute | None, kind: EventKind = EventKind.REFUSED) -> _Minute:
        """Return the minute that runs: this one, or another after it."""
        if minute is not None and not self._is_over(minute):
            return minute
        if minute is not None:
            self._summarise(subject, minute)
        return _Minute(self._clock.monotonic_s(), kind)

    def _is_over(self, minute: _Minute) -> bool:
        return self._clock.monotonic_s() - minute.began_s >= MINUTE_S

    def _summarise(self, subject: str, minute: _Minute) -> None:
        if count := minute.left_out:
            about, about_zh = (subject, subject) if subject else ("from everywhere", "所有来源")
            why = Reason(f"{count} more within a minute: {about}", f"一分钟内另有 {count} 次：{about_zh}")
            self._put(minute.kind, "", why)

    def _put(self, kind: EventKind, who: str, why: Reason, time_ns: int = 0) -> None:
        self._tell(
            AlarmEvent(
                seq=0,
                time_ns=time_ns or self._clock.now_ns(),
                kind=kind,
                who=one_line(who),
                why=one_line(why.en),
                why_zh=one_line(why.zh),
            )
        )
