"""What the API answers when it refuses: problem details as JSON (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.api.payloads import AlarmView
from gateway.core.errors import (
    CommandRefusedError,
    HazgateError,
    IncompleteOrderError,
    StorageError,
    UnknownAlarmError,
)

MEDIA_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal (RFC 9457).

    Attributes:
        type: As the standard has it.
        title: The status in words.
        status: The HTTP status.
        detail: One sentence for the person who asked.
        detail_zh: The same in Chinese, where somebody has said it in Chinese.
        alarm: How the alarm stands now, where the order was about one.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    detail_zh: str | msgspec.UnsetType = msgspec.UNSET
    alarm: AlarmView | msgspec.UnsetType = msgspec.UNSET


class ProblemError(HazgateError):
    """A request that is refused; becomes a problem answer.

    Args:
        status: HTTP status.
        detail: One sentence that names the thing and the value.
        headers: Headers of the answer, e.g. `Retry-After`.
        alarm: How the alarm stands that an order was about, or None.
        detail_zh: The sentence in Chinese, or empty.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        *,
        alarm: AlarmView | None = None,
        detail_zh: str = "",
    ) -> None:
        self.alarm = alarm
        self.detail_zh = detail_zh
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(detail)


def body(status: int, detail: str, alarm: AlarmView | None = None, detail_zh: str = "") -> bytes:
    """Return a problem as JSON.

    >>> body(404, "no channel x")
    b'{"type":"about:blank","title":"Not Found","status":404,"detail":"no channel x"}'
    """
    truth: Any = msgspec.UNSET if alarm is None else alarm
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, alarm=truth)
    return msgspec.json.encode(msgspec.structs.replace(problem, detail_zh=detail_zh) if detail_zh else problem)


def answer(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    alarm: AlarmView | None = None,
    detail_zh: str = "",
) -> Response:
    """Return a problem as a response."""
    return Response(body(status, detail, alarm, detail_zh), status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every refusal of `app` a problem answer."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(CommandRefusedError, _on_refused)
    app.add_exception_handler(StorageError, _on_storage)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_defect)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return answer(error.status, error.detail, error.headers, error.alarm, error.detail_zh)


async def _on_refused(_: Request, error: Exception) -> Response:
    return answer(status_of(error), str(error))


def status_of(error: Exception) -> int:
    """Return the status of a refused order: not there, not whole, or not as things stand."""
    if isinstance(error, UnknownAlarmError):
        return 404
    return 422 if isinstance(error, IncompleteOrderError) else 409


async def _on_storage(_: Request, error: Exception) -> Response:
    return answer(503, str(error))


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(str(key) for key in one['loc'])}: {one['msg']}" for one in error.errors()[:5]]
    return answer(422, "; ".join(parts))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = f"there is nothing at {request.url.path}" if error.status_code == 404 else str(error.detail)
    return answer(error.status_code, detail, error.headers)


async def _on_defect(_: Request, __: Exception) -> Response:
    # The web framework logs it with its traceback; what went wrong inside is nothing for the caller to read.
    return answer(500, "the gateway made a mistake; its log says more")
