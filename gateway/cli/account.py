"""`hazgate account`: the accounts of people, from the terminal of the gateway, whether it runs or not."""

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import data_folder
from gateway.cli.data_folder import leave_note, now_ns

if TYPE_CHECKING:
    from gateway.store.people import AccountRow

ROLES = ("viewer", "operator", "engineer", "administrator")


@click.group()
@data_folder.options
@click.pass_context
def command(ctx: click.Context, data: Path | None, site_id: str | None) -> None:
    """Make and change the accounts of people; what changes is journalled by the gateway."""
    ctx.obj = data_folder.chosen(data, site_id)


def _password_options(call: Callable[..., Any]) -> Callable[..., Any]:
    call = click.option("--generate", is_flag=True, help="Make a password and print it; it must be changed at once.")(
        call
    )
    return click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")(call)


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
@click.option("--display-name", default="", help="Name on the screen; NAME if not given.")
@_password_options
@click.pass_obj
def add(folder: Path, name: str, role: str, display_name: str, *, generate: bool, password_stdin: bool) -> None:
    """Make an account for NAME; asks for the password."""
    from gateway.people import words  # noqa: PLC0415 - only when one is made
    from gateway.people.names import checked_display_name, checked_name, key_of  # noqa: PLC0415
    from gateway.people.passwords import Passwords  # noqa: PLC0415
    from gateway.people.people import check_not_a_token  # noqa: PLC0415
    from gateway.store.people import AccountRow, open_people  # noqa: PLC0415

    with _said():
        name = checked_name(name)
        shown = checked_display_name(display_name, name)
    with open_people(folder / "journal.db") as (store, ledger):
        check_not_a_token(ledger, name)
        password = _password((name, shown), generate=generate, from_stdin=password_stdin)
        account = AccountRow(
            key=key_of(name),
            name=name,
            display_name=shown,
            role=role,
            password=Passwords().hash(password),
            must_change=generate,
            created_ns=now_ns(),
        )
        store.add(account)
        leave_note(store, words.made(name, role))
    if generate:
        click.echo(password)


@command.command("list")
@click.pass_obj
def show(folder: Path) -> None:
    """List names, roles, states, sessions and last sign-ins."""
    from gateway.core.clock import rfc3339  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (store, _):
        accounts, at_ns = store.accounts(), now_ns()
        sessions, locks = store.session_counts(at_ns), store.locked_until([a.key for a in accounts], at_ns)
    for account in accounts:
        state = "locked" if account.key in locks else "must change" if account.must_change else "enabled"
        last = rfc3339(account.last_ns, digits=0) if account.last_ns else "never signed in"
        count = sessions.get(account.key, 0)
        line = f"{_padded(account.name, 24)} {account.role:<14} {state if account.enabled else 'disabled':<12}"
        click.echo(f"{line} {count:>3} {'session ' if count == 1 else 'sessions'} {last}")


@command.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice(ROLES))
@click.pass_obj
def change_role(folder: Path, name: str, role: str) -> None:
    """Give NAME another role; it holds within seconds."""
    _change(folder, name, role=role)


@command.command("password")
@click.argument("name")
@_password_options
@click.pass_obj
def change_password(folder: Path, name: str, *, generate: bool, password_stdin: bool) -> None:
    """Set the password of NAME anew; ends all sessions and a lock."""
    from gateway.people.passwords import Passwords  # noqa: PLC0415

    password = _password((name,), generate=generate, from_stdin=password_stdin)
    _change(folder, name, password=Passwords().hash(password), must_change=generate)
    if generate:
        click.echo(password)


@command.command("disable")
@click.argument("name")
@click.pass_obj
def disable(folder: Path, name: str) -> None:
    """Let NAME not sign in any more, and end all sessions."""
    _change(folder, name, enabled=False)


@command.command("enable")
@click.argument("name")
@click.pass_obj
def enable(folder: Path, name: str) -> None:
    """Let NAME sign in again; also ends a lock."""
    _change(folder, name, enabled=True)


@command.command("remove")
@click.argument("name")
@click.pass_obj
def remove(folder: Path, name: str) -> None:
    """Remove the account of NAME; what the person did stays in the journal."""
    from gateway.people import words  # noqa: PLC0415
    from gateway.people.names import key_of  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (store, _):
        gone = _there(store.remove(key_of(name)), name)
        leave_note(store, words.removed(gone.name))


@command.command("sign-out")
@click.argument("name")
@click.pass_obj
def sign_out(folder: Path, name: str) -> None:
    """End all sessions of NAME; they are refused within seconds."""
    from gateway.people import words  # noqa: PLC0415
    from gateway.people.names import key_of  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (store, _):
        account = _there(store.account(key_of(name)), name)
        count = store.end_sessions(account.key)
        leave_note(store, words.signed_out(account.name, "", count))
    click.echo(f"{count} {'session' if count == 1 else 'sessions'} ended")


def _change(folder: Path, name: str, **changes: Any) -> None:
    """Change an account and leave word of it. Raises click.ClickException, LastAdministratorError, StorageError."""
    from gateway.people.names import key_of  # noqa: PLC0415
    from gateway.people.people import changes_between  # noqa: PLC0415
    from gateway.store.people import open_people  # noqa: PLC0415

    with open_people(folder / "journal.db") as (store, _):
        before = _there(store.account(key_of(name)), name)
        after = _there(store.change(before.key, **changes), name)
        for why in changes_between(before, after):
            leave_note(store, why)


def _there(account: "AccountRow | None", name: str) -> "AccountRow":
    if account is None:
        raise click.ClickException(f"no account is called {name!r}")
    return account


def _password(names: tuple[str, ...], *, generate: bool, from_stdin: bool) -> str:
    """Return a good password: made, piped in, or asked for twice."""
    from gateway.people.passwords import check_password, new_password  # noqa: PLC0415

    if generate:
        return new_password()
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    with _said():
        check_password(password, *names)
    return password


@contextmanager
def _said() -> Iterator[None]:
    """Tell what is wrong with a name or a password as a failed command, not as a fault of the program."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _padded(text: str, columns: int) -> str:
    """Return a text filled up to so many columns of a terminal, where Chinese characters take two."""
    width = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return text + " " * max(0, columns - width)
