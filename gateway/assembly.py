"""From a checked site to its parts: drivers, detectors, sinks; touches no network and no disk."""

from collections.abc import Container, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from gateway.alarms.book import AlarmBook
from gateway.alarms.permits import Permits
from gateway.alarms.policy import Policy
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.core.model import Rule
from gateway.core.notice import Notifier
from gateway.core.plugin import Driver, Sink, SiteInfo
from gateway.flow.bench import Bench, arrange
from gateway.flow.pipeline import Pipeline
from gateway.outputs import OnProblem, Outputs
from gateway.registry import Kind, load
from gateway.site.load import Connection, Destination, Site

SECTIONS = frozenset(
    {
        "site",
        "connections",
        "instruments",
        "rules",
        "notifications",
        "tests",
        "suppressions",
        "outputs",
        "stores",
        "uplinks",
        "secrets",
        "storage",
        "api",
    }
)


def detectors(site: Site) -> list[Bench]:
    """Return the benches of all rules. Raises SiteFileError."""
    return [_bench(site, name, rules) for name, rules in arrange(site.rules)]


def pipeline(site: Site) -> Pipeline:
    """Return a pipeline whose alarm book knows nothing yet. Raises SiteFileError."""
    return Pipeline(site.channels, detectors(site), book(site))


def book(site: Site) -> AlarmBook:
    """Return the site's alarm book, which knows nothing yet."""
    alarms, shelving = site.file.alarms, site.file.alarms.shelving
    return AlarmBook(
        site.rules,
        policy=Policy(
            operator_s=shelving.operator_s,
            engineer_s=shelving.engineer_s,
            red_by_operator=shelving.red_by_operator,
            out_of_service_max_s=alarms.out_of_service_max_s,
            first_out_s=alarms.first_out_s,
        ),
        suppressions=site.suppressions,
        lines={plan.id: connection.id for connection in site.connections for plan in connection.instruments},
    )


def permits(site: Site) -> Permits:
    """Return what watches the site's permits to be out of service."""
    return Permits([shift.begins for shift in site.file.shifts], ZoneInfo(site.file.site.timezone))


def drivers(site: Site, clock: Clock, only: Container[str] | None = None) -> list[tuple[Connection, Driver]]:
    """Return each connection with its driver, not yet connected. Raises SiteFileError.

    Args:
        site: The site.
        clock: Time.
        only: The ids of the connections that need a driver; None for all.
    """
    found: list[tuple[Connection, Driver]] = []
    for connection in site.connections:
        if only is not None and connection.id not in only:
            continue
        try:
            driver = _driver(connection, clock)
        except ConfigError as error:
            raise site.error(_placed(error, connection.path)) from error
        found.append((connection, driver))
    return found


def _driver(connection: Connection, clock: Clock) -> Driver:
    """Only a driver that has `OutputOptions` is handed outputs."""
    parts = (connection.options, connection.instruments, clock)
    create = connection.module.create
    if hasattr(connection.module, "OutputOptions"):
        driver: Driver = create(*parts, outputs=connection.outputs)
    else:
        driver = create(*parts)
    return driver


def outputs(site: Site, made: Mapping[str, Driver], clock: Clock, on_problem: OnProblem) -> Outputs:
    """Return the outputs of a site, nothing written yet. Raises SiteFileError.

    Args:
        site: The site.
        made: The drivers by connection.
        clock: Time.
        on_problem: Told when an output does not follow.
    """
    try:
        return Outputs(site.outputs, made, clock, on_problem)
    except ConfigError as error:
        raise site.error(error) from error


def sinks(
    site: Site, destinations: Sequence[Destination], info: SiteInfo, clock: Clock
) -> list[tuple[Destination, Sink[Any]]]:
    """Return each store or uplink with its sink, not yet connected. Raises SiteFileError."""
    return _made(site, destinations, info, clock)


def notifiers(site: Site, info: SiteInfo, clock: Clock) -> list[tuple[Destination, Notifier]]:
    """Return each notifier, not yet connected. Raises SiteFileError."""
    return _made(site, site.notifiers, info, clock)


def _made(
    site: Site, destinations: Sequence[Destination], info: SiteInfo, clock: Clock
) -> list[tuple[Destination, Any]]:
    found: list[tuple[Destination, Any]] = []
    for destination in destinations:
        try:
            sink = destination.module.create(destination.options, info, clock)
        except ConfigError as error:
            raise site.error(_placed(error, destination.path)) from error
        found.append((destination, sink))
    return found


def info(site: Site, epoch: str) -> SiteInfo:
    """Return what stores and uplinks may know of the site."""
    return SiteInfo(
        id=site.file.site.id,
        gateway=site.file.site.gateway,
        epoch=epoch,
        channels=site.channels,
        timezone=site.file.site.timezone,
        name=site.file.site.name,
        secrets=site.secrets,
    )


def check(site: Site, clock: Clock) -> None:
    """Build everything once and throw it away: whatever the plugins refuse is told. Raises SiteFileError."""
    drivers(site, clock)
    detectors(site)
    check_sinks(site, clock)


def check_sinks(site: Site, clock: Clock) -> None:
    """Build stores, uplinks and notifiers once and throw them away, before any file is opened. Raises SiteFileError."""
    about = info(site, "check")
    sinks(site, site.stores, about, clock)
    sinks(site, site.uplinks, about, clock)
    notifiers(site, about, clock)


def _bench(site: Site, name: str, rules: Sequence[Rule]) -> Bench:
    try:
        detector = load(Kind.DETECTOR, rules[0].type).create(rules)
    except ConfigError as error:
        raise site.error(_placed(error, rules[0].path)) from error
    return Bench(name, tuple(rules), detector)


def _placed(error: ConfigError, path: tuple[str | int, ...]) -> ConfigError:
    """A plugin's path starts at its options, unless it names a part that has a place of its own."""
    return error if error.path and error.path[0] in SECTIONS else error.under(*path)
