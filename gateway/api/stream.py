"""One reader's live stream: server-sent events over a response that never ends."""

import asyncio
from contextlib import suppress
from typing import Final

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from gateway.api.access import Access, Role
from gateway.api.hub import Cursor, Hub
from gateway.api.problems import ProblemError, answer
from gateway.api.replies import caller_of
from gateway.core.clock import Clock

STREAMS_MAX = 64
CHECK_S = 3.0
"""How often a stream's token is looked at again: who was revoked sees nothing five seconds later."""
WAIT_S = 2.0

HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class LiveStream(Response):
    """Sends the snapshot, then events and values until the reader leaves, loses its rights, or the gateway stops.

    What the reader does not take waits in the journal and not here; a reader that takes nothing at all is cut off by
    the connection's own deadline. The stream makes no heartbeat of its own: a gateway that stands still must look
    still.

    Args:
        request: The request; its address and headers are checked again every few seconds.
        hub: Where events and values come from.
        access: Checks again.
        clock: Times the checks.
        cursor: Where the reader stands.
    """

    def __init__(self, request: Request, hub: Hub, access: Access, *, clock: Clock, cursor: Cursor) -> None:
        super().__init__()
        self._request = request
        self._hub = hub
        self._access = access
        self._clock = clock
        self._cursor = cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream (ASGI)."""
        if self._hub.closed or self._hub.readers >= STREAMS_MAX:
            refusal = answer(503, f"all {STREAMS_MAX} live streams are taken", {"Retry-After": "5"})
            await refusal(scope, receive, send)
            return
        self._hub.readers += 1
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await self._hub.open()
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await _send(send, b"retry: 2000\n\n" + await self._hub.join(self._cursor, caller_of(self._request)))
            await self._feed(send, gone)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._hub.readers -= 1
            gone.cancel()

    async def _feed(self, send: Send, gone: asyncio.Task[None]) -> None:
        checked_s = self._clock.monotonic_s()
        while self._hub.running and not gone.done():
            if self._hub.over(self._cursor):
                await _send(send, self._hub.farewell())
                return
            news = self._hub.news()
            if chunk := await self._hub.take(self._cursor):
                await _send(send, chunk)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(WAIT_S):
                    await news()
            if self._clock.monotonic_s() - checked_s >= CHECK_S:
                checked_s = self._clock.monotonic_s()
                if not await self._may_stay():
                    return

    async def _may_stay(self) -> bool:
        client = self._request.client
        try:
            await self._access.admit(self._request.headers, client.host if client else "", Role.VIEWER)
        except ProblemError:
            return False
        return True


async def _send(send: Send, chunk: bytes) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
