"""Switches sounders and beacons as the alarms ask, again and again, and says when one does not follow.

What is to be on is decided by `gateway.alarms.annunciation`; what is written, and how it is read back, is the driver's.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from gateway.alarms.annunciation import OUTPUT_ALARM, Annunciation, Selection
from gateway.alarms.book import AlarmBook
from gateway.alarms.source import SYSTEM
from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock, first_of
from gateway.core.errors import ConfigError, OutputError
from gateway.core.model import Priority
from gateway.core.plugin import Switching
from gateway.core.status import OutputStatus
from gateway.site.plans import Output

log = structlog.get_logger()

RETRY_FIRST_S = 0.5
"""Wait after the first failure; it doubles up to `RETRY_MAX_S` or the output's `repeat_s`, whichever is less."""
RETRY_MAX_S = 10.0
TELL_AT = 2
"""Failures in a row that make an alarm: one may be a disturbed frame, and the next attempt is half a second later."""
CONNECTION_ALARM = SYSTEM + "connection/"
"""How the id of the alarm of a lost connection begins; its end is the connection's id."""
START_S = 5.0
"""After the start a connection needs a moment to be made; an output that has not answered yet is told after it."""
SWITCH_TIMEOUT_S = 10.0
"""Longest time that one switching may take; beyond it, it counts as failed."""

OnProblem = Callable[[str, str, Priority], None]
"""Told the output's alarm id, what is wrong (empty: well again), and how urgent that is."""


def _nothing(_text: str) -> None:
    """Keep no note."""


class _Line:
    """One output and how far it is; `on` is what it last read back, whatever happened since."""

    def __init__(self, output: Output, driver: Switching) -> None:
        self.output = output
        self.driver = driver
        self.changed = asyncio.Event()
        self.shown: bool | None = None
        self.on: bool | None = None
        self.last_ns = 0
        self.failures = 0
        self.reason = ""
        self.told = False

    @property
    def id(self) -> str:
        return self.output.id

    def retry_s(self) -> float:
        """Seconds to the next attempt: the site's repetition while all is well, else growing up to it."""
        repeat_s = self.output.section.repeat_s
        if not self.failures:
            return repeat_s
        return min(repeat_s, RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(self.failures - 1, 16))


