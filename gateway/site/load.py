"""Site file to checked plans: every mistake is told at once, each with its line."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Channel, Level, Priority, Rule
from gateway.core.plugin import ChannelPlan, InstrumentPlan, PluginOptions
from gateway.core.units import QuantityKind, quantity
from gateway.registry import Kind, load
from gateway.site.document import Document, parse
from gateway.site.explain import problems
from gateway.site.schema import (
    ChannelSection,
    ConnectionSection,
    DestinationSection,
    InstrumentSection,
    RuleSection,
    SecretSection,
    SiteFile,
    SiteSection,
)

HAZARDS = frozenset({QuantityKind.COMBUSTIBLE, QuantityKind.TOXIC, QuantityKind.OXYGEN, QuantityKind.FIRE})
CHANNELS_MAX = 100_000
_NOTHING = SiteFile(site=SiteSection(id="none"))


@dataclass(frozen=True, slots=True)
class Connection:
    """One bus with its driver's module and what it reads."""

    id: str
    type: str
    module: ModuleType
    options: BaseModel
    instruments: tuple[InstrumentPlan, ...]
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Destination:
    """A store or an uplink with its module."""

    id: str
    type: str
    module: ModuleType
    options: BaseModel
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Site:
    """A site file, checked and expanded.

    Attributes:
        file: The sections as written.
        channels: The channel table; `channels[row].row == row`.
        connections: The buses that have instruments.
        rules: One rule a channel, grouped by the order of the file; those that nobody wrote but everybody needs
            (fault supervision of every channel) come last.
        stores: Databases.
        uplinks: Platforms.
        secrets: Secrets by name, already read.
        document: The text, which knows the lines.
    """

    file: SiteFile
    channels: tuple[Channel, ...]
    connections: tuple[Connection, ...]
    rules: tuple[Rule, ...]
    stores: tuple[Destination, ...]
    uplinks: tuple[Destination, ...]
    secrets: dict[str, str] = field(repr=False)
    document: Document = field(repr=False)

    def lean(self) -> "Site":
        """Return the site without what only its making needed: the text, and where each channel lives on its bus."""
        none = PluginOptions()
        return replace(
            self,
            document=replace(self.document, text=""),
            connections=tuple(
                replace(c, instruments=tuple(_lean(plan, none) for plan in c.instruments)) for c in self.connections
            ),
        )

    def error(self, problem: ConfigError) -> SiteFileError:
        """Return a plugin's complaint with its place in the file."""
        return SiteFileError([self.document.line(problem)])


def load_site(path: Path) -> Site:
    """Read and check a site file.

    Args:
        path: The file; relative paths in it start at its folder.

    Raises:
        SiteFileError: All that is wrong, one line a problem.
    """
    return site_from(parse(path))


def site_from(document: Document) -> Site:
    """Check a parsed site file; takes its instruments out of `document.data` one by one. Raises SiteFileError.

    A site of ten thousand channels is mostly instruments: they are checked one at a time and not kept as written.
    """
    whole = document.data
    written = whole.get("instruments")
    apart = written if isinstance(written, list) else []
    found: list[ConfigError] = []
    file = None
    try:
        file = SiteFile.model_validate({**whole, "instruments": []} if apart else whole)
    except ValidationError as error:
        found = problems(SiteFile, error)
    builder = _Builder(file or _NOTHING, document.path.parent, apart)
    site = builder.build(replace(document, data={}))
    if file is None:
        # Without its other sections nothing can be said of an instrument but its own mistakes.
        found += [p for p in builder.problems if p in builder.of_instruments]
    else:
        found += builder.problems
    if found:
        raise SiteFileError([document.line(p) for p in found])
    return site


