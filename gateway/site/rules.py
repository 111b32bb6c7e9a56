"""Rules of the site file bound to the channels that they name."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel

from gateway.core.model import Channel, Level, Priority, Rule
from gateway.core.units import QuantityKind, quantity
from gateway.site.schema import RuleSection

HAZARDS = frozenset({QuantityKind.COMBUSTIBLE, QuantityKind.TOXIC, QuantityKind.OXYGEN, QuantityKind.FIRE})


def bound(
    section: RuleSection, channels: Sequence[Channel], options: BaseModel, path: tuple[str | int, ...], start: int
) -> list[Rule]:
    """Return a rule of the site file as one rule a channel, numbered from `start`."""
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
