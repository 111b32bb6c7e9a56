"""Which messages of QoS 1 and 2 the broker still waits for, and what it is told when.

A message is acknowledged when its readings are on disk: PUBACK for QoS 1, PUBREC for QoS 2. paho's own manual
acknowledgement sends the PUBREC of a QoS 2 message at once, after which the broker forgets the message, so a gateway
that is killed before it has stored it would lose it.

What has no acknowledgement yet keeps its packet identifier over a reconnection with the same session (MQTT 5.0, 4.4),
so a message that comes again under the identifier, with the same content, is known and not read twice.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from drivers.mqtt.framing import PUBACK, PUBCOMP, PUBREC, Publish, acknowledgement


@dataclass(slots=True)
class Entry:
    """One message: its content's digest, how far it has come, and whether the present connection has brought it."""

    digest: int
    qos: int
    live: bool = True
    stored: bool = False


class Ledger:
    """Follows each message from its arrival to its acknowledgement; what is to be sent is returned as bytes."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._released: set[int] = set()
        self._handed: deque[int] = deque()
        self._settled = 0
        self.returned = 0
        """Messages whose readings have been handed on so far; never goes back."""

    def __len__(self) -> int:
        return len(self._entries)

    def opened(self, *, resumed: bool) -> None:
        """A connection stands: either with the session there was, or with none, where all identifiers are new."""
        if not resumed:
            self._entries.clear()
            self._released.clear()
            self._handed.clear()
            self._settled = self.returned
        for entry in self._entries.values():
            entry.live = False

    def arrived(self, message: Publish) -> tuple[bool, bytes]:
        """Return whether the message is new, and what to send at once where it is known and already on disk."""
        if not message.qos:
            return True, b""
        mid = message.mid
        if message.qos == 2 and mid in self._released:
            return False, acknowledgement(PUBREC, mid)
        digest = hash((message.topic, message.payload))
        entry = self._entries.get(mid)
        if entry is None or entry.digest != digest or entry.qos != message.qos or not message.dup:
            self._entries[mid] = Entry(digest, message.qos)
            return True, b""
        entry.live = True
        return False, self._acknowledge(mid) if entry.stored else b""

    def handed(self, message: Publish) -> None:
        """The message's readings, if it has any, have left the driver."""
        if message.qos:
            self._handed.append(message.mid)
            self.returned += 1

    def settled_but_last(self) -> bool:
        """Whether nothing that was handed on before the last message still waits to be stored."""
        return len(self._handed) == 1

    def stored(self, returned: int) -> bytes:
        """The first `returned` messages are on disk; return their acknowledgements, in the order of arrival."""
        return b"".join(self._settle(returned))

    def _settle(self, returned: int) -> Iterator[bytes]:
        while self._settled < returned and self._handed:
            self._settled += 1
            mid = self._handed.popleft()
            entry = self._entries.get(mid)
            if entry is None:
                continue
            entry.stored = True
            if entry.live:
                yield self._acknowledge(mid)

    def _acknowledge(self, mid: int) -> bytes:
        entry = self._entries.pop(mid)
        if entry.qos == 2:
            self._released.add(mid)
        return acknowledgement(PUBREC if entry.qos == 2 else PUBACK, mid)

    def released(self, mid: int) -> bytes:
        """The broker lets go of a QoS 2 message (PUBREL); return the PUBCOMP that ends its life."""
        self._released.discard(mid)
        return acknowledgement(PUBCOMP, mid)
