"""What a changed site file changes: compared before anything is touched, and told in words."""

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from gateway.core.errors import ConfigError
from gateway.core.model import Channel
from gateway.core.plugin import ChannelPlan, InstrumentPlan
from gateway.outgoing import STORE, UPLINK, Name
from gateway.site.plans import Connection, Destination, Site

NAMES_MAX = 5
"""Names that a note gives of one kind of change; of all others it gives the count."""
PRINT_BYTES = 16

RUN_BY = ("areas", "shifts", "alarms", "suppressions", "response", "plans", "notifications")
"""Sections on how people run the site, each told as one when it changes."""

Key = TypeVar("Key", bound=Hashable)
Print = bytes


@dataclass(frozen=True, slots=True)
class Prints:
    """What a site is made of, each part as a hash of all that it depends on; small enough to be kept while it runs.

    Attributes:
        connections: What a driver gets, by the connection's id. Where its channels stand in the table, and what only
            people are told of them, is no part of it.
        lines: A connection's own section alone.
        instruments: All that is said of an instrument, by id.
        rules: All that is said of a rule, by id.
        outputs: The same of an output.
        destinations: What a sink gets, by kind and id: its own section, the site's name, the secrets, the channels.
        sections: A store's or uplink's own section alone.
        about: The site's own section, the secrets, and each section on how the site is run.
    """

    connections: Mapping[str, Print]
    lines: Mapping[str, Print]
    instruments: Mapping[str, Print]
    rules: Mapping[str, Print]
    outputs: Mapping[str, Print]
    destinations: Mapping[Name, Print]
    sections: Mapping[Name, Print]
    about: Mapping[str, Print]

    @classmethod
    def of(cls, site: Site) -> "Prints":
        """Take the hashes of a site that still has its options; some 40 ms for 10,000 channels."""
        wires = {plan.id: _wire(plan) for c in site.connections for plan in c.instruments}
        about = {
            "site": _print(_text(site.file.site)),
            "secrets": _print(*(f"{name}={value}" for name, value in sorted(site.secrets.items()))),
        }
        facts = _print(*about.values(), msgspec.json.encode(site.channels))
        about |= {name: _print(repr(getattr(site.file, name))) for name in RUN_BY}
        about["plans"] = _print(*(repr((d.id, d.label, d.label_zh, d.tag)) for d in site.drawings.all))
        # Whoever is sent readings or events may name channels: a sink is told of all of them, and made anew for them.
        sections = {
            (kind, one.id): _section(one)
            for kind, many in ((STORE, site.stores), (UPLINK, site.uplinks))
            for one in many
        }
        return cls(
            connections={c.id: _connection(c, wires) for c in site.connections},
            lines={c.id: _section(c) for c in site.connections},
            instruments={
                plan.id: _print(
                    c.id,
                    wires[plan.id],
                    repr(site.instruments.get(plan.id)),
                    *(_people(p.channel) for p in plan.channels),
                )
                for c in site.connections
                for plan in c.instruments
            },
            rules={rule.id: _print(_text(rule)) for rule in site.file.rules},
            outputs={output.id: _print(_text(output)) for output in site.file.outputs},
            destinations={name: _print(one, facts) for name, one in sections.items()},
            sections=sections,
            about=about,
        )


def _print(*parts: str | bytes) -> Print:
    digest = hashlib.blake2b(digest_size=PRINT_BYTES)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(4, "little") + raw)
    return digest.digest()


def _text(model: BaseModel) -> str:
    return model.model_dump_json()


def _wire(plan: InstrumentPlan) -> Print:
    return _print(plan.id, repr(plan.period_s), _text(plan.options), *(_place(p) for p in plan.channels))


def _place(plan: ChannelPlan) -> str:
    """Return what a driver knows of a channel, but its row."""
    c = plan.channel
    facts = (c.id, c.quantity, c.unit, c.range_low, c.range_high, c.decimals, c.period_s, c.stale_after_s)
    return f"{facts} {_text(plan.options)}"


def _people(channel: Channel) -> str:
    """Return what only people are told of a channel."""
    return repr((channel.area, channel.location, channel.label, channel.label_zh))


def _connection(connection: Connection, wires: Mapping[str, Print]) -> Print:
    return _print(
        _section(connection),
        *(wires[plan.id] for plan in connection.instruments),
        # Who is urgent on a slow line is the site's to say, and no word about the instrument.
        bytes(p.alarmed for plan in connection.instruments for p in plan.channels),
        *(f"{output.id} {_text(output.options)}" for output in connection.outputs),
    )


def _section(part: Connection | Destination) -> Print:
    return _print(part.type, part.module.__name__, _text(part.options))


@dataclass(frozen=True, slots=True)
class Change:
    """What to stop and start, and what to say.

    Attributes:
        words: What changed, for people; empty where nothing did.
        gone: Connections that are read no more, or otherwise than before.
        fresh: Connections that are read anew, or otherwise than before.
        removed: Connections that are no longer in the site file.
        closed: Stores and uplinks that end, or go on otherwise than before.
        opened: Stores and uplinks that begin, or go on otherwise than before.
        dropped: Stores and uplinks that are no longer in the site file.
    """

    words: str
    gone: frozenset[str] = field(default_factory=frozenset)
    fresh: frozenset[str] = field(default_factory=frozenset)
    removed: frozenset[str] = field(default_factory=frozenset)
    closed: frozenset[Name] = field(default_factory=frozenset)
    opened: frozenset[Name] = field(default_factory=frozenset)
    dropped: frozenset[Name] = field(default_factory=frozenset)


