"""What a report must know of the site beside its journal: names, time zone, shifts; kept in the data folder."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.core.clock import parse_rfc3339
from gateway.core.errors import HazgateError
from gateway.site.plans import Instrument
from gateway.site.schema import SiteFile
from gateway.store.disk import write_whole

FOLDER: Final = "handovers"
_FILE: Final = "site.json"


class Named(msgspec.Struct, frozen=True):
    """A name in both languages; the Chinese one may be empty."""

    en: str
    zh: str = ""

    def said(self, lang: str) -> str:
        """Return the name in a language (`en` or `zh`), as far as it has one."""
        return (self.zh or self.en) if lang == "zh" else (self.en or self.zh)


class ShiftRule(msgspec.Struct, frozen=True):
    """A shift: its name, and when it begins (`HH:MM`, local time)."""

    name: Named
    begins: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The site as reports name it.

    Attributes:
        id: The site's id.
        gateway: The gateway's id.
        name: Its name.
        timezone: IANA name of its time zone.
        shifts: Its shifts in the order of the day, or none.
        areas: Names of areas by id.
        labels: Names of instruments by id.
        flood_begins: More alarms than this in 10 minutes are a flood.
        flood_ends: Fewer alarms than this in 10 minutes end it.
    """

    id: str = ""
    gateway: str = ""
    name: Named = Named("")
    timezone: str = "UTC"
    shifts: tuple[ShiftRule, ...] = ()
    areas: dict[str, Named] = {}
    labels: dict[str, Named] = {}
    flood_begins: int = 10
    flood_ends: int = 5

    @property
    def zone(self) -> tzinfo:
        """The site's time zone."""
        return ZoneInfo(self.timezone)

    def area(self, area: str, lang: str) -> str:
        """Return the name of an area."""
        return self.areas[area].said(lang) if area in self.areas else area

    def label(self, instrument: str, lang: str) -> str:
        """Return the name of an instrument, or its id."""
        return self.labels[instrument].said(lang) if instrument in self.labels else instrument

    def time_of(self, text: str | None, what: str) -> int:
        """Return a time that somebody wrote, in nanoseconds; 0 for none. Raises HazgateError."""
        if not text:
            return 0
        try:
            # Later than the year 2262 is nothing: times are kept in 64 bits.
            return min(parse_rfc3339(text, self.zone), 2**63 - 1)
        except ValueError as error:
            raise HazgateError(
                f"{what}: {text!r} is no time such as 2026-11-22 or 2026-11-22T08:00:00+08:00"
            ) from error


def place_of(file: SiteFile, instruments: Iterable[Instrument] = ()) -> Place:
    """Return what reports must know of a site file, and of its instruments."""
    return Place(
        id=file.site.id,
        gateway=file.site.gateway,
        name=Named(file.site.name or file.site.id, file.site.name_zh),
        timezone=file.site.timezone,
        shifts=tuple(ShiftRule(Named(s.name, s.name_zh), s.begins) for s in file.shifts),
        areas={a.id: Named(a.label or a.id, a.label_zh) for a in file.areas},
        labels={i.id: Named(i.label, i.label_zh) for i in instruments if i.label or i.label_zh},
        flood_begins=file.alarms.flood_begins,
        flood_ends=file.alarms.flood_ends,
    )


def keep_place(data: Path, place: Place) -> None:
    """Keep the site's names in the data folder, for commands that run without the site file. Raises StorageError."""
    write_whole(data / FOLDER / _FILE, msgspec.json.format(msgspec.json.encode(place), indent=1))


def read_place(data: Path) -> Place:
    """Return what was kept, or a place without names in UTC where nothing was or it cannot be read."""
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode((data / FOLDER / _FILE).read_bytes(), type=Place)
    return Place()
