"""How payloads become responses: encoded by msgspec, compressed where they are large and the caller can read it."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Request, Response

from gateway.api.access import Access, Caller, Role
from gateway.api.problems import ProblemError

T = TypeVar("T")

COMPRESS_FROM = 4096
THREAD_FROM = 64 * 1024
_READING = ("GET", "HEAD", "OPTIONS")
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


async def reply(request: Request, payload: msgspec.Struct) -> Response:
    """Return a payload as JSON; not-a-number becomes null."""
    return await packed(request, msgspec.json.encode(payload), "application/json")


async def packed(request: Request, body: bytes, media_type: str) -> Response:
    """Return a body, compressed where that is worth it; large ones in a thread, so that alarms do not wait."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = await asyncio.to_thread(gzip.compress, body, 1) if len(body) >= THREAD_FROM else gzip.compress(body, 1)
    return Response(body, headers=headers, media_type=media_type)


async def body_of(request: Request, order: type[T]) -> T:
    """Return a request's body as the structure of an order. Raises ProblemError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A form of another site's page cannot send this type without asking first, and is not answered.
        raise ProblemError(415, f"commands are application/json, not {kind!r}")
    try:
        found: T = _decoder(order).decode(await request.body() or b"{}")
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProblemError(422, f"body: {error}") from error
    return found


def _decoder(order: type) -> msgspec.json.Decoder[Any]:
    decoder = _decoders.get(order)
    if decoder is None:
        decoder = _decoders[order] = msgspec.json.Decoder(order)
    return decoder


def needs(access: Access, role: Role) -> Callable[[Request], Awaitable[Caller]]:
    """Return the dependency that admits callers of a role; the route's functions find them in `caller_of`."""

    async def admit(request: Request) -> Caller:
        host = request.client.host if request.client else ""
        order = "" if request.method in _READING else f"{request.method} {request.url.path}"
        request.state.caller = await access.admit(request.headers, host, role, order)
        return caller_of(request)

    return admit


def caller_of(request: Request) -> Caller:
    """Return who was admitted to this request."""
    caller: Caller = request.state.caller
    return caller
