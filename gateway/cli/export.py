"""`hazgate export`: the journal as CSV, or as JSON Lines that prove themselves."""

from pathlib import Path

import click

from gateway.cli import logs
from gateway.cli.folder import folder_options, journal_folder


@click.command()
@folder_options
@click.option("--form", type=click.Choice(("jsonl", "csv")), default="jsonl", show_default=True, help="Kind of file.")
@click.option("--start", help="Not before this time (RFC 3339; a date alone is midnight at the site).")
@click.option("--end", help="Before this time.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def command(  # noqa: PLR0917 - click calls it by keyword
    data: Path | None, site_id: str | None, form: str, start: str | None, end: str | None, file: Path
) -> None:
    """Write the journal into FILE; the gateway may run meanwhile.

    `hazgate verify FILE` proves a JSON Lines file by itself.
    """
    logs.set_up(as_json=False, quiet=True)
    from gateway.core.clock import SystemClock, rfc3339  # noqa: PLC0415 - `--help` stays quick
    from gateway.reports.place import read_place  # noqa: PLC0415
    from gateway.store.export import csv_parts, jsonl_parts  # noqa: PLC0415
    from gateway.store.search import Past  # noqa: PLC0415

    folder = journal_folder(data, site_id)
    place, past = read_place(folder), Past(folder / "journal.db")
    start_ns, end_ns = place.time_of(start, "--start"), place.time_of(end, "--end")
    if form == "csv":
        parts = csv_parts(past, place.zone, start_ns, end_ns)
    else:
        about = {"site": place.id, "gateway": place.gateway, "exported": rfc3339(SystemClock().now_ns())}
        parts = jsonl_parts(past, about, start_ns, end_ns)
    written = 0
    with file.open("wb") as out:
        for part in parts:
            written += out.write(part)
    click.echo(f"{file}: {written} bytes")
