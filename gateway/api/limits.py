"""What every request is held to: size of its body, time for its answer, and headers that keep a browser strict."""

import asyncio
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import ProblemError, answer

BODY_MAX = 64 * 1024
LARGE_MAX: Final = {
    "/api/v1/problems": 80 * 1024,
    "/api/v1/cases/close": 4 << 20,
    **dict.fromkeys(("/api/v1/orders", "/api/v1/out-of-service", "/api/v1/return-to-service"), 4 << 20),
}
"""Bodies that may be larger: a photo of 48 KiB in base64, with what was seen; a list of 20,000 alarms, which is read
only when it is known who sends it."""
ANSWER_S = 10.0
LONG_S: Final = 120.0
LONG_PATHS: Final = ("/api/v1/reports/",)
"""What may take longer: a month's report on a small machine."""

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Limits:
    """ASGI middleware: 413 beyond 64 KiB of body, 503 where no answer has begun after 10 s, strict headers on all.

    A report with a photo may have 80 KiB; reports of a shift, day or month may take two minutes.

    Args:
        app: The application behind it.
        answer_s: Seconds until an answer must have begun.
    """

    def __init__(self, app: ASGIApp, answer_s: float = ANSWER_S) -> None:
        self._app = app
        self._answer_s = answer_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer_s = max(self._answer_s, LONG_S) if scope["path"].startswith(LONG_PATHS) else self._answer_s
        exchange = _Exchange(receive, send, LARGE_MAX.get(scope["path"], BODY_MAX))
        try:
            if _announced(scope) > exchange.size_max:
                raise exchange.too_large
            async with asyncio.timeout(answer_s) as exchange.deadline:
                await self._app(scope, exchange.receive, exchange.send)
        except ProblemError as error:
            await answer(error.status, error.detail, error.headers)(scope, receive, exchange.send)
        except TimeoutError:
            if exchange.begun:
                raise
            exchange.deadline = None
            detail = f"no answer within {answer_s:g} s; a command may have been carried out all the same"
            await answer(503, detail, {"Retry-After": "5"})(scope, receive, exchange.send)


def _announced(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length[:12]) if length.isdigit() else 0


class _Exchange:
    """One request and its answer, counted."""

    def __init__(self, receive: Receive, send: Send, size_max: int) -> None:
        self._receive = receive
        self._send = send
        self.size_max = size_max
        self._size = 0
        self.begun = False
        self.deadline: asyncio.Timeout | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self.size_max:
            raise self.too_large
        return message

    @property
    def too_large(self) -> ProblemError:
        return ProblemError(413, f"the body is larger than {self.size_max} bytes", {"Connection": "close"})

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            if self.deadline:
                # From here on the connection's own write deadline holds; a stream has no end.
                self.deadline.reschedule(None)
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
            message = {**message, "headers": headers.raw}
        await self._send(message)
