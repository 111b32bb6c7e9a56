"""Accounts, sessions and failed attempts on the disk."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.core.clock import NS_PER_S
from gateway.store.journal import Journal
from gateway.store.ledger import Ledger
from gateway.store.people import (
    ACCOUNTS_MAX,
    ADDRESSES_MAX,
    ATTEMPTS_MAX,
    FREE_FAILURES,
    IDLE_NS,
    LIFE_NS,
    LOCK_MAX_S,
    NOTES_MAX,
    SESSIONS_MAX,
    AccountRow,
    LastAdministratorError,
    NameTakenError,
    NotFirstError,
    PeopleStore,
    SessionRow,
    TooManyError,
    open_people,
)
from tests.integration.memory_people import MemoryDatabase

T0 = 1_700_000_000 * NS_PER_S


@pytest.fixture
def store() -> PeopleStore:
    return PeopleStore(MemoryDatabase())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[PeopleStore, Ledger]]:
    with open_people(tmp_path / "data" / "journal.db") as tables:
        yield tables


def account(key: str, role: str = "operator", **more: object) -> AccountRow:
    row = AccountRow(key=key, name=key.title(), display_name=key, role=role, password="hash", created_ns=T0)
    return msgspec.structs.replace(row, **more)


def signed(store: PeopleStore, key: str, number: int, at_ns: int = T0, address: str = "10.0.0.1") -> str:
    digest = f"{key}-{number}"
    row = store.account(key)
    store.sign_in(SessionRow(digest, key, at_ns, at_ns, address), row.password if row else "")
    return digest


def test_an_account_is_kept_whole(store: PeopleStore) -> None:
    assert not store.has_accounts()
    row = account("王敏", "engineer", must_change=True, last_ns=5)
    store.add(row)
    assert store.has_accounts()
    assert store.account("王敏") == row
    assert store.accounts() == [row]
    assert store.account("li") is None


def test_two_people_never_share_a_name_and_the_first_is_first(store: PeopleStore) -> None:
    store.add(account("wang", "administrator"), first=True)
    with pytest.raises(NameTakenError):
        store.add(account("wang"))
    with pytest.raises(NotFirstError):
        store.add(account("li", "administrator"), first=True)
    assert [row.key for row in store.accounts()] == ["wang"]


def test_accounts_have_a_limit(store: PeopleStore) -> None:
    for number in range(ACCOUNTS_MAX):
        store.add(account(f"p{number:03d}"))
    with pytest.raises(TooManyError):
        store.add(account("one-more"))
    store.remove("p000")
    store.add(account("one-more"))


def test_the_last_administrator_stays_whatever_is_asked(store: PeopleStore) -> None:
    store.add(account("wang", "administrator"))
    store.add(account("li", "administrator", enabled=False))
    store.add(account("zhao", "engineer"))
    for ask in (
        lambda: store.change("wang", role="engineer"),
        lambda: store.change("wang", enabled=False),
        lambda: store.remove("wang"),
    ):
        with pytest.raises(LastAdministratorError):
            ask()
    assert store.account("wang") == account("wang", "administrator")
    store.change("li", enabled=True)
    store.remove("wang")
    with pytest.raises(LastAdministratorError):
        store.change("li", enabled=False)
    store.remove("zhao")


def test_a_session_ends_by_idleness_and_by_age_and_never_later(store: PeopleStore) -> None:
    store.add(account("wang"))
    digest = signed(store, "wang", 1)
    assert store.session(digest, T0 + IDLE_NS - 1)
    assert store.session(digest, T0 + IDLE_NS) is None
    at_ns = T0
    while at_ns < T0 + LIFE_NS - IDLE_NS:
        at_ns += IDLE_NS - NS_PER_S
        store.touch(digest, at_ns)
    assert store.session(digest, T0 + LIFE_NS - 1)
    assert store.session(digest, T0 + LIFE_NS) is None
    assert store.prune(T0 + LIFE_NS) == 1


def test_a_clock_that_is_set_back_never_shortens_a_use(store: PeopleStore) -> None:
    store.add(account("wang"))
    digest = signed(store, "wang", 1)
    store.touch(digest, T0 - IDLE_NS)
    found = store.session(digest, T0 + 1)
    assert found
    assert found[0].seen_ns == T0


def test_whoever_is_disabled_removed_or_signed_out_has_no_session(store: PeopleStore) -> None:
    for key in ("a", "b", "c"):
        store.add(account(key))
    digests = {key: signed(store, key, 1) for key in ("a", "b", "c")}
    store.change("a", enabled=False)
    store.remove("b")
    assert store.end_sessions("c") == 1
    assert all(store.session(digest, T0) is None for digest in digests.values())
    # Even one that began in the moment of being disabled.
    assert store.session(signed(store, "a", 2), T0) is None
    store.change("a", enabled=False)
    store.change("a", enabled=True)
    store.add(account("b"))
    assert all(store.session(digest, T0) is None for digest in digests.values())


def test_a_new_password_ends_all_sessions_but_the_one_that_gave_it(store: PeopleStore) -> None:
    store.add(account("wang"))
    store.add(account("li"))
    mine, other, hers = signed(store, "wang", 1), signed(store, "wang", 2), signed(store, "li", 1)
    store.change("wang", password="new", must_change=False, keep=mine)
    assert store.session(mine, T0)
    assert store.session(other, T0) is None
    assert store.session(hers, T0)
    store.change("wang", password="newer")
    assert store.session(mine, T0) is None


def test_a_role_holds_for_sessions_that_exist(store: PeopleStore) -> None:
    store.add(account("wang", "engineer"))
    digest = signed(store, "wang", 1)
    store.change("wang", role="viewer")
    found = store.session(digest, T0)
    assert found
    assert found[1].role == "viewer"


def test_a_person_has_twenty_sessions_and_the_least_used_makes_way(store: PeopleStore) -> None:
    store.add(account("wang"))
    store.add(account("li"))
    hers = signed(store, "li", 1)
    digests = [signed(store, "wang", number, T0 + number) for number in range(SESSIONS_MAX + 3)]
    assert [store.session(digest, T0 + 100) is not None for digest in digests] == [False] * 3 + [True] * SESSIONS_MAX
    assert store.session(hers, T0 + 100)
    assert store.session_counts(T0 + 100) == {"wang": SESSIONS_MAX, "li": 1}


def test_guessing_locks_a_name_longer_and_longer_and_never_for_more_than_minutes(store: PeopleStore) -> None:
    store.add(account("wang"))
    waits = []
    at_ns = T0
    for _ in range(20):
        charge = store.charge("wang", "10.9.9.9", at_ns)
        assert charge.wait_s == 0
        wait_s = store.charge("wang", "10.9.9.9", at_ns).wait_s if charge.failures >= FREE_FAILURES else 0.0
        waits.append(wait_s)
        at_ns += round(wait_s * NS_PER_S)
    assert waits[: FREE_FAILURES - 1] == [0.0] * (FREE_FAILURES - 1)
    assert waits[FREE_FAILURES - 1 :] == sorted(waits[FREE_FAILURES - 1 :])
    assert waits[FREE_FAILURES - 1] == 1.0
    assert waits[-1] == LOCK_MAX_S


def test_names_that_do_not_exist_are_locked_like_those_that_do(store: PeopleStore) -> None:
    store.add(account("wang"))
    told = {
        name: [(c.wait_s, c.failures) for c in (store.charge(name, "10.9.9.9", T0) for _ in range(12))]
        for name in ("wang", "nobody")
    }
    assert told["wang"] == told["nobody"]


def test_a_guesser_elsewhere_never_locks_the_person_out_at_the_usual_place(store: PeopleStore) -> None:
    store.add(account("wang"))
    signed(store, "wang", 1, address="10.0.0.1")
    for number in range(60):
        store.charge("wang", f"10.9.9.{number}", T0)
    assert store.charge("wang", "10.9.9.200", T0).wait_s > 0
    assert store.charge("wang", "10.0.0.1", T0).wait_s == 0
    for _ in range(FREE_FAILURES):
        store.charge("wang", "10.0.0.1", T0)
    assert store.charge("wang", "10.0.0.1", T0).wait_s > 0


def test_a_success_forgets_failures(store: PeopleStore) -> None:
    store.add(account("wang"))
    for _ in range(FREE_FAILURES):
        store.charge("wang", "10.0.0.1", T0)
    assert store.locked_until(["wang", "li"], T0) == {"wang": T0 + NS_PER_S}
    signed(store, "wang", 1)
    assert store.charge("wang", "10.0.0.1", T0).failures == 1
    assert store.locked_until(["wang"], T0) == {}


def test_enabling_and_a_new_password_end_a_lock(store: PeopleStore) -> None:
    store.add(account("wang"))
    for change in ({"enabled": True}, {"password": "new"}):
        for _ in range(FREE_FAILURES):
            store.charge("wang", "10.9.9.9", T0)
        assert store.charge("wang", "10.9.9.9", T0).wait_s
        store.change("wang", **change)  # type: ignore[arg-type]  # one of two options by name
        assert store.charge("wang", "10.9.9.9", T0).wait_s == 0


def test_a_lock_from_the_future_does_not_hold_when_the_clock_was_set_back(store: PeopleStore) -> None:
    store.add(account("wang"))
    for _ in range(FREE_FAILURES):
        store.charge("wang", "10.9.9.9", T0 + 86_400 * NS_PER_S)
    assert store.charge("wang", "10.9.9.9", T0).wait_s == 0


def test_attempts_addresses_and_notes_are_bounded() -> None:
    database = MemoryDatabase()
    store = PeopleStore(database)
    store.add(account("wang"))
    for number in range(ATTEMPTS_MAX + 50):
        store.charge(f"name {number}", "10.9.9.9", T0 + number)
    for number in range(ADDRESSES_MAX + 5):
        signed(store, "wang", number, T0 + number, address=f"10.0.0.{number}")
    for number in range(NOTES_MAX + 5):
        store.note(T0, "root", f"note {number}", "")
    with database.read("counting") as connection:
        counts = [connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in
                  ("attempts", "known_addresses", "people_notes")]  # fmt: skip
    assert counts == [ATTEMPTS_MAX, ADDRESSES_MAX, NOTES_MAX]


def test_notes_are_read_in_order_and_forgotten_when_journalled(store: PeopleStore) -> None:
    for number in range(150):
        store.note(T0 + number, "root", f"note {number}", "注")
    first = store.notes(0)
    assert [note.why for note in first] == [f"note {number}" for number in range(100)]
    store.forget_notes(first[-1].id)
    assert [note.why for note in store.notes(0)] == [f"note {number}" for number in range(100, 150)]
    store.forget_notes(10_000)
    store.note(T0, "root", "later", "")
    assert [note.id for note in store.notes(150)] == [151]


def test_names_and_passwords_never_stand_in_the_table_of_attempts(store: PeopleStore, tmp_path: Path) -> None:
    with open_people(tmp_path / "journal.db") as (kept, _):
        kept.charge("my secret typed as a name", "10.9.9.9", T0)
    assert b"my secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_all_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with open_people(path) as (store, tokens):
        store.add(account("wang"))
        signed(store, "wang", 1)
        tokens.add_token("plc", "viewer", "d", T0)
        for _ in range(FREE_FAILURES):
            store.charge("wang", "10.9.9.9", T0)
    with open_people(path) as (store, tokens):
        assert store.session("wang-1", T0)
        assert store.charge("wang", "10.9.9.9", T0).wait_s
        assert [token.name for token in tokens.tokens()] == ["plc"]


def test_the_command_line_and_a_gateway_use_the_tables_at_once(disk: tuple[PeopleStore, Ledger]) -> None:
    store, tokens = disk
    journal = Journal.open(tokens.database.path, "gw-1")
    try:
        running = PeopleStore(journal.database)
        running.add(account("wang"))
        digest = signed(running, "wang", 1)
        assert store.end_sessions("wang") == 1
        assert running.session(digest, T0) is None
        store.change("wang", role="viewer")
        found = running.account("wang")
        assert found
        assert found.role == "viewer"
    finally:
        journal.close()


def test_accounts_are_taken_over_from_a_damaged_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, "gw-1")
    PeopleStore(journal.database).add(account("wang", "administrator"))
    journal.close()
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'cursors'").fetchone()
    connection.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    journal = Journal.open(path, "gw-1")
    try:
        assert journal.problems
        assert [row.key for row in PeopleStore(journal.database).accounts()] == ["wang"]
    finally:
        journal.close()


def test_only_the_gateways_own_user_reads_the_file(tmp_path: Path) -> None:
    with open_people(tmp_path / "journal.db") as (store, _):
        store.add(account("wang"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}, modes


def test_a_session_is_not_begun_by_a_password_that_was_changed_while_it_was_checked(store: PeopleStore) -> None:
    store.add(account("li"))
    store.change("li", password="another")
    assert not store.sign_in(SessionRow("d", "li", T0, T0, "10.0.0.1"), "hash")
    assert store.session("d", T0) is None
    store.change("li", enabled=False)
    assert not store.sign_in(SessionRow("d", "li", T0, T0, "10.0.0.1"), "another")


def test_a_password_is_not_changed_by_one_that_is_the_password_no_more(store: PeopleStore) -> None:
    store.add(account("li"))
    store.change("li", password="reset by the administrator", must_change=True)
    assert store.change("li", password="the thief's", must_change=False, was="hash") is None
    row = store.account("li")
    assert row is not None
    assert (row.password, row.must_change) == ("reset by the administrator", True)
