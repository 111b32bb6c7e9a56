"""Reads what instruments publish to an MQTT broker."""

import asyncio
import ssl
from collections import Counter, deque
from collections.abc import Sequence

import aiomqtt
import structlog

from drivers.mqtt.framing import Publish
from drivers.mqtt.ledger import Entry, Ledger
from drivers.mqtt.link import CONNECT_TIMEOUT_S, Link
from drivers.mqtt.options import Options
from drivers.mqtt.presence import Heartbeat
from drivers.mqtt.readings import Readings
from drivers.mqtt.topics import Routes, subscriptions, unshared
from drivers.mqtt.trust import Status
from drivers.mqtt.vigil import Vigil
from drivers.mqtt.wiring import Instrument, Target
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, NotConnectedError
from gateway.core.model import Batch, Quality
from gateway.core.plugin import InstrumentPlan

log = structlog.get_logger()

BURST_MESSAGES_MAX = 2_000
BURST_READINGS_MAX = 10_000
"""One `read` returns at most this much, so that the judging of it does not hold up the loop."""
TOPICS_SAID_MAX = 1_000
"""Topics that a log line was written for; of further ones only the counter speaks."""
RESUME_AT = 0.5
"""Fill of the queue below which a broker that was made to wait may go on."""


class MqttDriver:
    """One broker; see `gateway.core.plugin.Driver` and `Acknowledging`.

    Attributes:
        counters: `messages`, `unmatched`, `retained` (ignored), `repeated` (known already, by the broker's identifier
            or by `repeat_keys`), `unreadable` (readings), `history_lost` (values of the past that could not be kept),
            `oversized`, `dropped` (QoS 0 messages), `paused` (times the broker was made to wait); they start at 0.

    Args:
        options: The connection's.
        targets: Every topic filter, and what it leads to.
        heartbeats: What is to be told when a connection stands.
        statuses: What is to be told when a connection was lost.
        vigil: Looks at what may fall silent.
        clock: Time.
    """

    def __init__(  # noqa: PLR0917 - what the wiring has made, each of another kind
        self,
        options: Options,
        targets: Sequence[Target],
        heartbeats: Sequence[Heartbeat],
        statuses: Sequence[Status],
        vigil: Vigil,
        clock: Clock,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._options = options
        self._endpoint = f"mqtt://{options.host}:{options.port}"
        self._routes = Routes([(target.filter, target) for target in targets])
        self._filters = subscriptions([target.filter for target in targets])
        self._heartbeats = heartbeats
        self._statuses = statuses
        self._vigil = vigil
        self._nap: asyncio.Task[None] | None = None
        self._nap_until_s = 0.0
        self._clock = clock
        self._ledger = Ledger()
        self._link: Link | None = None
        self._subscribing: asyncio.Task[list[str]] | None = None
        self._queue: deque[tuple[Publish, Entry, int]] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._reason = "not connected"
        self._refused: list[str] = []
        self._paused = False
        self._dropping = False
        self._said: set[bytes] = set()

    async def connect(self) -> None:
        """Open the connection and subscribe."""
        await self.close()
        try:
            password, tls = await asyncio.to_thread(credentials, self._options)
        except (OSError, ValueError) as error:
            raise NotConnectedError(self._endpoint, str(error)) from error
        link = Link(self._options, password, tls, self)
        try:
            self._link = link
            await link.open()
            self._subscribing = asyncio.create_task(link.subscribe_all(self._filters, self._options.qos))
            await self._subscribed_or_full(link, self._subscribing)
            self._look_at_subscriptions()
            for heartbeat in self._heartbeats:
                heartbeat.listen()
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            link.abort()
            await self.close()
            raise NotConnectedError(self._endpoint, str(error) or type(error).__name__) from error
        except BaseException:
            link.abort()
            await self.close()
            raise

    async def _subscribed_or_full(self, link: Link, subscribing: "asyncio.Task[list[str]]") -> None:
        """Wait for the broker's answer, or until so much of what it kept has come that somebody must read first."""
        subscribing.add_done_callback(lambda _: self._wake.set())
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            while not subscribing.done() and not self._paused and link.up:
                self._wake.clear()
                await self._wake.wait()
        if not link.up:
            raise aiomqtt.MqttError(link.reason)

    def _look_at_subscriptions(self) -> None:
        """Take the broker's answer where it has come. Raises NotConnectedError where nothing can be had."""
        task = self._subscribing
        if task is None or not task.done():
            return
        self._subscribing = None
        if task.cancelled() or (error := task.exception()) is not None:
            reason = "the subscription was given up" if task.cancelled() else str(error)
            raise NotConnectedError(self._endpoint, reason)
        self._refused = task.result()
        for text in self._refused[:20]:
            log.warning("subscription refused", broker=self._endpoint, filter=text, refused=len(self._refused))
        if self._refused and len(self._refused) == len(self._filters):
            raise NotConnectedError(
                self._endpoint, f"the broker refuses every subscription, first {self._refused[0]!r}"
            )

    async def read(self) -> Batch:
        """Wait for messages and return the readings of all that wait."""
        while True:
            self._look_at_subscriptions()
            batch = self._refusals() if self._refused else self._burst()
            if len(batch):
                return batch
            if self._queue:
                continue
            link = self._link
            if link is None or not link.up:
                raise NotConnectedError(self._endpoint, link.reason if link else self._reason)
            self._wake.clear()
            self._doze()
            await self._wake.wait()

    def _doze(self) -> None:
        """See to it that the next wait ends when somebody is due to be looked at."""
        due_s = self._vigil.next_s
        if due_s is None or (self._nap is not None and not self._nap.done() and self._nap_until_s <= due_s):
            return
        if self._nap is not None:
            self._nap.cancel()
        self._nap_until_s = due_s
        self._nap = asyncio.create_task(self._clock.sleep(due_s - self._clock.monotonic_s()))
        self._nap.add_done_callback(lambda _: self._wake.set())

    async def close(self) -> None:
        """Disconnect; what has not been acknowledged stays with the broker where the session is kept."""
        link, self._link = self._link, None
        subscribing, self._subscribing = self._subscribing, None
        self._paused = False
        nap, self._nap = self._nap, None
        if nap is not None:
            nap.cancel()
            await asyncio.gather(nap, return_exceptions=True)
        if subscribing is not None:
            subscribing.cancel()
            await asyncio.gather(subscribing, return_exceptions=True)
        if link is not None:
            self._reason = link.reason or "closed"
            await link.shut()

    def returned(self) -> int:
        """Return how many messages of QoS 1 and 2 `read` has returned so far."""
        return self._ledger.returned

    async def stored(self, returned: int) -> None:
        """Acknowledge the first `returned` messages."""
        self._notice_loss()
        self._send(self._ledger.stored(returned))

    def _notice_loss(self) -> None:
        if self._link is None or not self._link.up:
            self._ledger.lost()

    def _send(self, packets: bytes) -> None:
        if packets and self._link is not None:
            self._link.send(packets)

    def session(self, *, resumed: bool) -> None:
        """See `link.Ear`: messages that wait in the queue are known by their identifiers only in the same session."""
        self._ledger.opened(resumed=resumed and not self._options.clean_session)
        # Also in the same session: what instruments publish with QoS 0, no broker need keep.
        for status in self._statuses:
            status.miss()

    def message(self, message: Publish) -> None:
        """See `link.Ear`."""
        self.counters["messages"] += 1
        entry, answer = self._ledger.arrived(message)
        if entry is None:
            self.counters["repeated"] += 1
            self._send(answer)
            return
        self._queue.append((message, entry, self._clock.now_ns()))
        self._queued_bytes += len(message.payload or b"")
        if len(self._queue) > self._options.queue_messages_max or self._queued_bytes > self._options.queue_bytes_max:
            self._overflow()

    def release(self, mid: int) -> None:
        """See `link.Ear`."""
        self._send(self._ledger.released(mid))

    def burst(self) -> None:
        """See `link.Ear`."""
        self._wake.set()

    def _overflow(self) -> None:
        if self._options.qos:
            if not self._paused and self._link is not None:
                self._paused = True
                self.counters["paused"] += 1
                self._link.pause()
                self._wake.set()
            return
        dropped, _, _ = self._queue.popleft()
        self._queued_bytes -= len(dropped.payload or b"")
        self.counters["dropped"] += 1
        for target in self._routes.find(dropped.topic)[1]:
            target.listener.overlook()
        if not self._dropping:
            self._dropping = True
            log.warning(
                "messages dropped: they come faster than they are read",
                broker=self._endpoint,
                topic=dropped.topic.decode("utf-8", "backslashreplace"),
                queue_messages_max=self._options.queue_messages_max,
                queue_bytes_max=self._options.queue_bytes_max,
            )

    def _burst(self) -> Batch:
        """Decode what waits, up to the limits of one batch."""
        self._notice_loss()
        out, answers = Readings(), bytearray()
        self._vigil.look(out)
        for _ in range(min(len(self._queue), BURST_MESSAGES_MAX)):
            message, entry, arrival_ns = self._queue.popleft()
            self._queued_bytes -= len(message.payload or b"")
            before = out.count
            self._decode(message, arrival_ns, out)
            answers += self._ledger.handed(entry, empty=out.count == before)
            if out.count >= BURST_READINGS_MAX:
                break
        self._send(bytes(answers))
        self._room()
        self.counters["unreadable"] += out.unreadable
        self.counters["history_lost"] += out.lost
        self.counters["repeated"] += out.repeated
        return out.batch()

    def _decode(self, message: Publish, arrival_ns: int, out: Readings) -> None:
        topic, targets = self._routes.find(message.topic)
        if not targets:
            self.counters["unmatched"] += 1
        for target in targets:
            self._deliver(target, message, arrival_ns, out)
        if out.trouble:
            self._say(topic, message, out.trouble)
            out.trouble = ""

    def _deliver(self, target: Target, message: Publish, arrival_ns: int, out: Readings) -> None:
        listener, before = target.listener, out.count - out.past
        if message.retain and message.payload is None and not listener.accepts_retained:
            self.counters["retained"] += 1
        elif message.payload is None:
            self.counters["oversized"] += 1
            listener.refuse(f"a payload of {message.size} bytes", arrival_ns, out)
        elif message.retain:
            if not listener.retained(message.payload, arrival_ns, out):
                self.counters["retained"] += 1
            return
        else:
            listener.decode(message.payload, arrival_ns, out)
        if target.presence is not None and target.presence.gone and out.count - out.past > before:
            target.presence.heard()

    def _room(self) -> None:
        half = self._options.queue_messages_max * RESUME_AT
        if len(self._queue) <= half and self._queued_bytes <= self._options.queue_bytes_max * RESUME_AT:
            self._dropping = False
            if self._paused and self._link is not None:
                self._paused = False
                self._link.resume()

    def _say(self, topic: str, message: Publish, reason: str) -> None:
        if message.topic in self._said or len(self._said) >= TOPICS_SAID_MAX:
            return
        self._said.add(message.topic)
        log.warning(
            "unreadable payload",
            broker=self._endpoint,
            topic=topic,
            reason=reason,
            payload=repr((message.payload or b"")[:80]),
        )

    def _refusals(self) -> Batch:
        """Say of channels whose topics the broker does not give out that there is nothing to be had."""
        behind = [target.listener for text in self._refused for target in self._routes.behind(text)]
        rows = sorted({row for listener in behind for row in listener.deny()})
        self._refused = []
        return Batch.of(rows, self._clock.now_ns(), [float("nan")] * len(rows), Quality.REFUSED)


def credentials(options: Options) -> tuple[str | None, ssl.SSLContext | None]:
    """Read the password and the certificates; done anew at each connection, so that they can be renewed.

    Raises:
        OSError, ValueError: A file cannot be read or used; the message names it.
    """
    password = None
    if options.password_file is not None:
        lines = options.password_file.read_text(encoding="utf-8").splitlines()
        password = lines[0] if lines else ""
    if not options.tls:
        return password, None
    context = ssl.create_default_context(cafile=None if options.tls_ca_file is None else str(options.tls_ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.tls_cert_file is not None:
        context.load_cert_chain(str(options.tls_cert_file), str(options.tls_key_file))
    return password, context


def create(options: Options, instruments: Sequence[InstrumentPlan], clock: Clock) -> MqttDriver:
    """Return the driver.

    Raises:
        ConfigError: Files that cannot be read, topics that cannot be joined, or channel options that do not fit.
    """
    try:
        credentials(options)
    except (OSError, ValueError) as error:
        key = "password_file" if options.password_file and not options.password_file.is_file() else "tls_ca_file"
        raise ConfigError(("options", key), f"cannot be used: {error}") from error
    vigil = Vigil(clock)
    wired = [Instrument(plan, vigil, options.share).wire() for plan in instruments]
    targets = [target for item in wired for target in item.targets]
    heartbeats = [item.heartbeat for item in wired if item.heartbeat is not None]
    _warn_of_late_backlog(options, targets)
    statuses = [status for item in wired for status in item.statuses]
    return MqttDriver(options, targets, heartbeats, statuses, vigil, clock)


def _warn_of_late_backlog(options: Options, targets: Sequence[Target]) -> None:
    late = [target.filter for target in targets if any(not c.timed for c in target.listener.channels)]
    if late and not options.clean_session:
        log.warning(
            "what the broker keeps while the gateway is away will be stamped with its late arrival",
            topics=len(late),
            first=unshared(late[0]),
            remedy="give these instruments a time from the payload, or set clean_session true",
        )
