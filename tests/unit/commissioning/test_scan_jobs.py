"""A scan beside the gateway: its limits and its ends."""

import asyncio

import pytest

from gateway.commissioning.jobs import HINTS_MAX, QUESTIONS_MAX, Scans
from gateway.core.clock import Clock, ManualClock
from gateway.core.commissioning import Hint, LineSettings, ScanPlan, Survey, Tell
from gateway.core.errors import ConfigError, NotConnectedError

PLAN = ScanPlan(("tcp://a",), (1, 2))


class Made:
    """A survey that does as it was told."""

    def __init__(self, error: Exception | None = None, hints: int = 0) -> None:
        self.error = error
        self.hints = hints

    async def scan(self, plan: ScanPlan, clock: Clock, tell: Tell) -> None:
        assert isinstance(clock, ManualClock)
        for _ in range(self.hints):
            tell(Hint(plan.endpoints[0], None, "noise"))
        if self.error is not None:
            raise self.error


def scans(made: Made) -> Scans:
    survey: Survey = made  # type: ignore[assignment]  # only its scan is used
    return Scans(lambda: survey, ManualClock())


async def ended(made: Made) -> str:
    job = scans(made)
    scanned = job.start(PLAN)
    while scanned.running:
        await asyncio.sleep(0)
    return scanned.ended


async def test_a_scan_that_went_through_is_done() -> None:
    assert await ended(Made()) == "done"


@pytest.mark.parametrize("error", [NotConnectedError("tcp://a", "refused"), ConfigError((), "no such rate")])
async def test_a_scan_that_could_not_go_on_says_why(error: Exception) -> None:
    assert await ended(Made(error)) == str(error)


async def test_a_mistake_in_a_survey_ends_its_scan_and_nothing_else() -> None:
    assert "mistake" in await ended(Made(RuntimeError("oops")))


async def test_hints_have_a_limit() -> None:
    job = scans(Made(hints=HINTS_MAX + 50))
    scanned = job.start(PLAN)
    while job.running:
        await asyncio.sleep(0)
    assert len(scanned.hints) == HINTS_MAX


async def test_a_scan_that_would_ask_too_much_never_begins() -> None:
    lines = tuple(LineSettings(baud) for baud in range(300, 400))
    job = scans(Made())
    with pytest.raises(ConfigError, match=str(QUESTIONS_MAX)):
        job.start(ScanPlan(("rtu:///a",), tuple(range(1, 248)), lines))
    assert job.last is None


async def test_stopping_what_does_not_run_does_nothing() -> None:
    job = scans(Made())
    await job.stop()
    job.cancel()
    assert job.last is None
