"""Rules of the site file bound to the channels that they name."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Final

from pydantic import BaseModel

from gateway.core.errors import ConfigError
from gateway.core.model import Channel, Judged, Level, Priority, Rule
from gateway.core.plugin import Binding
from gateway.core.units import QuantityKind, quantity
from gateway.site.schema import RuleSection

HAZARDS = frozenset({QuantityKind.COMBUSTIBLE, QuantityKind.TOXIC, QuantityKind.OXYGEN, QuantityKind.FIRE})
GROUP_MAX: Final = 100
"""Channels of one group at the most. Once something stirs, a group is judged reading by reading: a fire rule of a
thousand heads took two seconds a tick, and no alarm may wait for that."""
PEERS_MAX: Final = 32
"""Other channels that one is compared with at the most: those that stand nearest to it in the site file."""
BUDGET_PER_WEEK: Final = 1.0
"""How often a rule that only warns may do so in a week where the site file does not say."""

_LIMITS = (Level.LOW, Level.HIGH)
_NOWHERE = "-"
_Path = tuple[str | int, ...]


def bound(
    section: RuleSection,
    channels: Sequence[Channel],
    options: BaseModel,
    module: ModuleType,
    *,
    path: _Path,
    start: int,
) -> list[Rule]:
    """Return a rule of the site file as the rules that its detector makes of it, numbered from `start`.

    Args:
        section: The rule as written.
        channels: The channels it names.
        options: The detector's options.
        module: The detector's module.
        path: Where it stands in the site file.
        start: Index of the first rule.

    Raises:
        ConfigError: `per` is given to a detector that judges each channel by itself, or a group is too large.
    """
    binding = Binding(getattr(module, "BINDING", Binding.EACH))
    if section.per and binding is Binding.EACH:
        raise ConfigError((*path, "per"), f"{section.type} judges each channel by itself; leave per out")
    levels: tuple[Level, ...] = tuple(getattr(module, "LEVELS", _LIMITS))
    template = Rule(
        index=0,
        id=section.id,
        type=section.type,
        channels=(),
        options=options,
        priority={level: Priority(section.priority) for level in Level if level} if section.priority else {},
        response=section.response,
        response_zh=section.response_zh,
        acknowledge_note=section.acknowledge_note,
        path=path,
        judged=getattr(module, "JUDGED", Judged()),
        levels=levels,
        group=binding is Binding.GROUP,
        budget_per_week=_budget(section, levels),
    )
    made = _grouped(section, channels, template) if template.group else _each(section, channels, template, binding)
    return [
        replace(rule, index=start + k, latching=_latches(section, rule, module), area=_area(rule))
        for k, rule in enumerate(made)
    ]


def _each(section: RuleSection, channels: Sequence[Channel], template: Rule, binding: Binding) -> Iterator[Rule]:
    alone = len(section.channels) == 1 and section.channels[0] == (channels[0].id if channels else "")
    peers = _peers(section, channels) if binding is Binding.PEERS else {}
    for channel in channels:
        found = (channel, *peers.get(channel.id, ()))
        yield replace(template, id=section.id if alone else f"{section.id}:{channel.id}", channels=found)


def _grouped(section: RuleSection, channels: Sequence[Channel], template: Rule) -> Iterator[Rule]:
    groups: dict[str, list[Channel]] = {}
    for channel in channels:
        groups.setdefault(_place(section, channel), []).append(channel)
    for place, members in groups.items():
        if len(members) > GROUP_MAX:
            where = f"{section.per or 'area'} {place}".strip()
            raise ConfigError(
                (*template.path, "channels"), f"{len(members)} channels in {where}; a group takes {GROUP_MAX}"
            )
        name = section.id if len(groups) == 1 else f"{section.id}:{place or _nowhere(groups)}"
        yield replace(template, id=name, channels=tuple(members))


def _nowhere(groups: Collection[str]) -> str:
    """Return a name for the channels without an area that no area has."""
    name = _NOWHERE
    while name in groups:
        name += _NOWHERE
    return name


def _peers(section: RuleSection, channels: Sequence[Channel]) -> dict[str, tuple[Channel, ...]]:
    """Return the other channels of the same quantity, unit and place, the nearest of many."""
    alike: dict[tuple[str, str, str], list[Channel]] = {}
    for channel in channels:
        alike.setdefault((_place(section, channel), channel.quantity, channel.unit), []).append(channel)
    found: dict[str, tuple[Channel, ...]] = {}
    for members in alike.values():
        for k, channel in enumerate(members):
            first = max(0, min(k - PEERS_MAX // 2, len(members) - PEERS_MAX - 1))
            near = members[first : first + PEERS_MAX + 1]
            found[channel.id] = tuple(other for other in near if other is not channel)
    return found


def _place(section: RuleSection, channel: Channel) -> str:
    if section.per == "all":
        return ""
    return channel.instrument if section.per == "instrument" else channel.area


def _area(rule: Rule) -> str:
    first, *others = {channel.area for channel in rule.judges}
    return "" if others else first


def _budget(section: RuleSection, levels: Sequence[Level]) -> float | None:
    if section.budget_per_week is not None:
        return section.budget_per_week
    return BUDGET_PER_WEEK if set(levels) == {Level.WARNING} else None


def _latches(section: RuleSection, rule: Rule, module: ModuleType) -> bool:
    """Whether a reset must end its alarm; faults and warnings are never latched, whatever the site file says."""
    if not set(rule.levels) & set(_LIMITS):
        return False
    if section.latching is not None:
        return section.latching
    hazard = any(quantity(channel.quantity).kind in HAZARDS for channel in rule.judges)
    return hazard or bool(getattr(module, "HAZARD", False))
