"""The link of MQTT instruments to their broker: a bounded queue and a task that publishes what is in it."""

import asyncio
from collections import deque

import aiomqtt

from gateway.core.clock import Clock

QUEUE_MAX = 10_000
"""Messages that wait while the broker is away; beyond that the oldest are dropped, as small instruments do."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 5.0
_STOP_AGAIN_S = 1.0


class Publisher:
    """Publishes to one broker and comes back when it was away.

    Args:
        host: The broker's address.
        port: Its port.
        clock: What is waited by.
        qos: 0 or 1, for every message.
        username: Empty for none.
        password: For the user.
        identifier: Client identifier, unique at the broker; empty lets the broker choose.

    Attributes:
        published: Messages that the broker has taken.
        dropped: Messages lost because the queue was full.
        down: Whether the link is cut on purpose: messages put meanwhile are lost.
    """

    def __init__(
        self,
        host: str,
        port: int,
        clock: Clock,
        *,
        qos: int = 1,
        username: str = "",
        password: str = "",
        identifier: str = "",
    ) -> None:
        self.host, self.port, self._clock, self._qos = host, port, clock, qos
        self._login = (username or None, password or None, identifier or None)
        self._waiting: deque[tuple[str, bytes, bool]] = deque()
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self.published = self.dropped = 0
        self.down = False
        self._over = False

    @property
    def address(self) -> str:
        """Where a reader connects to."""
        return f"mqtt://{self.host}:{self.port}"

    async def start(self) -> None:
        """Begin to publish; does not wait for the broker."""
        self._over = False
        self._task = asyncio.create_task(self._run(), name=f"publish to {self.address}")

    async def stop(self) -> None:
        """Hang up; may be called twice."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        # aiomqtt loses a cancellation that meets an answer, or a good-bye without one: the task must see for itself.
        self._over = True
        task, self._task = self._task, None
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_STOP_AGAIN_S)

    def put(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Publish as soon as the broker takes it; `retained` has the broker keep it for those who come later."""
        if self.down:
            return
        if len(self._waiting) >= QUEUE_MAX:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((topic, payload, retained))
        self._some.set()

    def put_later(self, delay_s: float, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Publish after a delay; at once where there is none."""

        def due() -> None:
            self._timers.discard(timer)
            self.put(topic, payload, retained=retained)

        if delay_s <= 0.0:
            self.put(topic, payload, retained=retained)
            return
        if len(self._timers) >= QUEUE_MAX:
            self.dropped += 1
            return
        timer = asyncio.get_running_loop().call_later(delay_s, due)
        self._timers.add(timer)

    async def _run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while not self._over:
            try:
                username, password, identifier = self._login
                async with aiomqtt.Client(
                    self.host, self.port, username=username, password=password, identifier=identifier, timeout=5.0
                ) as client:
                    wait_s = _FIRST_WAIT_S
                    await self._drain(client)
            except aiomqtt.MqttError:
                # The broker is away; the simulator's reader will say so, and the instrument only tries again.
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2.0, _LONGEST_WAIT_S)

    async def _drain(self, client: aiomqtt.Client) -> None:
        while not self._over:
            await self._some.wait()
            while self._waiting and not self._over:
                topic, payload, retained = self._waiting[0]
                await client.publish(topic, payload, qos=self._qos, retain=retained)
                # Taken off only now: what was under way when the link broke is sent again.
                if self._waiting and self._waiting[0][1] is payload:
                    self._waiting.popleft()
                self.published += 1
            self._some.clear()
