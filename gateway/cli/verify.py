"""`hazgate verify`: prove that a journal, or an exported one, is as it was written."""

from pathlib import Path

import click

from gateway.cli import logs


@click.command()
@click.argument("place", type=click.Path(path_type=Path, exists=True))
@click.option("--head", "noted", help="A head noted earlier, as SEQ:DIGEST: the journal must still contain it.")
def command(place: Path, noted: str | None) -> None:
    """Check every event of PLACE against the chain of hashes; nothing is written.

    PLACE is a gateway's data folder, which may be in use, or a file that `hazgate export` or the console wrote as
    JSON Lines. The first thing that is wrong is named. What comes last is the head: note it somewhere else, and it
    proves later that nothing up to here was rewritten.
    """
    logs.set_up(as_json=False, quiet=True)
    from gateway.store.proof import parse_head, verify_export, verify_journal  # noqa: PLC0415 - `--help` stays quick
    from gateway.store.search import Past  # noqa: PLC0415

    try:
        head = parse_head(noted) if noted else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--head") from error
    if place.is_dir() and not (place / "journal.db").exists():
        raise click.ClickException(f"{place} holds no journal.db")
    proof = verify_journal(Past(place / "journal.db").read, head) if place.is_dir() else verify_export(place, head)
    if proof.problem:
        raise click.ClickException(f"{proof.events} events are as they were written, then: {proof.problem}")
    click.echo(f"{proof.events} events, all as they were written")
    if proof.seq:
        click.echo(f"head {proof.seq}:{proof.digest}")
