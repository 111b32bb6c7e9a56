"""Routes of the reports as pages and PDF, and of the journal as a file."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from gateway.api.access import Role
from gateway.api.face import Gateway
from gateway.api.problems import ProblemError
from gateway.api.replies import packed
from gateway.api.routes import Route
from gateway.api.times import time_of
from gateway.core.errors import HazgateError, StorageError, UnknownAlarmError
from gateway.reports.html import content_policy, html
from gateway.reports.language import Lang
from gateway.reports.model import Kind
from gateway.reports.pdf import PdfMissingError, pdf

CSV, JSONL, PDF, HTML = "text/csv", "application/x-ndjson", "application/pdf", "text/html"
Moment = Annotated[str, Query(max_length=40, description="RFC 3339, or seconds ago; no limit where empty.")]


class ReportRoutes:
    """The routes of reports and of the journal as a file.

    Args:
        gateway: The running gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> list[Route]:
        """Return the routes."""
        none = {404: "There is no such handover.", 501: "PDF needs an extra that is not installed."}
        busy = {409: "Too many exports wait already."}
        viewer = Role.VIEWER
        return [
            Route(path="reports/{kind}", call=self.report, role=viewer, answer=HTML, refusals=none),
            Route(path="export/journal", call=self.export_journal, role=viewer, answer=JSONL, refusals=busy),
        ]

    async def report(  # noqa: PLR0917 - query parameters; the web framework names them
        self,
        request: Request,
        kind: Kind,
        form: Literal["html", "pdf"] = "html",
        date: Annotated[str, Query(max_length=10, description="YYYY-MM-DD, or YYYY-MM for a month.")] = "",
        lang: Lang = "zh",
        id: Annotated[str, Query(max_length=100, description="A signed handover; else its draft.")] = "",  # noqa: A002 - the API's name
    ) -> Response:
        """Return a report as a page that needs nothing else, or as PDF; of a day or month, the last where not said."""
        records = self._gateway.records
        try:
            page = await records.page(kind, lang, date=date, handover=id)
            if form == "html":
                body = (await records.drawn(html, page)).encode()
                answer = await packed(request, body, HTML)
                answer.headers["content-security-policy"] = content_policy()
                answer.headers["x-frame-options"] = "SAMEORIGIN"
                return answer
            body = await records.drawn(pdf, page)
        except (UnknownAlarmError, StorageError):
            raise
        except PdfMissingError as error:
            raise ProblemError(501, str(error)) from error
        except HazgateError as error:
            raise ProblemError(422, str(error)) from error
        name = f"hazgate-{kind}-{id or date or 'latest'}-{lang}.pdf"
        return Response(body, media_type=PDF, headers={"content-disposition": f'inline; filename="{_plain(name)}"'})

    async def export_journal(
        self, form: Literal["csv", "jsonl"] = "jsonl", start: Moment = "", end: Moment = ""
    ) -> Response:
        """Return the journal as a file: CSV for people, or JSON Lines that prove themselves (`hazgate verify`)."""
        now_ns = self._gateway.clock.now_ns()
        start_ns = time_of("start", start, now_ns) if start else 0
        end_ns = time_of("end", end, now_ns) if end else 0
        if end_ns and start_ns >= end_ns:
            raise ProblemError(422, f"start {start!r} is not before end {end!r}")
        parts = self._gateway.records.export(form, start_ns, end_ns)
        # The first part now: what refuses must be said by the status, not by a file cut short.
        first = await anext(parts)
        headers = {"content-disposition": f'attachment; filename="hazgate-journal.{form}"'}
        media_type = f"{CSV}; charset=utf-8" if form == "csv" else JSONL
        return StreamingResponse(_rest(first, parts), media_type=media_type, headers=headers)


async def _rest(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for part in parts:
            yield part
            # Whoever takes it fast would otherwise have the loop to himself.
            await asyncio.sleep(0)  # noqa: TID251 - no time passes; others have their turn
    finally:
        close = getattr(parts, "aclose", None)
        if close is not None:
            await close()


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name if letter.isascii())
