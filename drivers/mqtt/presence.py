"""Whether an instrument is there at all: what a last will, its relay or its heartbeat say of it."""

from collections.abc import Sequence

from drivers.mqtt.channels import ChannelDecoder
from drivers.mqtt.decode import BROKEN, parse, text_of
from drivers.mqtt.paths import MISSING, Path
from drivers.mqtt.readings import Readings
from drivers.mqtt.trust import UNCERTAIN, Source, Status
from drivers.mqtt.trust_options import AvailabilityOptions, HeartbeatOptions
from drivers.mqtt.vigil import Vigil
from drivers.values import GOOD, as_text
from gateway.core.model import Quality

COMMS_LOST = int(Quality.COMMS_LOST)
STALE = int(Quality.STALE)
REPEAT_MIN_S = 1.0
"""Shortest time between two readings that say the same of an instrument that is gone."""


def repeat_s(periods: Sequence[tuple[float, float]]) -> float:
    """Return how often to say that an instrument is gone, so that nobody takes its channels for merely stale.

    Args:
        periods: Of each channel its period and after what time it is stale, in seconds.
    """
    return max(REPEAT_MIN_S, min((min(period_s, stale_s / 2) for period_s, stale_s in periods), default=REPEAT_MIN_S))


class Presence:
    """One instrument that says when it leaves.

    From the moment that any of its topics says so, its channels are COMMS_LOST, told again and again, until one of
    its own messages comes or all say that it is back; then its last readings stand until fresh ones come, or the
    supervisor finds that none do.

    Args:
        channels: The instrument's.
        statuses: The instrument's; what they said before it left no longer vouches for its values.
        every_s: How often to say that it is gone.
        vigil: Who looks again.
    """

    def __init__(
        self, channels: Sequence[ChannelDecoder], statuses: Sequence[Status], every_s: float, vigil: Vigil
    ) -> None:
        self.gone: set[int] = set()
        self._channels = channels
        self._statuses = statuses
        self._every_s = every_s
        self._vigil = vigil
        self._watched = False

    def left(self, source: int, arrival_ns: int, out: Readings) -> None:
        """Take that a topic says that it is gone."""
        self.gone.add(source)
        for status in self._statuses:
            status.doubt()
        self._say(arrival_ns, out)
        if not self._watched:
            self._watched = True
            self._vigil.add(self, self._vigil.now_s() + self._every_s)

    def back(self, source: int) -> None:
        """Take that a topic says that it is there: no reading by itself."""
        self.gone.discard(source)

    def heard(self) -> None:
        """Take that it has sent something itself, which says more than anybody's word."""
        self.gone.clear()

    def look(self, now_s: float, now_ns: int, out: Readings) -> float | None:
        """See `vigil.Watch`."""
        if not self.gone:
            self._watched = False
            return None
        self._say(now_ns, out)
        return now_s + self._every_s

    def _say(self, time_ns: int, out: Readings) -> None:
        for channel in self._channels:
            out.add(channel.row, time_ns, float("nan"), COMMS_LOST)


class Availability:
    """Reads one topic that tells of an instrument's presence; a target like `decode.MessageDecoder`.

    Args:
        options: The topic's.
        source: Its number among the instrument's.
        presence: Who is told.
    """

    channels: tuple[ChannelDecoder, ...] = ()
    accepts_retained = False

    def __init__(self, options: AvailabilityOptions, source: int, presence: Presence) -> None:
        self._path = Path(options.path) if options.path else None
        self._online = frozenset(options.online)
        self._offline = frozenset(options.offline)
        self._source = source
        self._presence = presence

    def decode(self, payload: bytes, arrival_ns: int, out: Readings) -> None:
        """Take what the topic says."""
        word = self._word(payload)
        if word in self._offline:
            self._presence.left(self._source, arrival_ns, out)
        elif word in self._online:
            self._presence.back(self._source)
        else:
            out.trouble = out.trouble or f"{word!r:.60} is neither online nor offline"

    def retained(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:
        """Take what the broker has kept: a last will is kept so that whoever comes later knows."""
        self.decode(payload, arrival_ns, out)
        return True

    def refuse(self, reason: str, arrival_ns: int, out: Readings) -> None:  # noqa: ARG002 - it has no channels
        """Take that the payload was too long: it says nothing."""
        out.trouble = out.trouble or reason

    def overlook(self) -> None:
        """Take that a message was dropped: an instrument that is gone shows itself by silence."""

    def deny(self) -> list[int]:
        """Take that the broker refuses the topic; silence then has to show itself by the channels' own time."""
        return []

    def _word(self, payload: bytes) -> str:
        """Return the word; relays of different age write it bare or in JSON."""
        text = text_of(payload).strip().lower()
        if self._path is None:
            return text
        document = parse(payload)
        if document is BROKEN or not isinstance(document, dict | list):
            return text
        found = self._path.one(document)
        return "" if found is MISSING else as_text(found)


class Heartbeat(Source):
    """Reads the topic on which something comes as long as an instrument works; a target like `MessageDecoder`.

    While it is silent the instrument's values are STALE, whatever they show; until it has been heard over a new
    connection there is no evidence of life, and none of death: UNCERTAIN.

    Args:
        options: The topic's.
        channels: The instrument's.
        every_s: How often to say that it is silent.
        vigil: Who looks whether it is.
    """

    channels: tuple[ChannelDecoder, ...] = ()
    accepts_retained = False

    def __init__(
        self, options: HeartbeatOptions, channels: Sequence[ChannelDecoder], every_s: float, vigil: Vigil
    ) -> None:
        super().__init__(UNCERTAIN)
        self._path = Path(options.path) if options.path else None
        self._silent_after_s = options.silent_after_s
        self._every_s = every_s
        self._spoken_for = channels
        self._vigil = vigil
        self._last: object = MISSING
        self._last_s = 0.0
        self._watched = False

    def listen(self) -> None:
        """A connection stands: from now on it can be heard."""
        self._last_s = self._vigil.now_s()
        if self.code == GOOD:
            self.mean(UNCERTAIN)
        if not self._watched:
            self._watched = True
            self._vigil.add(self, self._last_s + self._silent_after_s)

    def decode(self, payload: bytes, arrival_ns: int, out: Readings) -> None:  # noqa: ARG002 - a beat is no reading
        """Take a beat; with a path it is one only if the value there has changed."""
        if self._path is not None:
            document = parse(payload)
            found = MISSING if document is BROKEN else self._path.one(document)
            if found is MISSING or found == self._last:
                return
            self._last = found
        self._last_s = self._vigil.now_s()
        self.mean(GOOD)

    def retained(self, payload: bytes, arrival_ns: int, out: Readings) -> bool:  # noqa: ARG002 - as above
        """Take what the broker has kept for what it is: no beat."""
        return False

    def refuse(self, reason: str, arrival_ns: int, out: Readings) -> None:  # noqa: ARG002 - as above
        """Take that the payload was too long; something came all the same, unless its content counts."""
        if self._path is None:
            self.decode(b"", arrival_ns, out)

    def overlook(self) -> None:
        """Take that a beat was dropped: without others the values become STALE, which is on the side of danger."""

    def deny(self) -> list[int]:
        """Take that the broker refuses the topic: it stays silent, and the channels become STALE."""
        return []

    def look(self, now_s: float, now_ns: int, out: Readings) -> float | None:
        """See `vigil.Watch`."""
        if now_s < self._last_s + self._silent_after_s:
            return self._last_s + self._silent_after_s
        self.mean(STALE)
        for channel in self._spoken_for:
            channel.bad(now_ns, out, "no heartbeat")
        return now_s + self._every_s
