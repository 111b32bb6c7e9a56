"""Rules for recordings: a file with the `rules` of a site file, or a whole site file, bound to whatever channels come.

Rules are written as in a site file and bound by the very same code. As recordings differ in their channels, a pattern
must match something in at least one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError

from gateway.core.errors import ConfigError, SiteFileError
from gateway.core.model import Channel, Rule
from gateway.evaluation.recording import Recording
from gateway.registry import Kind
from gateway.site.document import Document, parse
from gateway.site.examples import shipped
from gateway.site.explain import problems
from gateway.site.findings import Findings, near
from gateway.site.load import Site, load_site
from gateway.site.operation import Section
from gateway.site.rules import bound
from gateway.site.schema import RuleSection

SUPERVISION: Final = "fault"
"""Silence and BAD readings are no detection; a rule of this type is judged only where a rules file names it."""


class Judging(Section):
    """How what was said is held against what was so."""

    lead_s: float = Field(0.0, ge=0.0, description="Seconds before a window in which a raise still counts for it.")
    grace_s: float = Field(0.0, ge=0.0, description="Seconds after a window in which a raise still counts for it.")
    answers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="For a rule, the kinds of truth that it is for, with wildcards; what its detector, its channels "
        "and its levels suggest where it is left out: a rule that only reports faults is for no fire, and one with "
        "limits for no instrument's fault where there is a fire or a leak to be found.",
        examples=[{"gas": ["leak"], "stuck": ["fault:*"]}],
    )


class RulesFile(Section):
    """A file of rules for recordings."""

    about: str = Field("", description="What these rules are, for people.")
    rules: tuple[RuleSection, ...] = Field(min_length=1, description="What is judged, and how; as in a site file.")
    judging: Judging = Field(default_factory=Judging, description="How what was said is held against the truth.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule as written, with its detector's module and its options checked."""

    section: RuleSection
    module: ModuleType = field(repr=False)
    options: BaseModel = field(repr=False)
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """Checked rules, not yet bound.

    Attributes:
        name: What they are called in results: the file's name.
        entries: One for each rule of the file.
        judging: How they are judged.
        channels: What a site file knows of its channels, by id; empty for a rules file.
        partial: They are for more than one recording has: a site's rules, or those shipped for a whole public set. A
            pattern that matches nothing is then no mistake.
    """

    name: str
    entries: tuple[Entry, ...]
    judging: Judging
    document: Document = field(repr=False)
    channels: Mapping[str, Channel] = field(default_factory=dict, repr=False)
    partial: bool = False

    def known(self, recording: Recording) -> Recording:
        """Return a recording whose channels bear what the site file says of them."""
        if not self.channels:
            return recording
        return recording.with_channels([self.channels.get(c.id, c) for c in recording.channels])

    def bind(self, recording: Recording, start: int) -> list[list[Rule]]:
        """Return the rules of each entry for a recording's channels, numbered from `start`. Raises SiteFileError."""
        found: list[list[Rule]] = []
        for entry in self.entries:
            matched = _matching(entry.section, recording.channels)
            try:
                made = bound(
                    entry.section, matched, entry.options, entry.module, path=entry.path, start=start
                ) if matched else []  # fmt: skip
            except ConfigError as error:
                raise self.error(error) from error
            start += len(made)
            # A latched alarm would stand for the rest of a recording, as nobody resets it.
            found.append([replace(rule, latching=False) for rule in made])
        return found

    def check_channels(self, recordings: Sequence[Recording]) -> None:
        """Raise SiteFileError where a pattern, or all of them, match no channel of any recording."""
        ids = {channel.id: None for recording in recordings for channel in recording.channels}
        wrong = [
            ConfigError((*entry.path, "channels", k), f"no channel is called {pattern!r}{near(pattern, ids)}")
            for entry in self.entries
            for k, pattern in enumerate(entry.section.channels)
            if pattern not in ids and not any(fnmatchcase(one, pattern) for one in ids)
        ]
        if wrong and not (self.partial and len(wrong) < sum(len(entry.section.channels) for entry in self.entries)):
            raise SiteFileError(self.document.lines(wrong))

    def error(self, problem: ConfigError) -> SiteFileError:
        """Return a complaint with its place in the file."""
        return SiteFileError(self.document.lines([problem]))

    def changed(self, option: str, value: Any, name: str) -> "Rules":
        """Return these rules with one option changed.

        Args:
            option: The option, or `<rule id>.<option>` where several rules have it.
            value: Its value.
            name: What the changed rules are called.

        Raises:
            ConfigError: No rule has such an option, or its detector refuses the value.
        """
        rule_id, _, key = option.rpartition(".")
        having = [e for e in self.entries if rule_id in ("", e.section.id) and key in type(e.options).model_fields]
        if not having:
            known = sorted({f"{e.section.id}.{key}" for e in self.entries for key in type(e.options).model_fields})
            raise ConfigError((), f"no rule has the option {option!r}{near(option, known)}")
        entries = tuple(_with_option(e, key, value) if e in having else e for e in self.entries)
        return replace(self, entries=entries, name=name)