class Outputs:
    """Keeps every output of a site as its alarms ask.

    Alarms do not wait for the disk here: `take` is to be called with each pass's events at once. A task an output, so
    that a dead relay on one line holds up no other. Where the site has no outputs, nothing is ever written.

    When it ends it switches nothing off: a gateway that is restarted during an alarm must not silence it. After a
    start the state follows from the restored alarm book, before anything is written.

    Args:
        outputs: The site's outputs.
        drivers: Drivers by connection id; those of outputs satisfy `Switching`.
        clock: Time.
        on_problem: Told when an output does not follow, how urgent that is, and when it follows again; a failing
            output is told again when its urgency changes.

    Raises:
        ConfigError: A connection that cannot switch; the path is that in the site file.
    """

    def __init__(
        self, outputs: Sequence[Output], drivers: Mapping[str, object], clock: Clock, on_problem: OnProblem
    ) -> None:
        self._lines = [_Line(output, _switching(output, drivers)) for output in outputs]
        self._annunciation = Annunciation([_selection(output) for output in outputs])
        self._clock = clock
        self._on_problem = on_problem
        self._started_s = clock.monotonic_s()
        self._restored = False
        self._note: Callable[[str], object] = _nothing

    def restore(self, book: AlarmBook) -> None:
        """Take over how the alarms stand; call it before `run`, and again whenever events may have been missed."""
        self._annunciation.restore(book.last_events(), book.silenced)
        self._restored = True
        for line in self._lines:
            line.changed.set()

    def take(self, events: Iterable[AlarmEvent]) -> None:
        """Take new alarm events, in their order and each once; cheap, and never waits."""
        if not self._lines:
            return
        before = [self._annunciation.wanted(line.id) for line in self._lines]
        for event in events:
            self._annunciation.take(event)
            if event.alarm.startswith(CONNECTION_ALARM) and event.condition == "normal":
                self._reconnected(event.alarm.removeprefix(CONNECTION_ALARM))
        for line, was in zip(self._lines, before, strict=True):
            if self._annunciation.wanted(line.id) is not was:
                line.changed.set()

    async def run(self, note: Callable[[str], object] = _nothing) -> None:
        """Switch until cancelled; returns at once where there are no outputs.

        Args:
            note: Told in words, for the journal, when an output has gone on or off.
        """
        assert self._restored, "before the alarms are known nothing may be switched off"
        self._note = note
        self._started_s = self._clock.monotonic_s()
        async with asyncio.TaskGroup() as group:
            for line in self._lines:
                group.create_task(self._keep(line), name=f"output {line.id}")

    def status(self) -> list[OutputStatus]:
        """Return the state of every output, in the order of the site file."""
        return [
            OutputStatus(
                id=line.id,
                connection=line.output.connection,
                label=line.output.section.label,
                wanted=self._annunciation.wanted(line.id),
                shown=line.shown,
                alarms=len(self._annunciation.holding(line.id)),
                last_ns=line.last_ns,
                reason=line.reason,
            )
            for line in self._lines
        ]

    def _reconnected(self, connection: str) -> None:
        """Write at once what a connection that is back carries: the board behind it may have lost its power."""
        for line in self._lines:
            if line.output.connection == connection:
                line.failures = 0
                line.changed.set()

    async def _keep(self, line: _Line) -> None:
        while True:
            line.changed.clear()
            on = self._annunciation.wanted(line.id)
            try:
                # Not `wait_for`: on Python 3.11 it can swallow a cancellation that meets the result.
                async with asyncio.timeout(SWITCH_TIMEOUT_S):
                    await line.driver.switch(line.id, on=on)
            except OutputError as error:
                self._failed(line, error.reason, on=on)
            except TimeoutError:
                self._failed(line, f"not switched within {SWITCH_TIMEOUT_S:g} s", on=on)
            else:
                self._followed(line, on=on)
            await self._wait(line)

    def _followed(self, line: _Line, *, on: bool) -> None:
        if line.shown is not on:
            log.info("output switched", output=line.id, on=on, alarms=self._annunciation.holding(line.id)[:3])
        if line.on is not on:
            self._tell(line, on=on)
        line.on = on
        first = not line.last_ns
        line.shown, line.failures, line.reason = on, 0, ""
        line.last_ns = self._clock.now_ns()
        # At the first time also: whoever ran before may have left its alarm open.
        if line.told or first:
            line.told = False
            self._on_problem(OUTPUT_ALARM + line.id, "", Priority.ORANGE)

    def _tell(self, line: _Line, *, on: bool) -> None:
        """Say that an output went on or off; one that is off at the start and was not on is no news."""
        holding = self._annunciation.holding(line.id)
        more = f" and {len(holding) - 1} more" if len(holding) > 1 else ""
        if on:
            self._note(f"output {line.id} is on: {holding[0]}{more}" if holding else f"output {line.id} is on")
        elif line.on is not None:
            self._note(f"output {line.id} is off")

    def _failed(self, line: _Line, reason: str, *, on: bool) -> None:
        line.shown = None
        line.failures += 1
        line.reason = reason
        starting = not line.last_ns and self._clock.monotonic_s() - self._started_s < START_S
        if line.failures < TELL_AT or starting:
            return
        if not line.told:
            log.warning("output does not follow", output=line.id, on=on, reason=reason)
        line.told = True
        # People near the hazard are not being warned, or would not be.
        urgency, state = (Priority.RED, "on") if on else (Priority.ORANGE, "off")
        self._on_problem(OUTPUT_ALARM + line.id, f"{line.id} cannot be switched {state}: {reason}", urgency)

    async def _wait(self, line: _Line) -> None:
        """Wait until the output is due again, or the alarms ask for something else."""
        await first_of(self._clock, line.retry_s(), line.changed)


def _selection(output: Output) -> Selection:
    section = output.section
    return Selection(
        output.id, section.alarms, section.areas, section.level, section.faults, section.warnings, section.release
    )


def _switching(output: Output, drivers: Mapping[str, object]) -> Switching:
    driver = drivers.get(output.connection)
    if not isinstance(driver, Switching):
        raise ConfigError((*output.path, "connection"), f"{output.connection} switches nothing")
    return driver
