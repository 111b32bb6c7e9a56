"""Notices when a line cannot keep its periods, and says so once a change. Pure but for the log."""

import structlog

from drivers.modbus.polls import Poll

log = structlog.get_logger()

KEPT_FOR_S = 60.0
"""So long must every poll have come in time before the line counts as keeping its periods again."""


class Overload:
    """Counts polls that were due while their predecessors were still waiting.

    Args:
        endpoint: For messages.
        load: Part of its time that the line needs for all polls, by theory; None where it is no line.

    Attributes:
        lasts: Whether the line is behind.
    """

    def __init__(self, endpoint: str, load: float | None) -> None:
        self.lasts = False
        self._endpoint = endpoint
        self._load = load
        self._missed_s = 0.0

    def missed(self, poll: Poll, now_s: float) -> None:
        """Count a poll that had to be left out."""
        self._missed_s = now_s
        if not self.lasts:
            self.lasts = True
            needs = {} if self._load is None else {"needs": f"{self._load:.2f} s of every second"}
            log.warning(
                "periods are not kept", endpoint=self._endpoint, instrument=poll.instrument,
                period_s=poll.period_s, urgent=poll.urgent, **needs,
            )  # fmt: skip

    def kept(self, poll: Poll, now_s: float) -> None:
        """Count a poll that was asked in time; only needed while the line is behind."""
        if now_s - self._missed_s > max(KEPT_FOR_S, 2.0 * poll.period_s):
            self.lasts = False
            log.info("periods are kept again", endpoint=self._endpoint)
