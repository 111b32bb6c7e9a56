"""Which gateway's data a command is about: a folder that was named, or the one of a site in the user's state folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli import logs
from gateway.cli.run import state_folder

if TYPE_CHECKING:
    from gateway.core.model import Reason
    from gateway.store.people import PeopleStore

F = TypeVar("F", bound=Callable[..., Any])


def options(call: F) -> F:
    """Give a command the options `--data` and `--site`."""
    call = click.option("--site", "site_id", help="Site id, to find the data folder in the user's state directory.")(
        call
    )
    return click.option("--data", type=click.Path(path_type=Path), help="Data folder of the gateway.")(call)


def chosen(data: Path | None, site_id: str | None) -> Path:
    """Return the folder, and set up logging. Raises click.UsageError where neither says which."""
    logs.set_up(as_json=False, quiet=True)
    if data is None and site_id is None:
        raise click.UsageError("say which gateway: --data DIR or --site ID")
    return data or state_folder(site_id or "")


def leave_note(store: "PeopleStore", why: "Reason") -> None:
    """Leave word for the gateway, which journals it within seconds or when it next starts. Raises StorageError."""
    import getpass  # noqa: PLC0415

    from gateway.alarms.words import one_line  # noqa: PLC0415

    store.note(now_ns(), one_line(f"{getpass.getuser()} at the terminal"), one_line(why.en), one_line(why.zh))


def now_ns() -> int:
    """Return the present time."""
    from gateway.core.clock import SystemClock  # noqa: PLC0415

    return SystemClock().now_ns()
