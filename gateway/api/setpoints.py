"""The set points of every channel, so that tables and trends can show how far a value is from its alarm."""

from collections.abc import Iterable

from fastapi import Request, Response

from gateway.alarms.level import BY_NAME, default_priorities
from gateway.api.face import Gateway
from gateway.api.payloads import SetPointView, View
from gateway.api.replies import reply
from gateway.core.model import Channel, Rule
from gateway.core.status import Limiting, SetPoint


class SetPointColumns(View):
    """All set points as columns: `row` is the channel's place in the table of that number, `rule` the rule's id."""

    table: int
    row: list[int]
    rule: list[str]
    level: list[str]
    priority: list[int]
    side: list[str]
    value: list[float]


class SetPoints:
    """The route that lists set points, and what single channels are told with.

    Args:
        gateway: Where the rules come from.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._known: tuple[int, SetPointColumns | None] = (0, None)

    async def set_points(self, request: Request) -> Response:
        """List the set points of all channels; rules whose limits are no values of a channel have none."""
        table = self._gateway.table
        if self._known[1] is None or self._known[0] != table:
            self._known = (table, _columns(table, self._gateway.rules))
        assert self._known[1] is not None
        return await reply(request, self._known[1])

    def of(self, channel: Channel) -> dict[str, list[SetPointView]]:
        """Return the set points of the rules that judge a channel, by rule."""
        return {
            rule.id: [
                SetPointView(level=p.level, priority=_priority(rule, p), side=p.side, value=p.value) for p in found
            ]
            for rule in self._gateway.rules
            if any(judged.row == channel.row for judged in rule.judges) and (found := set_points(rule))
        }


def set_points(rule: Rule) -> tuple[SetPoint, ...]:
    """Return a rule's set points; none where its limits are no values of its channels."""
    return rule.options.set_points if isinstance(rule.options, Limiting) else ()


def _priority(rule: Rule, point: SetPoint) -> int:
    level = BY_NAME[point.level]
    return int({**default_priorities(rule.latching), **rule.priority}[level])


def _columns(table: int, rules: Iterable[Rule]) -> SetPointColumns:
    found = [(c.row, rule, p) for rule in rules for p in set_points(rule) for c in rule.judges]
    return SetPointColumns(
        table=table,
        row=[row for row, _, _ in found],
        rule=[rule.id for _, rule, _ in found],
        level=[point.level for _, _, point in found],
        priority=[_priority(rule, point) for _, rule, point in found],
        side=[point.side for _, _, point in found],
        value=[point.value for _, _, point in found],
    )
