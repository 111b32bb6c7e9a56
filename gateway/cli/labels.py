"""`hazgate labels`: a sheet of labels with codes, for the instruments of a site."""

from fnmatch import fnmatchcase
from pathlib import Path

import click

from gateway.cli import logs

SHEETS = ("3x8", "2x7", "3x7", "4x10", "1x1")


@click.command()
@click.argument("site_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--url", help="Address of the console as phones reach it; `notifications.link` where left out.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("labels.pdf"), show_default=True)
@click.option("--only", multiple=True, help="Only instruments whose id matches, with * and ?; may be repeated.")
@click.option(
    "--sheet", type=click.Choice(SHEETS), default="3x8", show_default=True, help="Labels across and down, A4."
)
@click.option("--first", default=1, show_default=True, help="Place of the first label on a sheet that was begun.")
def command(site_file: Path, url: str | None, out: Path, *, only: tuple[str, ...], sheet: str, first: int) -> None:
    """Print a sheet of labels (PDF); scanning one opens the page of that instrument on a phone."""
    logs.set_up(as_json=False, quiet=True)
    from gateway.reports.labels import draw, label_of  # noqa: PLC0415 - `--help` loads nothing heavy
    from gateway.site.load import load_site  # noqa: PLC0415

    site = load_site(site_file)
    address = url or site.file.notifications.link
    if not address:
        raise click.UsageError(
            "say where phones reach the console: --url http://… or notifications.link in the site file"
        )
    areas = {area.id: area.label_zh or area.label or area.id for area in site.file.areas}
    chosen = [
        instrument
        for instrument in site.instruments.values()
        if not only or any(fnmatchcase(instrument.id, pattern) for pattern in only)
    ]
    if not chosen:
        raise click.ClickException("no instrument has such an id")
    labels = [label_of(one, address, areas.get(one.area, one.area)) for one in chosen]
    out.write_bytes(draw(labels, sheet, first))
    click.echo(f"{len(labels)} labels in {out}")
