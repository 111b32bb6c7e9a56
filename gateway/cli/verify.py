"""`hazgate verify`: check that the journal's chain of events is whole."""

from pathlib import Path

import click

from gateway.cli import logs


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
def command(data: Path) -> None:
    """Check every event in the data folder's journal against the chain of hashes."""
    logs.set_up(as_json=False, quiet=True)
    from gateway.store.journal import Journal  # noqa: PLC0415 - `--help` loads nothing heavy

    if not (data / "journal.db").exists():
        raise click.ClickException(f"{data} holds no journal.db")
    journal = Journal.open(data / "journal.db", "verify")
    try:
        checked, problem = journal.verify()
    finally:
        journal.close()
    if problem:
        raise click.ClickException(f"{checked} events are as they were written, then: {problem}")
    click.echo(f"{checked} events, all as they were written")
