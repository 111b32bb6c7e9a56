"""The survey of a driver, by name; and profiles as the fingerprints that it knows instruments by."""

import importlib
from functools import cache
from typing import Final, cast

from gateway.core.commissioning import Fingerprint, LineSettings, Mark, Survey
from gateway.core.errors import ConfigError
from gateway.registry import Kind, load
from gateway.site.profiles import Profile, shipped_profiles

DRIVER: Final = "modbus"
"""The driver whose instruments can be found and looked at."""


def survey(driver: str = DRIVER) -> Survey:
    """Return a driver's survey.

    Raises:
        ConfigError: There is no such driver, or its instruments cannot be looked at.
    """
    module = load(Kind.DRIVER, driver)
    try:
        found = importlib.import_module(f"{module.__name__}.survey")
    except ModuleNotFoundError as error:
        raise ConfigError(("type",), f"{driver} has no registers to look at; {DRIVER} has") from error
    return cast("Survey", found)


@cache
def fingerprints(driver: str = DRIVER) -> tuple[Fingerprint, ...]:
    """Return how the shipped profiles' instruments of a driver are known; takes a second the first time."""
    return tuple(fingerprint(profile) for profile in shipped_profiles() if profile.file.driver == driver)


def fingerprint(profile: Profile) -> Fingerprint:
    """Return how a profile's instrument is known."""
    file, line = profile.file, profile.file.line
    marks: tuple[Mark, ...] = ()
    itself: dict[str, str] = {}
    if file.identify is not None:
        marks = tuple(Mark(m.table, m.address, m.count, m.expect) for m in file.identify.registers)
        itself = {str(name): pattern for name, pattern in file.identify.device_identification.items()}
    settings = LineSettings(line.baud, line.parity or "N", line.stop_bits or 1) if line.baud else None
    return Fingerprint(profile.name, f"{file.maker} {file.model}".strip(), settings, marks, itself, line.unit)
