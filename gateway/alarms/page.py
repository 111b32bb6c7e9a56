"""The reference page of the alarm table; `python -m gateway.alarms.page > docs/reference/alarm-states.md` writes it."""

from collections.abc import Iterator

from gateway.alarms.state import TABLE, Ignored, Refused, Row, Step, Trigger
from gateway.core.alarm import AlarmState

_HEAD = """# Alarm states

This page is made from the table that the gateway runs on (`gateway/alarms/state.py`) by
`python -m gateway.alarms.page`; a test fails when it is out of date. For the ideas behind it see
[alarms](../explanation/alarms.md).
"""

_STATES = {
    AlarmState.NORMAL: "No alarm.",
    AlarmState.UNACKED: "The condition is there and nobody has acknowledged. Sounds until silenced.",
    AlarmState.ACKED: "The condition is there, somebody has acknowledged.",
    AlarmState.RETURNED: "The condition is gone and nobody has acknowledged. Sounds likewise.",
    AlarmState.LATCHED_UNACKED: "The condition is gone, the latch holds, nobody has acknowledged. Sounds likewise.",
    AlarmState.LATCHED_ACKED: "The condition is gone, the latch holds until a reset.",
    AlarmState.SHELVED: "Put aside by a person for a limited time, at most 12 hours.",
    AlarmState.SUPPRESSED: "Put aside by the site's own logic, or because another alarm tells the cause.",
    AlarmState.OUT_OF_SERVICE: "Put aside by a person under a permit, until a person ends it.",
}

_TRIGGERS = {
    Trigger.RAISE: "The condition comes, or is still there after a reset.",
    Trigger.ESCALATE: "The condition gets worse: low to high, fault to low or high, or a fault during an alarm.",
    Trigger.DE_ESCALATE: "The condition falls from high to low, or from any level to a warning.",
    Trigger.RETURN: "The condition goes.",
    Trigger.ACKNOWLEDGE: "A person acknowledges.",
    Trigger.RESET: "A person resets.",
    Trigger.SHELVE: "A person shelves, with a reason and for a time.",
    Trigger.UNSHELVE: "A person ends the shelving.",
    Trigger.EXPIRE: "The time of the shelving is over.",
    Trigger.EXCEED: "The condition is about to rise above what was shelved.",
    Trigger.TAKE_OUT: "A person takes it out of service under a permit, or prolongs that (command `out-of-service`).",
    Trigger.PUT_BACK: "A person returns it to service (command `return-to-service`).",
    Trigger.SUPPRESS: "The site's own logic puts it aside, or a cause that stands for it begins.",
    Trigger.UNSUPPRESS: "That ends, and nothing else holds the alarm down.",
    Trigger.REMOVE: "The rule is no longer in the site file.",
}


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from _glossary("State", {state.value: text for state, text in _STATES.items()})
    yield from _glossary("Trigger", {trigger.value: text for trigger, text in _TRIGGERS.items()})
    yield '"Held" is an alarm whose rule latches and which has reached low or high; a fault is never held.'
    yield '"Inhibited" is an alarm that the site\'s own logic holds down, or whose cause is told by another alarm.'
    yield "A warning never sounds, whatever the tables say, is never held and never the first alarm of an area. What a"
    yield "latch holds at low or high sounds again when it comes back from being put aside, whatever the condition is."
    yield "A trigger that is ignored makes no event; one that is refused is answered with the sentence given."
    yield "A reset while the condition is there leaves `normal` with a condition. The rule's next evaluation raises the"
    yield "alarm again, as a new occurrence with sound; where the condition has gone by then, `cleared` says so."
    for state in AlarmState:
        yield f"\n## From `{state}`\n"
        yield "| trigger | where | to | event | sounds | remark |"
        yield "|---|---|---|---|---|---|"
        yield from (_line(row) for row in TABLE if row.state is state)


def _glossary(title: str, texts: dict[str, str]) -> Iterator[str]:
    yield f"| {title} | Meaning |"
    yield "|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in texts.items())
    yield ""


def _line(row: Row) -> str:
    head = f"| `{row.trigger}` | {_where(row)} |"
    match row.outcome:
        case Step(state, kind, annunciate):
            return f"{head} `{state}` | `{kind}` | {'yes' if annunciate else ''} | |"
        case Ignored(reason):
            return f"{head} | | | ignored: {reason} |"
        case Refused(reason):
            return f"{head} | | | refused: {reason} |"


def _where(row: Row) -> str:
    parts = []
    if row.active is not None:
        parts.append("condition there" if row.active else "condition gone")
    if row.held is not None:
        parts.append("held" if row.held else "not held")
    if row.inhibited is not None:
        parts.append("inhibited" if row.inhibited else "not inhibited")
    return ", ".join(parts)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - the page is what this module is run for
