"""Which gateway's data a command is about: `--data DIR` or `--site ID`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.run import state_folder

F = TypeVar("F", bound=Callable[..., Any])


def folder_options(command: F) -> F:
    """Add `--data` and `--site` to a command."""
    command = click.option("--site", "site_id", help="Site id, to find its data folder.")(command)
    return click.option("--data", type=click.Path(path_type=Path), help="Data folder of the gateway.")(command)


def journal_folder(data: Path | None, site_id: str | None) -> Path:
    """Return the data folder that is meant. Raises click's errors where it is not said, or holds no journal."""
    if data is None and site_id is None:
        raise click.UsageError("say which gateway: --data DIR or --site ID")
    folder = data or state_folder(site_id or "")
    if not (folder / "journal.db").is_file():
        raise click.ClickException(f"{folder} holds no journal.db")
    return folder