def compare(before: Prints, after: Prints) -> Change:
    """Return what has to happen for one site to become the other.

    An order of sections that nothing depends on is no change.
    """
    return Change(
        words=_words(before, after),
        gone=_differing(before.connections, after.connections),
        fresh=_differing(after.connections, before.connections),
        removed=frozenset(before.connections.keys() - after.connections.keys()),
        closed=_differing(before.destinations, after.destinations),
        opened=_differing(after.destinations, before.destinations),
        dropped=frozenset(before.destinations.keys() - after.destinations.keys()),
    )


def _differing(these: Mapping[Key, Print], those: Mapping[Key, Print]) -> frozenset[Key]:
    return frozenset(name for name, one in these.items() if those.get(name) != one)


_ABOUT = {
    "site": "the site's own section",
    "alarms": "how alarms are run",
    "response": "how responses are run",
    "plans": "drawings",
}


def _words(before: Prints, after: Prints) -> str:
    told = _told("instrument", before.instruments, after.instruments)
    told += _told("connection", before.lines, after.lines)
    told += _told("rule", before.rules, after.rules)
    told += _told("output", before.outputs, after.outputs)
    for kind in (STORE, UPLINK):
        told += _told(kind, _of_kind(kind, before.sections), _of_kind(kind, after.sections))
    for name in before.about:
        if before.about[name] != after.about[name]:
            told.append(f"{_ABOUT.get(name, name)} changed")
    if not told and before.connections != after.connections:
        told.append("the order of instruments changed")
    return ", ".join(told)


def _of_kind(kind: str, sections: Mapping[Name, Print]) -> dict[str, Print]:
    return {name: one for (its_kind, name), one in sections.items() if its_kind == kind}


def _told(noun: str, before: Mapping[str, Print], after: Mapping[str, Print]) -> list[str]:
    changed = [name for name in after if name in before and after[name] != before[name]]
    parts = (
        ("added", [name for name in after if name not in before]),
        ("removed", [name for name in before if name not in after]),
        ("changed", changed),
    )
    return [_counted(noun, verb, names) for verb, names in parts if names]


def _counted(noun: str, verb: str, names: Sequence[str]) -> str:
    """Return a change in words.

    >>> _counted("instrument", "added", ["gd-07", "gd-08"]), _counted("rule", "changed", ["gas"])
    ('2 instruments added (gd-07, gd-08)', 'rule gas changed')
    """
    if len(names) == 1:
        return f"{noun} {names[0]} {verb}"
    shown = ", ".join(names[:NAMES_MAX]) + (f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else "")
    return f"{len(names)} {noun}s {verb} ({shown})"


def refusals(before: Site, after: Site) -> list[ConfigError]:
    """Return what cannot change while the gateway runs, each with its place in the new file.

    The identity of site and gateway is in the key of every event and the tags of every reading, the limits of storage
    and the API's address belong to what is open: a restart changes them.
    """
    found: list[ConfigError] = []
    for section, names in (
        ("site", ("id", "gateway")),
        ("storage", tuple(type(before.file.storage).model_fields)),
        ("api", tuple(type(before.file.api).model_fields)),
    ):
        was, now = getattr(before.file, section), getattr(after.file, section)
        found += [
            ConfigError((section, name), f"{getattr(now, name)!r} instead of {getattr(was, name)!r} needs a restart")
            for name in names
            if getattr(now, name) != getattr(was, name)
        ]
    return found


_OF_RULES = frozenset({"rule", "budget"})
"""Parts whose alarms are about a rule, and end also where the rule has changed."""


def ended(
    alarms: Iterable[str],
    change: Change,
    kept_rules: frozenset[str],
    outputs: Iterable[str],
    notifiers: Iterable[str] = (),
) -> dict[str, str]:
    """Return the system alarms that end with the parts they are about, with the reason.

    Args:
        alarms: The ids of all alarms that are not normal.
        change: What changes.
        kept_rules: Rules that are what they were.
        outputs: The outputs of the site as it is now.
        notifiers: The notifiers of the site as it is now.
    """
    uplinks = {name for _, name in change.dropped} - {name for _, name in change.opened}
    left = {
        "connection": lambda name: name in change.removed,
        "uplink": lambda name: name in uplinks,
        "output": lambda name: name not in set(outputs),
        "notifier": lambda name: name not in set(notifiers),
        "rule": lambda name: name not in kept_rules,
        "budget": lambda name: name not in kept_rules,
    }
    found: dict[str, str] = {}
    for alarm in alarms:
        root, _, rest = alarm.partition("/")
        part, _, name = rest.partition("/")
        if root == "system" and part in left and left[part](name):
            told = "rule" if part in _OF_RULES else part
            changed = "has changed or " if part in _OF_RULES else ""
            found[alarm] = f"the {told} {changed}is no longer in the site file"
    return found
