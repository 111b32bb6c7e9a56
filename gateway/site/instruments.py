"""The instruments of a site file, each with its profile, to the plans that drivers get."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan
from gateway.site.expand import Entry, expand
from gateway.site.explain import problems
from gateway.site.findings import Findings
from gateway.site.plans import Instrument
from gateway.site.profiles import Profile, load_profile
from gateway.site.schema import ChannelSection, ConnectionSection, InstrumentSection, read_points


class Instruments:
    """Checks one instrument at a time and forgets how it was written.

    Args:
        findings: Takes the mistakes.
        written: The site file's list; its items are taken out one by one.
    """

    def __init__(self, findings: Findings, written: list[Any]) -> None:
        self.findings = findings
        self.written = written
        self.channels: list[Channel] = []
        self.known: dict[str, Instrument] = {}
        self.profiles: dict[str, Profile | None] = {}
        self.places: dict[str, int] = {}

    def by_connection(self, connections: Sequence[ConnectionSection]) -> dict[str, list[int]]:
        """Return the instruments' numbers by connection; those that have none are told."""
        found: dict[str, list[int]] = {c.id: [] for c in connections}
        seen: dict[str, int] = {}
        for i, written in enumerate(self.written):
            name, connection = (
                (written.get("id"), written.get("connection")) if isinstance(written, dict) else (None, None)
            )
            if isinstance(name, str):
                if name in seen:
                    self.findings.complain(
                        ("instruments", i, "id"), f"{name!r} is already the id of instruments[{seen[name]}]"
                    )
                seen.setdefault(name, i)
            if isinstance(connection, str) and connection in found:
                found[connection].append(i)
                continue
            if self._section(i) is not None:
                known = ", ".join(found) or "none"
                self.findings.complain(
                    ("instruments", i, "connection"), f"no connection {connection!r}; there are: {known}"
                )
        return found

    def _section(self, index: int) -> InstrumentSection | None:
        """Return an instrument's section, or None where it has mistakes, which are told.

        The channels of one with a profile are left out: they are nothing whole without the profile's.
        """
        written = self.written[index]
        if _has_profile(written):
            written = {key: value for key, value in written.items() if key != "channels"}
        return self._checked(index, written)

    def _checked(self, index: int, written: Any) -> InstrumentSection | None:
        try:
            return InstrumentSection.model_validate(written)
        except ValidationError as error:
            found = [p.under("instruments", index) for p in problems(InstrumentSection, error)]
            self.findings.of_instruments += found
            self.findings.problems += found
            return None

    def _expanded(self, index: int, driver: str) -> tuple[InstrumentSection, Sequence[Entry]] | None:
        """Return an instrument's section and its channels, or None where it has mistakes, which are told."""
        written = self.written[index]
        if not _has_profile(written):
            section = self._section(index)
            if section is None:
                return None
            if section.points or section.omit:
                key = "points" if section.points else "omit"
                self.findings.complain(("instruments", index, key), "needs a profile")
            return section, [Entry(channel) for channel in section.channels]
        profile = self._profile(index, written["profile"], driver)
        if profile is None:
            return None
        try:
            points = read_points(written.get("points", []))
        except ValueError:
            points = ()  # told by the section's own check
        whole = expand(profile, written, points)
        asked = {key: written[key] for key in ("points", "omit") if key in written}
        if not isinstance(written.get("channels", []), list):
            asked["channels"] = written["channels"]
        section = self._checked(index, {**whole.section, **asked})
        self.findings.problems.extend(problem.under("instruments", index) for problem in whole.problems)
        return None if section is None else (section, whole.channels)

    def _profile(self, index: int, name: str, driver: str) -> Profile | None:
        """Return a profile; what is wrong with it is told once."""
        path = ("instruments", index, "profile")
        if name not in self.profiles:
            self.profiles[name] = None
            try:
                self.profiles[name] = load_profile(name, self.findings.folder)
            except ConfigError as error:
                self.findings.problems.append(error.under(*path))
            except SiteFileError as error:
                self.findings.lines += error.lines
        found = self.profiles[name]
        if found is not None and found.file.driver != driver:
            self.findings.complain(
                path, f"the profile {name} is read by {found.file.driver}, its connection is {driver}"
            )
            return None
        return found

    def plan(self, index: int, driver: str, module: ModuleType) -> InstrumentPlan | None:
        """Return what the driver gets of an instrument, or None where it has mistakes, which are told.

        Its channels join `channels`, whose rows they get.
        """
        found = self._expanded(index, driver)
        self.written[index] = None
        if found is None:
            self.findings.incomplete = True
            return None
        section, entries = found
        if section.position is not None:
            self.places[section.id] = index
        self.known[section.id] = _known(section)
        path = ("instruments", index)
        options = self.findings.options(module.InstrumentOptions, section.options, path)
        plans: list[ChannelPlan] = []
        names: set[str] = set()
        for j, entry in enumerate(entries):
            here = (*path, "channels", j)
            item, where = self._channel(entry, module, here)
            if item is None:
                self.findings.incomplete = True
                continue
            if item.id in names:
                self.findings.complain((*here, "id"), f"{item.id!r} is used twice in {section.id}")
            names.add(item.id)
            channel = _channel(len(self.channels), section, item)
            self.channels.append(channel)
            if where is not None:
                plans.append(ChannelPlan(channel, where, here))
        if not entries:
            self.findings.complain((*path, "channels"), _no_channels(section))
        if options is None:
            return None
        return InstrumentPlan(section.id, section.period_s, options, tuple(plans), path)

    def _channel(
        self, entry: Entry, module: ModuleType, path: tuple[str | int, ...]
    ) -> tuple[ChannelSection | None, BaseModel | None]:
        """Return a channel's section and the driver's options; None for what has mistakes, which are told."""
        if entry.ready is not None:
            return entry.ready.section, entry.ready.options
        section = entry.section
        if not isinstance(section, ChannelSection):
            try:
                section = ChannelSection.model_validate(section)
            except ValidationError as error:
                found = [p.under(*path) for p in problems(ChannelSection, error)]
                self.findings.of_instruments += found
                self.findings.problems += found
                return None, None
        return section, self.findings.options(module.ChannelOptions, section.options, path)


def _has_profile(written: Any) -> bool:
    return isinstance(written, dict) and isinstance(written.get("profile"), str) and bool(written["profile"])


def _channel(row: int, instrument: InstrumentSection, section: ChannelSection) -> Channel:
    low, high = section.range or (float("nan"), float("nan"))
    label = " ".join(part for part in (instrument.label, section.label) if part)
    label_zh = "".join(part for part in (instrument.label_zh, section.label_zh) if part)
    name = f"{instrument.id}.{section.id}"
    period_s = section.period_s or instrument.period_s
    return Channel(
        row=row,
        id=name,
        instrument=instrument.id,
        quantity=section.quantity or section.id,
        unit=section.unit,
        range_low=low,
        range_high=high,
        decimals=section.decimals,
        period_s=period_s,
        stale_after_s=section.stale_after_s or max(10.0, 3 * period_s),
        area=instrument.area,
        location=instrument.location,
        label=label or name,
        label_zh=label_zh,
    )


def _known(section: InstrumentSection) -> Instrument:
    same = {name: getattr(section, name) for name in Instrument.__dataclass_fields__}
    return Instrument(**same)


def _no_channels(section: InstrumentSection) -> str:
    if section.profile:
        return f"{section.profile} leaves no channel: name its points or channels"
    return "an instrument has at least one channel, here or through its profile"
