"""Site file to checked plans: every mistake is told at once, each with its line."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Channel, Level, Rule
from gateway.core.plugin import InstrumentPlan, OutputPlan
from gateway.registry import Kind, load
from gateway.site import routes, suppressions
from gateway.site.document import Document, parse
from gateway.site.drawings import Drawings, drawings_of
from gateway.site.expand import told
from gateway.site.explain import problems
from gateway.site.findings import Findings, near
from gateway.site.instruments import Instruments
from gateway.site.operation import NotifierSection
from gateway.site.plans import Connection, Destination, Output, Site
from gateway.site.rules import bound
from gateway.site.schema import (
    ConnectionSection,
    DestinationSection,
    OutputSection,
    RuleSection,
    SecretSection,
    SiteFile,
    SiteSection,
)
from gateway.site.trials import problems as problems_of_tests

__all__ = ["Connection", "Destination", "Output", "Site", "load_site", "site_from"]

CHANNELS_MAX = 100_000
_NOTHING = SiteFile(site=SiteSection(id="none"))


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
    lines = [*(told(document, found) if found else ()), *builder.lines]
    if lines:
        raise SiteFileError(lines)
    return site


class _Builder(Findings):
    """Collects problems instead of stopping at the first."""

    def __init__(self, file: SiteFile, folder: Path, written: list[Any]) -> None:
        super().__init__(folder)
        self.file = file
        self.instruments = Instruments(self, written)

    def build(self, document: Document) -> Site:
        self.unique("connections", self.file.connections)
        self.unique("rules", self.file.rules)
        self.unique("stores", self.file.stores)
        self.unique("uplinks", self.file.uplinks)
        self.apart()
        self.unique("outputs", self.file.outputs)
        self.unique("suppressions", self.file.suppressions)
        channels, connections = self.connections()
        rules = self.rules(channels)
        self.tests(channels, rules)
        return Site(
            file=self.file,
            channels=channels,
            connections=_urgent(connections, rules),
            rules=rules,
            outputs=self.outputs(rules),
            suppressions=suppressions.bound(self, self.file.suppressions, channels, rules),
            stores=self.destinations(Kind.STORE, "stores", self.file.stores),
            uplinks=self.destinations(Kind.UPLINK, "uplinks", self.file.uplinks),
            secrets=self.secrets(),
            document=document,
            drawings=self.drawings(),
            instruments=self.instruments.known,
            notifiers=self.notifiers(rules),
        )

    def drawings(self) -> Drawings:
        """Return the plans; pictures that cannot be shown, and positions on plans that nobody drew, are told."""
        self.unique("plans", self.file.plans)
        positions = {name: one.position for name, one in self.instruments.known.items() if one.position is not None}
        found = drawings_of(self.file.plans, positions, self.folder)
        self.problems += found.problems
        for name, problem in found.misplaced.items():
            self.complain(("instruments", self.instruments.places[name], "position", "plan"), problem)
        return found.drawings

    def unique(self, section: str, items: Sequence[Any]) -> None:
        seen: dict[str, int] = {}
        for i, item in enumerate(items):
            if item.id in seen:
                self.complain((section, i, "id"), f"{item.id!r} is already the id of {section}[{seen[item.id]}]")
            seen.setdefault(item.id, i)

    def apart(self) -> None:
        """Complain of an uplink that is called like a store: how far each has come is kept under its id."""
        stores = {store.id: k for k, store in enumerate(self.file.stores)}
        for i, uplink in enumerate(self.file.uplinks):
            if uplink.id in stores:
                self.complain(("uplinks", i, "id"), f"{uplink.id!r} is already the id of stores[{stores[uplink.id]}]")

    def connections(self) -> tuple[tuple[Channel, ...], tuple[Connection, ...]]:
        connections: list[Connection] = []
        by_connection = self.instruments.by_connection(self.file.connections)
        for c, section in enumerate(self.file.connections):
            connection = self.connection(c, section, by_connection[section.id])
            if connection is not None and (connection.instruments or connection.outputs):
                connections.append(connection)
        channels = self.instruments.channels
        if len(channels) > CHANNELS_MAX:
            self.complain(("instruments",), f"{len(channels)} channels; one gateway takes {CHANNELS_MAX}")
        return tuple(channels), tuple(connections)

    def connection(
        self,
        index: int,
        section: ConnectionSection,
        instruments: Iterable[int],
    ) -> Connection | None:
        path = ("connections", index)
        module = self.module(Kind.DRIVER, section.type, path)
        if module is None:
            return None
        options = self.options(module.Options, self.resolved(module.Options, section.options), path)
        plans = tuple(plan for i in instruments if (plan := self.instruments.plan(i, section.type, module)) is not None)
        outputs = tuple(self.output_plans(section, module))
        if options is None:
            return None
        return Connection(section.id, section.type, module, options, plans, path, outputs)

    def output_plans(self, connection: ConnectionSection, module: ModuleType) -> Iterable[OutputPlan]:
        """Yield the plans of a connection's outputs."""
        for i, section in enumerate(self.file.outputs):
            if section.connection != connection.id:
                continue
            path = ("outputs", i)
            model = getattr(module, "OutputOptions", None)
            if model is None:
                self.complain((*path, "connection"), f"{connection.id} is {connection.type}, which switches nothing")
                continue
            options = self.options(model, section.options, path)
            if options is not None:
                yield OutputPlan(section.id, options, path)

    def outputs(self, rules: Sequence[Rule]) -> tuple[Output, ...]:
        """Return the outputs; alarms, areas and connections that nothing answers to are told."""
        connections = [c.id for c in self.file.connections]
        areas = {rule.area for rule in rules}
        for i, section in enumerate(self.file.outputs):
            if section.connection not in connections:
                known = ", ".join(connections) or "none"
                self.complain(("outputs", i, "connection"), f"no connection {section.connection!r}; there are: {known}")
            for k, area in enumerate(section.areas):
                if area not in areas and not self.incomplete:
                    self.complain(("outputs", i, "areas", k), f"no area is called {area!r}{near(area, areas)}")
            self.answered(section, i, [rule.id for rule in rules])
        return tuple(Output(o.id, o.connection, o, ("outputs", i)) for i, o in enumerate(self.file.outputs))

    def answered(self, section: OutputSection, index: int, alarms: Sequence[str]) -> None:
        for k, pattern in enumerate(section.alarms):
            if pattern == "*" or pattern.startswith("system/") or self.incomplete:
                continue
            if not any(fnmatchcase(alarm, pattern) for alarm in alarms):
                self.complain(("outputs", index, "alarms", k), f"no alarm is called {pattern!r}{near(pattern, alarms)}")

    def resolved(self, model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
        """Make the paths of files in options start at the site file's folder."""
        found = dict(values)
        for name, info in model.model_fields.items():
            value = found.get(name)
            if isinstance(value, str) and "Path" in str(info.annotation):
                found[name] = str(self.folder / value)
        return found

    def destinations(
        self, kind: Kind, section: str, items: Sequence[DestinationSection | NotifierSection], *parents: str
    ) -> tuple[Destination, ...]:
        found: list[Destination] = []
        for i, item in enumerate(items):
            path: tuple[str | int, ...] = (*parents, section, i)
            module = self.module(kind, item.type, path)
            if module is None:
                continue
            options = self.options(module.Options, self.resolved(module.Options, item.options), path)
            if options is not None:
                found.append(Destination(item.id, item.type, module, options, path))
        return tuple(found)

    def notifiers(self, rules: Sequence[Rule]) -> tuple[Destination, ...]:
        """Return the notifiers; routes that lead nowhere or that nothing takes are told."""
        section = self.file.notifications
        areas = {*(rule.area for rule in rules), *(area.id for area in self.file.areas)}
        self.problems += routes.problems(section, areas, [rule.id for rule in rules], incomplete=self.incomplete)
        return self.destinations(Kind.NOTIFIER, "notifiers", section.notifiers, routes.SECTION)

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
                try:
                    rules.extend(bound(section, matched, options, module, path=path, start=len(rules)))
                except ConfigError as error:
                    self.problems.append(error)
        rules += self.supervision([c for c in channels if c.id not in supervised], len(rules))
        return tuple(self.advised(rules))

    def advised(self, rules: Sequence[Rule]) -> Iterator[Rule]:
        """Yield the rules with what their area says is to be done, where they do not say it themselves."""
        areas = {area.id: area for area in self.file.areas if area.response or area.response_zh}
        for rule in rules:
            area = None if rule.response or rule.response_zh else areas.get(rule.area)
            yield rule if area is None else replace(rule, response=area.response, response_zh=area.response_zh)

    def supervision(self, channels: Sequence[Channel], start: int) -> list[Rule]:
        """Every channel that no fault rule names gets one: silence must never look safe."""
        if not channels:
            return []
        module = load(Kind.DETECTOR, "fault")
        section = RuleSection(id="fault", type="fault", channels=("*",))
        return bound(section, channels, module.Options(), module, path=("rules",), start=start)

    def tests(self, channels: Sequence[Channel], rules: Sequence[Rule]) -> None:
        self.unique("tests", self.file.tests)
        if self.file.tests and not self.incomplete:
            ids = {channel.id: None for channel in channels}
            for error in problems_of_tests(self.file.tests, ids, {rule.id: None for rule in rules}):
                self.complain(error.path, error.problem)

    def matching(self, section: RuleSection, by_id: dict[str, Channel], path: tuple[str | int, ...]) -> list[Channel]:
        matched: dict[str, Channel] = {}
        for k, pattern in enumerate(section.channels):
            found = [by_id[pattern]] if pattern in by_id else [c for i, c in by_id.items() if fnmatchcase(i, pattern)]
            if not found and not self.incomplete:
                self.complain((*path, "channels", k), f"no channel is called {pattern!r}{near(pattern, by_id)}")
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


def _urgent(connections: Sequence[Connection], rules: Sequence[Rule]) -> tuple[Connection, ...]:
    """Return the connections with the channels marked of which no limit alarm can come."""
    limits = {Level.LOW, Level.HIGH}
    judged = {channel.id for rule in rules if limits & set(rule.levels) for channel in rule.judges}

    def marked(plan: InstrumentPlan) -> InstrumentPlan:
        if all(p.channel.id in judged for p in plan.channels):
            return plan
        return replace(
            plan,
            channels=tuple(p if p.channel.id in judged else replace(p, alarmed=False) for p in plan.channels),
        )

    return tuple(replace(c, instruments=tuple(map(marked, c.instruments))) for c in connections)
