"""What can be wrong with the tests of a site file, told before any of them runs."""

from collections.abc import Collection, Iterable, Iterator

from gateway.core.errors import ConfigError
from gateway.site.findings import near
from gateway.site.notation import series
from gateway.site.schema import TestSection

SYSTEM = "system/"


def problems(tests: Iterable[TestSection], channels: Collection[str], alarms: Collection[str]) -> Iterator[ConfigError]:
    """Yield what tests name that does not exist, and readings that cannot be read.

    Args:
        tests: The tests, in the order of the site file.
        channels: The site's channels.
        alarms: The ids of its rules.
    """
    for i, test in enumerate(tests):
        for error in _of_one(test, channels, alarms):
            yield error.under("tests", i)


def _of_one(test: TestSection, channels: Collection[str], alarms: Collection[str]) -> Iterator[ConfigError]:
    for channel, text in test.readings.items():
        path: tuple[str | int, ...] = ("readings", channel)
        if channel not in channels:
            yield ConfigError(path, f"no channel is called {channel!r}{near(channel, channels)}")
        try:
            series(text)
        except ValueError as error:
            yield ConfigError(path, str(error))
    for path, alarm in _named(test):
        if alarm not in alarms and not alarm.startswith(SYSTEM):
            yield ConfigError(path, f"no alarm is called {alarm!r}{near(alarm, alarms)}")


def _named(test: TestSection) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every alarm that a test names, with its place."""
    for k, act in enumerate(test.acts):
        if act.alarm:
            yield ("acts", k, "alarm"), act.alarm
    for k, expectation in enumerate(test.expect):
        if expectation.alarm is not None:
            yield ("expect", k, "alarm"), expectation.alarm
        for alarm in expectation.alarms or {}:
            yield ("expect", k, "alarms", alarm), alarm
