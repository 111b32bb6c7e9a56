"""Which messages of QoS 1 and 2 the broker still waits for, and what it is told when.

A message is acknowledged when its readings are on disk: PUBACK for QoS 1, PUBREC for QoS 2. paho's own manual
acknowledgement sends the PUBREC of a QoS 2 message at once, after which the broker forgets the message, so a gateway
that is killed before it has stored it would lose it.

What has no acknowledgement yet keeps its packet identifier over a reconnection with the same session (MQTT 5.0, 4.4),
so a message that comes again under the identifier, with the same content, is known and not read twice. The same holds
for one whose PUBACK was sent and never arrived, because the broker was restarted meanwhile.
"""

from collections import OrderedDict, deque

import msgspec

from drivers.mqtt.framing import PUBACK, PUBCOMP, PUBREC, Publish, acknowledgement

ACKNOWLEDGED_MAX = 10_000
"""Messages of QoS 1 whose acknowledgement may have been lost that are remembered; few brokers have more under way."""


class Entry(msgspec.Struct, eq=False, gc=False):
    """One message: what it was, how far it has come, and whether the present connection has brought it."""

    mid: int
    qos: int
    digest: int
    live: bool = True
    stored: bool = False


NOBODY_WAITS = Entry(0, 0, 0)
"""Stands for every message of QoS 0."""


class Ledger:
    """Follows each message from its arrival to its acknowledgement; what is to be sent is returned as bytes."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._acknowledged: OrderedDict[int, int] = OrderedDict()
        self._released: set[int] = set()
        self._handed: deque[Entry] = deque()
        self._settled = 0
        self.returned = 0
        """Messages of QoS 1 and 2 that have been handed on so far; never goes back."""

    def __len__(self) -> int:
        return len(self._entries)

    def opened(self, *, resumed: bool) -> None:
        """A connection stands: either with the session there was, or with none, where all identifiers are new."""
        if not resumed:
            self._entries.clear()
            self._acknowledged.clear()
            self._released.clear()
        self.lost()

    def lost(self) -> None:
        """The connection is gone: what is stored from now on is acknowledged when it comes again."""
        for entry in self._entries.values():
            entry.live = False

    def arrived(self, message: Publish) -> tuple[Entry | None, bytes]:
        """Return the message's entry, or None where it is known already; and what is to be sent at once."""
        if not message.qos:
            return NOBODY_WAITS, b""
        mid = message.mid
        if message.qos == 2 and mid in self._released:
            return None, acknowledgement(PUBREC, mid)
        digest = hash((message.topic, message.payload))
        entry = self._entries.get(mid)
        if entry is None and message.dup and message.qos == 1 and self._acknowledged.get(mid) == digest:
            return None, acknowledgement(PUBACK, mid)
        if entry is None or entry.digest != digest or entry.qos != message.qos or not message.dup:
            entry = self._entries[mid] = Entry(mid, message.qos, digest)
            self._acknowledged.pop(mid, None)
            return entry, b""
        entry.live = True
        return None, self._acknowledge(entry) if entry.stored else b""

    def handed(self, entry: Entry, *, empty: bool = False) -> bytes:
        """The message has left the driver; return what is to be sent.

        One that held no readings waits for no store, unless others before it do: the order is kept.
        """
        if not entry.qos:
            return b""
        self._handed.append(entry)
        self.returned += 1
        return self.stored(self.returned) if empty and len(self._handed) == 1 else b""

    def stored(self, returned: int) -> bytes:
        """The first `returned` messages are on disk; return their acknowledgements, in the order of arrival."""
        answers: list[bytes] = []
        while self._settled < returned and self._handed:
            self._settled += 1
            entry = self._handed.popleft()
            entry.stored = True
            # An entry of a session that is gone, or whose identifier has been given away, has nobody waiting.
            if entry.live and self._entries.get(entry.mid) is entry:
                answers.append(self._acknowledge(entry))
        return b"".join(answers)

    def _acknowledge(self, entry: Entry) -> bytes:
        del self._entries[entry.mid]
        if entry.qos == 2:
            self._released.add(entry.mid)
        else:
            self._acknowledged[entry.mid] = entry.digest
            if len(self._acknowledged) > ACKNOWLEDGED_MAX:
                self._acknowledged.popitem(last=False)
        return acknowledgement(PUBREC if entry.qos == 2 else PUBACK, entry.mid)

    def released(self, mid: int) -> bytes:
        """The broker lets go of a QoS 2 message (PUBREL); return the PUBCOMP that ends its life."""
        self._released.discard(mid)
        return acknowledgement(PUBCOMP, mid)