class _Builder:
    """Collects problems instead of stopping at the first."""

    def __init__(self, file: SiteFile, folder: Path, instruments: list[Any]) -> None:
        self.file = file
        self.folder = folder
        self.written = instruments
        self.problems: list[ConfigError] = []
        self.of_instruments: list[ConfigError] = []

    def build(self, document: Document) -> Site:
        self.unique("connections", self.file.connections)
        self.unique("rules", self.file.rules)
        self.unique("stores", self.file.stores)
        self.unique("uplinks", self.file.uplinks)
        channels, connections = self.instruments()
        return Site(
            file=self.file,
            channels=channels,
            connections=connections,
            rules=self.rules(channels),
            stores=self.destinations(Kind.STORE, "stores", self.file.stores),
            uplinks=self.destinations(Kind.UPLINK, "uplinks", self.file.uplinks),
            secrets=self.secrets(),
            document=document,
        )

    def complain(self, path: tuple[str | int, ...], problem: str) -> None:
        self.problems.append(ConfigError(path, problem))

    def unique(self, section: str, items: Sequence[Any]) -> None:
        seen: dict[str, int] = {}
        for i, item in enumerate(items):
            if item.id in seen:
                self.complain((section, i, "id"), f"{item.id!r} is already the id of {section}[{seen[item.id]}]")
            seen.setdefault(item.id, i)

    def module(self, kind: Kind, name: str, path: tuple[str | int, ...]) -> ModuleType | None:
        try:
            return load(kind, name)
        except ConfigError as error:
            self.problems.append(error.under(*path))
            return None

    def options(self, model: type[BaseModel], values: dict[str, Any], path: tuple[str | int, ...]) -> BaseModel | None:
        try:
            return model.model_validate(values, context={"folder": self.folder})
        except ValidationError as error:
            self.problems.extend(p.under(*path, "options") for p in problems(model, error))
            return None

    def instruments(self) -> tuple[tuple[Channel, ...], tuple[Connection, ...]]:
        channels: list[Channel] = []
        connections: list[Connection] = []
        by_connection = self.by_connection()
        for c, section in enumerate(self.file.connections):
            connection = self.connection(c, section, by_connection[section.id], channels)
            if connection is not None and connection.instruments:
                connections.append(connection)
        if len(channels) > CHANNELS_MAX:
            self.complain(("instruments",), f"{len(channels)} channels; one gateway takes {CHANNELS_MAX}")
        return tuple(channels), tuple(connections)

    def by_connection(self) -> dict[str, list[int]]:
        """Return the instruments' numbers by connection; those that have none are told."""
        found: dict[str, list[int]] = {c.id: [] for c in self.file.connections}
        seen: dict[str, int] = {}
        for i, written in enumerate(self.written):
            name, connection = (
                (written.get("id"), written.get("connection")) if isinstance(written, dict) else (None, None)
            )
            if isinstance(name, str):
                if name in seen:
                    self.complain(("instruments", i, "id"), f"{name!r} is already the id of instruments[{seen[name]}]")
                seen.setdefault(name, i)
            if isinstance(connection, str) and connection in found:
                found[connection].append(i)
                continue
            if self.section(i) is not None:
                known = ", ".join(found) or "none"
                self.complain(("instruments", i, "connection"), f"no connection {connection!r}; there are: {known}")
        return found

    def section(self, index: int) -> InstrumentSection | None:
        """Return an instrument's section, or None where it has mistakes, which are told."""
        try:
            return InstrumentSection.model_validate(self.written[index])
        except ValidationError as error:
            found = [p.under("instruments", index) for p in problems(InstrumentSection, error)]
            self.of_instruments += found
            self.problems += found
            return None

    def connection(
        self,
        index: int,
        section: ConnectionSection,
        instruments: Iterable[int],
        channels: list[Channel],
    ) -> Connection | None:
        path = ("connections", index)
        module = self.module(Kind.DRIVER, section.type, path)
        if module is None:
            return None
        options = self.options(module.Options, self.resolved(module.Options, section.options), path)
        plans = tuple(plan for i in instruments if (plan := self.instrument(i, module, channels)) is not None)
        return None if options is None else Connection(section.id, section.type, module, options, plans, path)

    def instrument(self, index: int, module: ModuleType, channels: list[Channel]) -> InstrumentPlan | None:
        section = self.section(index)
        if section is None:
            return None
        self.written[index] = None
        path = ("instruments", index)
        options = self.options(module.InstrumentOptions, section.options, path)
        plans: list[ChannelPlan] = []
        names: set[str] = set()
        for j, item in enumerate(section.channels):
            here = (*path, "channels", j)
            if item.id in names:
                self.complain((*here, "id"), f"{item.id!r} is used twice in {section.id}")
            names.add(item.id)
            channel = _channel(len(channels), section, item)
            channels.append(channel)
            where = self.options(module.ChannelOptions, item.options, here)
            if where is not None:
                plans.append(ChannelPlan(channel, where, here))
        if options is None:
            return None
        return InstrumentPlan(section.id, section.period_s, options, tuple(plans), path)

    def resolved(self, model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
        """Make the paths of files in options start at the site file's folder."""
        found = dict(values)
        for name, info in model.model_fields.items():
            value = found.get(name)
            if isinstance(value, str) and "Path" in str(info.annotation):
                found[name] = str(self.folder / value)
        return found

    def destinations(self, kind: Kind, section: str, items: Sequence[DestinationSection]) -> tuple[Destination, ...]:
        found: list[Destination] = []
        for i, item in enumerate(items):
            path = (section, i)
            module = self.module(kind, item.type, path)
            if module is None:
                continue
            options = self.options(module.Options, self.resolved(module.Options, item.options), path)
            if options is not None:
                found.append(Destination(item.id, item.type, module, options, path))
        return tuple(found)

    def rules(self, channels: Sequence[Channel]) -> tuple[Rule, ...]:
        by_id = {channel.id: channel for channel in channels}
        rules: list[Rule] = []
        supervised: set[str] = set()
        for i, section in enumerate(self.file.rules):
            path = ("rules", i)
            module = self.module(Kind.DETECTOR, section.type, path)
            if module is None:
                continue
            options = self.options(module.Options, section.options, path)
            matched = self.matching(section, by_id, path)
            if section.type == "fault":
                supervised.update(channel.id for channel in matched)
            if options is not None:
                rules.extend(_rules(section, matched, options, path, len(rules)))
        return (*rules, *self.supervision([c for c in channels if c.id not in supervised], len(rules)))

    def supervision(self, channels: Sequence[Channel], start: int) -> list[Rule]:
        """Every channel that no fault rule names gets one: silence must never look safe."""
        if not channels:
            return []
        module = load(Kind.DETECTOR, "fault")
        section = RuleSection(id="fault", type="fault", channels=("*",))
        return _rules(section, channels, module.Options(), ("rules",), start)

    def matching(self, section: RuleSection, by_id: dict[str, Channel], path: tuple[str | int, ...]) -> list[Channel]:
        matched: dict[str, Channel] = {}
        for k, pattern in enumerate(section.channels):
            found = [by_id[pattern]] if pattern in by_id else [c for i, c in by_id.items() if fnmatchcase(i, pattern)]
            if not found:
                self.complain((*path, "channels", k), f"no channel is called {pattern!r}{_near(pattern, by_id)}")
            matched.update((c.id, c) for c in found)
        return list(matched.values())

    def secrets(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, section in self.file.secrets.items():
            try:
                found[name] = _secret(section, self.folder)
            except ConfigError as error:
                self.problems.append(error.under("secrets", name))
        return found


def _secret(section: SecretSection, folder: Path) -> str:
    if (section.env is None) == (section.file is None):
        raise ConfigError((), "give either env or file")
    if section.env is not None:
        value = os.environ.get(section.env)
        if not value:
            raise ConfigError(("env",), f"the environment has no {section.env}")
        return value
    assert section.file is not None
    file = folder / section.file
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(("file",), f"cannot read {file}: {error}") from error


def _channel(row: int, instrument: InstrumentSection, section: ChannelSection) -> Channel:
    low, high = section.range or (float("nan"), float("nan"))
    label = " ".join(part for part in (instrument.label, section.label) if part)
    label_zh = "".join(part for part in (instrument.label_zh, section.label_zh) if part)
    name = f"{instrument.id}.{section.id}"
    return Channel(
        row=row,
        id=name,
        instrument=instrument.id,
        quantity=section.quantity or section.id,
        unit=section.unit,
        range_low=low,
        range_high=high,
        decimals=section.decimals,
        period_s=instrument.period_s,
        stale_after_s=section.stale_after_s or max(10.0, 3 * instrument.period_s),
        area=instrument.area,
        location=instrument.location,
        label=label or name,
        label_zh=label_zh,
    )


def _rules(
    section: RuleSection, channels: Sequence[Channel], options: BaseModel, path: tuple[str | int, ...], start: int
) -> list[Rule]:
    alone = len(section.channels) == 1 and section.channels[0] == (channels[0].id if channels else "")
    priority = {level: Priority(section.priority) for level in Level if level} if section.priority else {}
    template = Rule(
        index=0,
        id=section.id,
        type=section.type,
        channels=(),
        options=options,
        priority=priority,
        response=section.response,
        path=path,
    )
    return [
        replace(
            template,
            index=start + k,
            id=section.id if alone else f"{section.id}:{channel.id}",
            channels=(channel,),
            latching=_latches(section, channel),
            area=channel.area,
        )
        for k, channel in enumerate(channels)
    ]


def _latches(section: RuleSection, channel: Channel) -> bool:
    if section.latching is not None:
        return section.latching
    return section.type != "fault" and quantity(channel.quantity).kind in HAZARDS


def _lean(plan: InstrumentPlan, none: PluginOptions) -> InstrumentPlan:
    return replace(plan, options=none, channels=tuple(ChannelPlan(p.channel, none) for p in plan.channels))


def _near(pattern: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only when something is wrong

    near = get_close_matches(pattern, list(known), n=3, cutoff=0.5)
    return f"; there are {', '.join(near)}" if near else ""