def _with_option(entry: Entry, key: str, value: Any) -> Entry:
    given = {**entry.options.model_dump(exclude_unset=True), key: value}
    try:
        return replace(entry, options=type(entry.options).model_validate(given))
    except ValidationError as error:
        raise problems(type(entry.options), error)[0].under(entry.section.id) from error


def _matching(section: RuleSection, channels: Sequence[Channel]) -> list[Channel]:
    """Return the channels that a rule names, in the order of its patterns and each once."""
    found: dict[str, Channel] = {}
    for pattern in section.channels:
        found.update((c.id, c) for c in channels if c.id == pattern or fnmatchcase(c.id, pattern))
    return list(found.values())


def load_rules(path: Path) -> Rules:
    """Read and check a file of rules. Raises SiteFileError with every mistake and its line."""
    document = parse(path, "a file of rules is a mapping with the key `rules`")
    try:
        file = RulesFile.model_validate(document.data)
    except ValidationError as error:
        raise SiteFileError(document.lines(problems(RulesFile, error))) from error
    return Rules(path.name, _entries(file.rules, document), file.judging, document)


def site_rules(path: Path) -> Rules:
    """Read a site file for its rules and for what it knows of its channels. Raises SiteFileError."""
    return rules_of(load_site(path))


def rules_of(site: Site) -> Rules:
    """Return a site's own rules, without the supervision that every channel has. Raises SiteFileError."""
    written = tuple(section for section in site.file.rules if section.type != SUPERVISION)
    if not written:
        raise SiteFileError([f"{site.document.path.name}: has no rules to evaluate"])
    places = [k for k, section in enumerate(site.file.rules) if section.type != SUPERVISION]
    entries = _entries(written, site.document, places)
    channels = {channel.id: channel for channel in site.channels}
    return Rules(site.document.path.name, entries, Judging(), site.document, channels, partial=True)


def default_rules(kind: str) -> Rules:
    """Return the rules that are shipped for a format. Raises ConfigError where there are none."""
    path = shipped("evaluation", f"{kind}.yaml")
    if not path.is_file():
        raise ConfigError((), f"no rules are shipped for {kind}; name a file with --rules, or a site with --site")
    return replace(load_rules(path), partial=True)


def _entries(sections: Sequence[RuleSection], document: Document, places: Sequence[int] = ()) -> tuple[Entry, ...]:
    findings = Findings(document.path.parent)
    found: list[Entry] = []
    seen: set[str] = set()
    for i, section in zip(places or range(len(sections)), sections, strict=True):
        path = ("rules", i)
        if section.id in seen:
            findings.complain((*path, "id"), f"{section.id!r} is already the id of another rule")
        seen.add(section.id)
        module = findings.module(Kind.DETECTOR, section.type, path)
        options = None if module is None else findings.options(module.Options, section.options, path)
        if module is not None and options is not None:
            found.append(Entry(section, module, options, path))
    if findings.problems:
        raise SiteFileError(document.lines(findings.problems))
    return tuple(found)
