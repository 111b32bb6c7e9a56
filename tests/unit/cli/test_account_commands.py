"""`hazgate account` and `hazgate token`, called in this process: what they do, print and refuse."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import account, token
from gateway.core.clock import NS_PER_S, SystemClock
from gateway.core.errors import HazgateError
from gateway.people.passwords import Passwords
from gateway.store.people import AccountRow, SessionRow, open_people

GOOD = "correct horse 9"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*arguments: str, typed: str = "", of: str = "account") -> Result:
        group = {"account": account.command, "token": token.command}[of]
        return CliRunner().invoke(group, ["--data", str(tmp_path), *arguments], input=typed)

    return call


def row(folder: Path, key: str) -> AccountRow:
    with open_people(folder / "journal.db") as (store, _):
        found = store.account(key)
    assert found
    return found


def said(result: Result) -> str:
    """Return what a refused command says, by itself or through the one place that catches errors."""
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit | HazgateError)
    return result.output + str(result.exception)


def test_an_account_is_made_with_the_password_typed_twice(run: Run, tmp_path: Path) -> None:
    done = run("add", "王敏", "--role", "administrator", typed=f"{GOOD}\n{GOOD}\n")
    assert done.exit_code == 0, done.output
    assert GOOD not in done.output
    made = row(tmp_path, "王敏")
    assert (made.role, made.display_name, made.must_change, made.enabled) == ("administrator", "王敏", False, True)
    assert Passwords().verify(made.password, GOOD)


def test_a_made_password_is_printed_once_and_has_to_be_changed(run: Run, tmp_path: Path) -> None:
    printed = run("add", "Li", "--generate", "--display-name", "李伟").output.strip()
    made = row(tmp_path, "li")
    assert made.must_change
    assert Passwords().verify(made.password, printed)
    again = run("password", "LI", "--generate").output.strip()
    assert again != printed
    assert Passwords().verify(row(tmp_path, "li").password, again)
    run("password", "li", "--password-stdin", typed=f"{GOOD}\n")
    assert not row(tmp_path, "li").must_change


def test_roles_states_and_sessions_are_changed_and_listed(run: Run, tmp_path: Path) -> None:
    assert run("add", "王敏", "--role", "administrator", "--generate").exit_code == 0
    assert run("add", "li", "--generate").exit_code == 0
    now_ns = SystemClock().now_ns()
    with open_people(tmp_path / "journal.db") as (store, _):
        assert store.sign_in(SessionRow("d", "li", now_ns, now_ns, "192.0.2.7"), row(tmp_path, "li").password)
        for _ in range(14):
            store.charge("王敏", "192.0.2.9", now_ns + 60 * NS_PER_S)
    assert run("role", "li", "engineer").exit_code == 0
    lines = run("list").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["li", "engineer"], ["王敏", "administrator"]]
    assert "1 session " in lines[0]
    assert "locked" in lines[1]
    assert "1 session ended" in run("sign-out", "LI").output
    run("disable", "li")
    assert "disabled" in run("list").output
    run("enable", "li")
    run("enable", "王敏")
    listed = run("list").output
    assert "disabled" not in listed
    assert "locked" not in listed
    assert run("remove", "li").exit_code == 0
    assert len(run("list").output.splitlines()) == 1


def test_what_was_changed_waits_for_the_gateway_to_journal_it(run: Run, tmp_path: Path) -> None:
    run("add", "li", "--generate")
    run("role", "li", "operator")
    run("add", "plc", of="token")
    run("revoke", "plc", of="token")
    with open_people(tmp_path / "journal.db") as (store, _):
        notes = store.notes(0)
    assert [note.why for note in notes] == [
        "account 'li' made: viewer",
        "account 'li' is now operator",
        "token 'plc' made: viewer",
        "token 'plc' revoked",
    ]
    assert all(note.who.endswith(" at the terminal") and note.why_zh for note in notes)


def test_what_cannot_be_is_refused_in_one_line(run: Run) -> None:
    run("add", "王敏", "--role", "administrator", "--generate")
    run("add", "plc", of="token")
    for arguments, typed, words in (
        (("add", "a/b", "--generate"), "", "a name has no"),
        (("add", " 王敏", "--generate"), "", "is there already"),
        (("add", "PLC", "--generate"), "", "a token named"),
        (("add", "li", "--password-stdin"), "password123\n", "among the first that are guessed"),
        (("disable", "王敏"), "", "is the last administrator"),
        (("role", "王敏", "viewer"), "", "is the last administrator"),
        (("remove", "王敏"), "", "is the last administrator"),
        (("remove", "nobody"), "", "no account is called"),
        (("role", "nobody", "viewer"), "", "no account is called"),
        (("sign-out", "nobody"), "", "no account is called"),
    ):
        assert words in said(run(*arguments, typed=typed))
    assert "an account named" in said(run("add", "王敏", of="token"))
    assert "no token is called" in said(run("revoke", "other", of="token"))


def test_which_gateway_is_meant_has_to_be_said() -> None:
    for group in (account.command, token.command):
        done = CliRunner().invoke(group, ["list"])
        assert (done.exit_code, "--data DIR or --site ID" in done.output) == (2, True)
