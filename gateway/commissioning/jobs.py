"""A scan that runs beside the gateway: one at a time, looked at while it runs, stopped by a person or by its limit."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from gateway.core.clock import Clock
from gateway.core.commissioning import Found, Hint, Progress, ScanPlan, Survey
from gateway.core.errors import ConfigError, NotConnectedError

log = structlog.get_logger()

QUESTIONS_MAX = 20_000
"""Units times line settings of one scan."""
LIMIT_S = 3600.0
HINTS_MAX = 200


@dataclass(slots=True)
class Scanned:
    """What a scan has done so far.

    Attributes:
        plan: What was asked for.
        running: Whether it goes on.
        ended: Why it ended: empty while it runs, `done`, `stopped`, or what went wrong.
        progress: How far it is; None before the first question.
    """

    plan: ScanPlan
    running: bool = True
    ended: str = ""
    progress: Progress | None = None
    found: list[Found] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)

    def tell(self, news: Found | Progress | Hint) -> None:
        """Take what the survey says."""
        if isinstance(news, Found):
            self.found.append(news)
        elif isinstance(news, Progress):
            self.progress = news
        elif len(self.hints) < HINTS_MAX:
            self.hints.append(news)


class Scans:
    """The one scan that may run, and what the last one found.

    Args:
        survey: The driver's survey.
        clock: Time.
    """

    def __init__(self, survey: Callable[[], Survey], clock: Clock) -> None:
        self.last: Scanned | None = None
        self._survey = survey
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a scan is under way."""
        return self._task is not None and not self._task.done()

    def start(self, plan: ScanPlan) -> Scanned:
        """Begin a scan and return what will be known of it.

        Raises:
            ConfigError: Another scan runs, or this one would ask too much.
        """
        if self.running:
            raise ConfigError((), "a scan is running; stop it first, or wait")
        serial = sum(endpoint.startswith("rtu:") for endpoint in plan.endpoints)
        questions = len(plan.units) * (serial * len(plan.lines) + len(plan.endpoints) - serial)
        if questions > QUESTIONS_MAX:
            raise ConfigError(("units",), f"{questions} questions; at most {QUESTIONS_MAX} a scan")
        self.last = scanned = Scanned(plan)
        self._task = asyncio.create_task(self._run(scanned), name="scan")
        # Not in the task itself: one that is cancelled before its first step runs none of its own code.
        self._task.add_done_callback(lambda task: self._end(scanned, task))
        return scanned

    async def stop(self) -> None:
        """Stop the scan that runs; what it has found stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Stop without waiting, where the gateway ends."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, scanned: Scanned) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                await self._survey().scan(scanned.plan, self._clock, scanned.tell)
            scanned.ended = "done"
        except TimeoutError:
            scanned.ended = f"stopped after {LIMIT_S:g} s"
        except (NotConnectedError, ConfigError) as error:
            scanned.ended = str(error)

    @staticmethod
    def _end(scanned: Scanned, task: asyncio.Task[None]) -> None:
        scanned.running = False
        mistake = None if task.cancelled() else task.exception()
        if mistake is not None:
            log.error("scan failed", exc_info=mistake)
            scanned.ended = "a mistake of the gateway ended it; its log says more"
        scanned.ended = scanned.ended or "stopped"
        log.info("scan ended", found=len(scanned.found), why=scanned.ended)
