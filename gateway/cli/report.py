"""`hazgate report`: the report of a shift, a day or a month, beside a running gateway or without one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import logs
from gateway.cli.folder import folder_options, journal_folder

if TYPE_CHECKING:
    from gateway.reports.blocks import Page

KINDS = ("handover", "daily", "monthly")


@click.command()
@click.argument("kind", type=click.Choice(KINDS))
@folder_options
@click.option("--date", default="", help="The day (2026-11-22) or month (2026-11); the last one where not given.")
@click.option("--id", "handover", default="", help="A signed handover; the draft of the shift where not given.")
@click.option("--html", "page_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a page into it.")
@click.option("--pdf", "pdf_file", type=click.Path(path_type=Path, dir_okay=False), help="Write a PDF into it.")
@click.option("--lang", type=click.Choice(("zh", "en")), default="zh", show_default=True, help="Language.")
def command(kind: Any, lang: Any, page_file: Path | None, pdf_file: Path | None, **asked: Any) -> None:
    """Write the report of KIND: handover, daily or monthly.

    It is made from the journal in the data folder; a gateway may run on it meanwhile. What was signed is shown as it
    was signed.
    """
    logs.set_up(as_json=False, quiet=True)
    from gateway.reports.html import html  # noqa: PLC0415 - `--help` stays quick
    from gateway.reports.pdf import pdf  # noqa: PLC0415

    if page_file is None and pdf_file is None:
        raise click.UsageError("say where to write it: --html FILE, --pdf FILE, or both")
    page = _page(kind, lang, journal_folder(asked["data"], asked["site_id"]), asked["date"], asked["handover"])
    for file, content in (
        (page_file, html(page).encode() if page_file else b""),
        (pdf_file, pdf(page) if pdf_file else b""),
    ):
        if file is not None:
            file.write_bytes(content)
            click.echo(f"{file}: {page.title}, {page.period}")


def _page(kind: Any, lang: Any, folder: Path, date: str, handover: str) -> "Page":
    import asyncio  # noqa: PLC0415 - as above

    from gateway.core.alarm import AlarmEvent  # noqa: PLC0415
    from gateway.core.clock import SystemClock  # noqa: PLC0415
    from gateway.core.errors import HazgateError  # noqa: PLC0415
    from gateway.records import Records  # noqa: PLC0415
    from gateway.reports.gather import present_of  # noqa: PLC0415
    from gateway.reports.place import read_place  # noqa: PLC0415
    from gateway.store.search import Past  # noqa: PLC0415

    async def nobody(_: AlarmEvent) -> AlarmEvent:
        raise HazgateError("a report is looked at here; it is signed in the console")

    place, past = read_place(folder), Past(folder / "journal.db")
    present = present_of(past)
    records = Records(folder, SystemClock(), past, place=lambda: place, present=lambda: present, record=nobody)
    return asyncio.run(records.page(kind, lang, date=date, handover=handover))
