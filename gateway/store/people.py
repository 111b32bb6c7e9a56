"""Accounts, sessions and failed sign-ins, kept in the journal's database; also where the command line changes them."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from gateway.core.clock import NS_PER_S
from gateway.core.errors import HazgateError
from gateway.store.database import Database
from gateway.store.disk import Problems, make_folder, storage_errors
from gateway.store.ledger import LEDGER_SCHEMA, Ledger

ADMINISTRATOR: Final = "administrator"
WAL_BYTES_MAX: Final = 1 << 20
ACCOUNTS_MAX: Final = 500
SESSIONS_MAX: Final = 20
"""Sessions of one person; the oldest makes way."""
IDLE_NS: Final = 12 * 3600 * NS_PER_S
"""A session that nobody uses ends after the longest shift; an open page uses it."""
LIFE_NS: Final = 30 * 86_400 * NS_PER_S
"""No session lives longer, however much it is used."""
TOUCH_NS: Final = 600 * NS_PER_S
"""How exactly the last use is kept: a session in use costs one write in ten minutes."""
FREE_FAILURES: Final = 5
LOCK_MAX_S: Final = 300
"""Longest lock: nobody may keep the only operator out for longer than that by guessing in his name."""
FORGET_NS: Final = 3600 * NS_PER_S
ATTEMPTS_MAX: Final = 2_000
ADDRESSES_MAX: Final = 20
NOTES_MAX: Final = 1_000


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """One person's account.

    Attributes:
        key: What makes the name one of its kind, whatever its case and width.
        name: As it was given.
        display_name: For the screen.
        role: `viewer`, `operator`, `engineer` or `administrator`.
        password: The password's hash.
        enabled: May sign in.
        must_change: The password was set by somebody else; no orders until it is changed.
        created_ns: When it was made.
        last_ns: When the person last signed in, 0 for never.
    """

    key: str
    name: str
    display_name: str
    role: str
    password: str
    enabled: bool = True
    must_change: bool = False
    created_ns: int = 0
    last_ns: int = 0


class SessionRow(msgspec.Struct, frozen=True):
    """One sign-in; of its secret only the hash is kept.

    Attributes:
        digest: SHA-256 of the secret in hex.
        account: The account's key.
        created_ns: When it began.
        seen_ns: When it was last used, to ten minutes.
        address: Where from.
    """

    digest: str
    account: str
    created_ns: int
    seen_ns: int
    address: str

    @property
    def until_ns(self) -> int:
        """When it ends if nobody uses it."""
        return min(self.seen_ns + IDLE_NS, self.created_ns + LIFE_NS)


class NoteRow(msgspec.Struct, frozen=True):
    """What the command line changed, waiting for the gateway to journal it."""

    id: int
    time_ns: int
    who: str
    why: str
    why_zh: str


class Charge(msgspec.Struct, frozen=True):
    """What a sign-in may go on with.

    Attributes:
        account: The account, or None where there is none of that name.
        wait_s: Seconds for which the name is locked, 0 where it may be tried.
        failures: Failed attempts in a row, this one counted before its end is known.
    """

    account: AccountRow | None
    wait_s: float
    failures: int


class NameTakenError(HazgateError):
    """The name is another account's or a token's."""


class LastAdministratorError(HazgateError):
    """Without this account nobody could administer the gateway any more."""


class NotFirstError(HazgateError):
    """The first administrator exists already."""


class TooManyError(HazgateError):
    """The number of accounts has reached its limit."""


class Base(Protocol):
    """What holds the tables: `gateway.store.database.Database`."""

    def write(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Give the connection inside a transaction."""
        ...

    def read(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Give the connection for reading."""
        ...


def lock_s(failures: int) -> int:
    """Return for how many seconds a name is locked after so many failures in a row: 1, 2, 4, … up to five minutes.

    >>> [lock_s(n) for n in (4, 5, 6, 13, 14, 10**6)]
    [0, 1, 2, 256, 300, 300]
    """
    doublings = failures - FREE_FAILURES
    return min(LOCK_MAX_S, 2 ** min(doublings, 16)) if doublings >= 0 else 0


class PeopleStore:
    """The tables of people. All methods block and raise StorageError where the disk refuses.

    Args:
        database: The journal's database.
    """

    def __init__(self, database: Base) -> None:
        self._database = database

    # Accounts

    def has_accounts(self) -> bool:
        """Return whether any account exists."""
        with self._database.read("looking for accounts") as connection:
            return connection.execute("SELECT 1 FROM accounts LIMIT 1").fetchone() is not None

    def accounts(self) -> list[AccountRow]:
        """Return all accounts by name."""
        with self._database.read("reading accounts") as connection:
            return [_account(row) for row in connection.execute("SELECT * FROM accounts ORDER BY key")]

    def account(self, key: str) -> AccountRow | None:
        """Return one account."""
        with self._database.read("reading an account") as connection:
            return _find(connection, key)

    def add(self, account: AccountRow, *, first: bool = False) -> None:
        """Keep a new account.

        Args:
            account: The account.
            first: Only where there is none yet.

        Raises:
            NameTakenError: Another account has the name.
            NotFirstError: See `first`.
            TooManyError: 500 accounts exist.
        """
        with self._database.write("keeping an account") as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM accounts").fetchone()
            if first and count:
                raise NotFirstError("an account exists already; ask its administrator for one")
            if _find(connection, account.key):
                raise NameTakenError(f"an account named {account.name!r} is there already")
            if count >= ACCOUNTS_MAX:
                raise TooManyError(f"{ACCOUNTS_MAX} accounts exist; remove one that nobody uses")
            _put(connection, account)

    def change(
        self,
        key: str,
        *,
        role: str | None = None,
        display_name: str | None = None,
        password: str | None = None,
        must_change: bool | None = None,
        enabled: bool | None = None,
        keep: str = "",
        was: str = "",
    ) -> AccountRow | None:
        """Change what is not None, and return the account as it is then; None where there is none.

        With `was`, also None where the password's hash is another one by now: who has shown the one before may not
        undo that.

        A new password, and being disabled, end the person's sessions but the one whose digest is `keep`. A new
        password and being enabled end a lock.

        Raises:
            LastAdministratorError: No enabled administrator would be left.
        """
        asked: dict[str, str | bool | None] = {"role": role, "display_name": display_name, "password": password}
        asked |= {"must_change": must_change, "enabled": enabled}
        with self._database.write("changing an account") as connection:
            before = _find(connection, key)
            if before is None or was not in ("", before.password):
                return None
            after = msgspec.structs.replace(before, **{k: v for k, v in asked.items() if v is not None})
            _put(connection, after)
            _check_administered(connection, before)
            if password is not None or not after.enabled:
                connection.execute("DELETE FROM sessions WHERE account = ? AND digest <> ?", (key, keep))
            if password is not None or enabled:
                connection.execute("DELETE FROM attempts WHERE bucket = ?", (_bucket(key),))
        return after

    def rehash(self, account: AccountRow, password: str) -> AccountRow:
        """Keep the same password hashed in another way; nothing where it was changed meanwhile.

        Returns:
            The account with the hash that is kept now.
        """
        with self._database.write("keeping a new hash") as connection:
            done = connection.execute(
                "UPDATE accounts SET password = ? WHERE key = ? AND password = ?",
                (password, account.key, account.password),
            ).rowcount
        return msgspec.structs.replace(account, password=password) if done else account

    def remove(self, key: str) -> AccountRow | None:
        """Forget an account and end its sessions; returns it, or None where there was none.

        Raises:
            LastAdministratorError: No enabled administrator would be left.
        """
        with self._database.write("removing an account") as connection:
            before = _find(connection, key)
            if before is None:
                return None
            connection.execute("DELETE FROM accounts WHERE key = ?", (key,))
            _check_administered(connection, before)
            connection.execute("DELETE FROM sessions WHERE account = ?", (key,))
            connection.execute("DELETE FROM known_addresses WHERE account = ?", (key,))
        return before

    # Signing in

    def charge(self, key: str, address: str, now_ns: int) -> Charge:
        """Count an attempt to sign in as failed before its end is known, so that a thousand at once are counted too.

        Names that do not exist are counted alike: neither the answer nor its time tells which exist. Attempts from
        an address where the person has signed in before are counted apart: a guesser elsewhere cannot lock the
        person out at the usual place.

        Args:
            key: The name's key.
            address: Where from.
            now_ns: The time.
        """
        with self._database.write("counting an attempt to sign in") as connection:
            account = _find(connection, key)
            bucket = _bucket(key, address if _is_known(connection, key, address) else "")
            row = connection.execute("SELECT failures, last_ns, until_ns FROM attempts WHERE bucket = ?", (bucket,))
            failures, last_ns, until_ns = row.fetchone() or (0, now_ns, 0)
            wait_ns = until_ns - now_ns
            if 0 < wait_ns <= LOCK_MAX_S * NS_PER_S:  # else the clock was set back meanwhile
                return Charge(account, wait_ns / NS_PER_S, failures)
            failures = 1 if now_ns - last_ns > FORGET_NS else failures + 1
            values = (bucket, failures, now_ns, now_ns + lock_s(failures) * NS_PER_S)
            connection.execute("INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?)", values)
            connection.execute(
                "DELETE FROM attempts WHERE bucket IN "
                "(SELECT bucket FROM attempts ORDER BY until_ns DESC, last_ns DESC LIMIT -1 OFFSET ?)",
                (ATTEMPTS_MAX,),
            )
        return Charge(account, 0.0, failures)

    def sign_in(self, session: SessionRow, password: str) -> bool:
        """Keep a session and the address it was begun from, and forget failed attempts from there.

        Args:
            session: The session.
            password: The hash that the person's password was checked against. Checking takes its time, in which the
                password may have been changed and all sessions ended; this one must not outlive that.

        Returns:
            False, and nothing is kept, where the account has another hash by now, is disabled or gone.
        """
        key, address, now_ns = session.account, session.address, session.created_ns
        with self._database.write("keeping a session") as connection:
            account = _find(connection, key)
            if account is None or not account.enabled or account.password != password:
                return False
            buckets = (_bucket(key), _bucket(key, address))
            connection.execute("DELETE FROM attempts WHERE bucket IN (?, ?)", buckets)
            connection.execute("UPDATE accounts SET last_ns = ? WHERE key = ?", (now_ns, key))
            connection.execute("INSERT OR REPLACE INTO known_addresses VALUES (?, ?, ?)", (key, address, now_ns))
            connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", msgspec.structs.astuple(session))
            for table, by, limit in (
                ("sessions", "seen_ns", SESSIONS_MAX),
                ("known_addresses", "at_ns", ADDRESSES_MAX),
            ):
                connection.execute(
                    f"DELETE FROM {table} WHERE account = ?1 AND rowid IN "  # noqa: S608 - our own names
                    f"(SELECT rowid FROM {table} WHERE account = ?1 ORDER BY {by} DESC, rowid DESC LIMIT -1 OFFSET ?2)",
                    (key, limit),
                )
        return True

    def settle(self, key: str, address: str) -> None:
        """Forget failed attempts of a person who has shown the password without beginning a session."""
        with self._database.write("forgetting failed attempts") as connection:
            buckets = (_bucket(key), _bucket(key, address))
            connection.execute("DELETE FROM attempts WHERE bucket IN (?, ?)", buckets)

    def locked_until(self, keys: Sequence[str], now_ns: int) -> dict[str, int]:
        """Return until when names are locked for addresses not known, by key; without those that are not."""
        with self._database.read("reading locks") as connection:
            rows = connection.execute("SELECT bucket, until_ns FROM attempts WHERE until_ns > ?", (now_ns,)).fetchall()
        until_ns = dict(rows)
        return {key: until_ns[_bucket(key)] for key in keys if _bucket(key) in until_ns}

    # Sessions

    def session(self, digest: str, now_ns: int) -> tuple[SessionRow, AccountRow] | None:
        """Return a live session and whose it is, by the SHA-256 of its secret; None where it has ended.

        Looks into the file each time, so that a session ended by another process is refused at once.
        """
        with self._database.read("looking up a session") as connection:
            row = connection.execute("SELECT * FROM sessions WHERE digest = ?", (digest,)).fetchone()
            account = _find(connection, row[1]) if row else None
        if account is None or not account.enabled:
            return None
        session = SessionRow(*row)
        return (session, account) if now_ns < session.until_ns else None

    def touch(self, digest: str, now_ns: int) -> None:
        """Keep that a session was used now."""
        with self._database.write("keeping the use of a session") as connection:
            connection.execute("UPDATE sessions SET seen_ns = MAX(seen_ns, ?) WHERE digest = ?", (now_ns, digest))

    def end_session(self, digest: str) -> bool:
        """End one session. Returns whether there was one."""
        with self._database.write("ending a session") as connection:
            return connection.execute("DELETE FROM sessions WHERE digest = ?", (digest,)).rowcount > 0

    def end_sessions(self, key: str) -> int:
        """End all sessions of a person and return how many there were."""
        with self._database.write("ending sessions") as connection:
            return connection.execute("DELETE FROM sessions WHERE account = ?", (key,)).rowcount

    def session_counts(self, now_ns: int) -> dict[str, int]:
        """Return how many sessions live, by account."""
        with self._database.read("counting sessions") as connection:
            rows = connection.execute(
                "SELECT account, COUNT(*) FROM sessions WHERE seen_ns > ? AND created_ns > ? GROUP BY account",
                (now_ns - IDLE_NS, now_ns - LIFE_NS),
            ).fetchall()
        return dict(rows)

    def prune(self, now_ns: int) -> int:
        """Forget sessions that have ended and attempts that count no more; returns how many sessions."""
        with self._database.write("forgetting ended sessions") as connection:
            connection.execute(
                "DELETE FROM attempts WHERE last_ns < ? AND until_ns < ?", (now_ns - FORGET_NS, now_ns - FORGET_NS)
            )
            ended = (now_ns - IDLE_NS, now_ns - LIFE_NS)
            return connection.execute("DELETE FROM sessions WHERE seen_ns <= ? OR created_ns <= ?", ended).rowcount

    # Notes of the command line

    def note(self, time_ns: int, who: str, why: str, why_zh: str) -> None:
        """Leave word of a change for the gateway to journal; of more than a thousand the oldest go."""
        with self._database.write("leaving a note") as connection:
            connection.execute(
                "INSERT INTO people_notes (time_ns, who, why, why_zh) VALUES (?, ?, ?, ?)", (time_ns, who, why, why_zh)
            )
            connection.execute(
                "DELETE FROM people_notes WHERE id <= (SELECT MAX(id) FROM people_notes) - ?", (NOTES_MAX,)
            )

    def notes(self, after: int) -> list[NoteRow]:
        """Return the notes with a higher number, at most a hundred."""
        with self._database.read("reading notes") as connection:
            rows = connection.execute(
                "SELECT * FROM people_notes WHERE id > ? ORDER BY id LIMIT 100", (after,)
            ).fetchall()
        return [NoteRow(*row) for row in rows]

    def forget_notes(self, up_to: int) -> None:
        """Forget the notes up to a number: they are in the journal."""
        with self._database.write("forgetting notes") as connection:
            connection.execute("DELETE FROM people_notes WHERE id <= ?", (up_to,))


@contextmanager
def open_people(path: Path) -> Iterator[tuple[PeopleStore, Ledger]]:
    """Give the tables of people and of tokens of a journal, also while a gateway runs on it or before one ever did.

    Args:
        path: The gateway's `journal.db`.

    Raises:
        StorageError: The file cannot be used.
    """
    make_folder(path.parent)
    with storage_errors(path, "opening the accounts"):
        database = Database(path, LEDGER_SCHEMA, "FULL", WAL_BYTES_MAX)
    try:
        yield PeopleStore(database), Ledger(database, Problems())
    finally:
        database.close()


def _account(row: Sequence[object]) -> AccountRow:
    names = AccountRow.__struct_fields__
    return msgspec.convert(dict(zip(names, row, strict=True)), AccountRow, strict=False)


def _find(connection: sqlite3.Connection, key: str) -> AccountRow | None:
    row = connection.execute("SELECT * FROM accounts WHERE key = ?", (key,)).fetchone()
    return _account(row) if row else None


def _put(connection: sqlite3.Connection, account: AccountRow) -> None:
    marks = ", ".join("?" * len(AccountRow.__struct_fields__))
    query = f"INSERT OR REPLACE INTO accounts VALUES ({marks})"  # noqa: S608 - marks and nothing else
    connection.execute(query, msgspec.structs.astuple(account))


def _check_administered(connection: sqlite3.Connection, before: AccountRow) -> None:
    """Refuse a change by which the last enabled administrator goes; the transaction is then undone."""
    query = "SELECT 1 FROM accounts WHERE role = ? AND enabled LIMIT 1"
    was = before.enabled and before.role == ADMINISTRATOR
    if was and connection.execute(query, (ADMINISTRATOR,)).fetchone() is None:
        raise LastAdministratorError(f"{before.name!r} is the last administrator; make another one first")


def _is_known(connection: sqlite3.Connection, key: str, address: str) -> bool:
    query = "SELECT 1 FROM known_addresses WHERE account = ? AND address = ?"
    return connection.execute(query, (key, address)).fetchone() is not None


def _bucket(key: str, address: str = "") -> str:
    """Return under what attempts are counted; a hash, as people type passwords in place of names."""
    return hashlib.sha256(f"{key}\0{address}".encode("utf-8", "surrogatepass")).hexdigest()
