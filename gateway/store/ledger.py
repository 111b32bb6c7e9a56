"""What the journal's database keeps beside the events: cursors, dead letters, access tokens, and people's tables."""

import sqlite3
import zlib
from typing import Final

import msgspec

from gateway.core.errors import StorageError
from gateway.store.database import Database, is_damage
from gateway.store.disk import Problems

DEAD_LETTERS_MAX: Final = 10_000

LEDGER_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS cursors (name TEXT PRIMARY KEY, value TEXT NOT NULL, code INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, key TEXT NOT NULL, payload BLOB NOT NULL,
    reason TEXT NOT NULL, time_ns INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS dead_sink ON dead (sink);
CREATE TABLE IF NOT EXISTS tokens (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, created_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS accounts (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, display_name TEXT NOT NULL, role TEXT NOT NULL, password TEXT NOT NULL,
    enabled INTEGER NOT NULL, must_change INTEGER NOT NULL, created_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY, account TEXT NOT NULL, created_ns INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
    address TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_account ON sessions (account);
CREATE TABLE IF NOT EXISTS attempts (
    bucket TEXT PRIMARY KEY, failures INTEGER NOT NULL, last_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS known_addresses (
    account TEXT NOT NULL, address TEXT NOT NULL, at_ns INTEGER NOT NULL, PRIMARY KEY (account, address));
CREATE TABLE IF NOT EXISTS people_notes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
    why_zh TEXT NOT NULL)
"""


class DeadLetterRow(msgspec.Struct, frozen=True):
    """What a sink refused for ever.

    Attributes:
        sink: The sink's id.
        key: The item's key.
        payload: Its content.
        reason: The peer's words.
        time_ns: When it was refused.
    """

    sink: str
    key: str
    payload: bytes
    reason: str
    time_ns: int


class TokenRow(msgspec.Struct, frozen=True):
    """A live access token; the token itself is kept nowhere.

    Attributes:
        name: Whose it is.
        role: What it allows.
        digest: Its SHA-256 in hex.
        created_ns: When it was made.
    """

    name: str
    role: str
    digest: str
    created_ns: int


class Ledger:
    """The journal's side tables. All methods block and raise StorageError where the disk refuses.

    Attributes:
        problems: What was found damaged, in words.
    """

    def __init__(self, database: Database, problems: Problems) -> None:
        self.problems = problems
        self._database = database

    @property
    def database(self) -> Database:
        """What holds the tables; `gateway.store.people` shares it."""
        return self._database

    def _make_room(self) -> None:
        """Give the disk a chance before a small write; the journal lets go of its reserve here."""

    def _row(self, query: str, name: str) -> tuple[object, ...] | None:
        """Return one row; a part of the file that cannot be read counts as no row."""
        try:
            with self._database.read(f"reading {name!r}") as connection:
                row: tuple[object, ...] | None = connection.execute(query, (name,)).fetchone()
        except StorageError as error:
            if not (isinstance(error.__cause__, sqlite3.Error) and is_damage(error.__cause__)):
                raise
            self.problems.tell(str(error))
            return None
        return row

    # --- cursors ---

    def cursor(self, name: str) -> str | None:
        """Return what `set_cursor` was last given for the name; None where nothing was, or where it is damaged.

        Without its cursor a sink is written everything once more, which it takes as repeats.
        """
        row = self._row("SELECT value, code FROM cursors WHERE name = ?", name)
        if row is None:
            return None
        if not isinstance(row[0], str) or _text_code(name, row[0]) != row[1]:
            self.problems.tell(f"{self._database.path}: the cursor {name!r} is damaged; its sink starts again")
            return None
        return row[0]

    def set_cursor(self, name: str, value: str) -> None:
        """Keep a cursor; on disk when it returns."""
        self._make_room()
        with self._database.write("keeping a cursor") as connection:
            connection.execute(
                "INSERT INTO cursors VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value, code = excluded.code",
                (name, value, _text_code(name, value)),
            )

    def cursors(self) -> dict[str, str]:
        """Return all cursors by name, without damaged ones."""
        with self._database.read("reading cursors") as connection:
            rows = connection.execute("SELECT name, value, code FROM cursors ORDER BY name").fetchall()
        return {name: value for name, value, code in rows if _text_code(name, value) == code}

    # --- dead letters ---

    def dead_letter(self, sink: str, key: str, payload: bytes | str, reason: str, time_ns: int) -> None:
        """Keep what a sink refused for ever; beyond 10,000 letters the oldest goes and is counted."""
        content = payload.encode() if isinstance(payload, str) else payload
        self._make_room()
        with self._database.write("keeping a dead letter") as connection:
            connection.execute(
                "INSERT INTO dead (sink, key, payload, reason, time_ns) VALUES (?, ?, ?, ?, ?)",
                (sink, key, content, reason, time_ns),
            )
            connection.execute(
                "DELETE FROM dead WHERE id <= (SELECT MAX(id) FROM dead) - ?", (DEAD_LETTERS_MAX,)
            )  # ids are never used again, so the highest one counts all letters ever kept

    def dead_letters(self, sink: str = "", limit: int = 100) -> list[DeadLetterRow]:
        """Return the newest dead letters first, of one sink or of all."""
        with self._database.read("reading dead letters") as connection:
            rows = connection.execute(
                "SELECT sink, key, payload, reason, time_ns FROM dead WHERE ? IN ('', sink) ORDER BY id DESC LIMIT ?",
                (sink, limit),
            ).fetchall()
        return [DeadLetterRow(*row) for row in rows]

    def dead_letters_dropped(self) -> int:
        """Return how many dead letters made way for newer ones since the journal was made."""
        with self._database.read("counting dead letters") as connection:
            row = connection.execute("SELECT COALESCE(MAX(id), 0) - COUNT(*) FROM dead").fetchone()
        return int(row[0])

    # --- access tokens ---

    def add_token(self, name: str, role: str, digest: str, created_ns: int) -> None:
        """Keep a token's hash.

        Raises:
            ValueError: The name, or the very token, is there already.
        """
        try:
            with self._database.write("keeping a token") as connection:
                _insert_token(connection, TokenRow(name, role, digest, created_ns))
        except _TakenError as error:
            raise ValueError(f"a token named {name!r} is there already") from error

    def revoke_token(self, name: str) -> bool:
        """Forget a token; it is refused from now on. Returns whether there was one."""
        with self._database.write("revoking a token") as connection:
            return connection.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount > 0

    def tokens(self) -> list[TokenRow]:
        """Return all live tokens by name."""
        with self._database.read("reading tokens") as connection:
            rows = connection.execute("SELECT name, role, digest, created_ns FROM tokens ORDER BY name").fetchall()
        return [TokenRow(*row) for row in rows]

    def find_token(self, digest: str) -> tuple[str, str] | None:
        """Return (name, role) of a live token by its SHA-256 in hex, or None.

        Looks into the file each time, so that a token revoked by another process is refused at once.
        """
        with self._database.read("looking up a token") as connection:
            row = connection.execute("SELECT name, role FROM tokens WHERE digest = ?", (digest,)).fetchone()
        return (row[0], row[1]) if row else None


class _TakenError(Exception):
    """The token's name or hash is there already; no fault of the disk."""


def _insert_token(connection: sqlite3.Connection, token: TokenRow) -> None:
    try:
        connection.execute(
            "INSERT INTO tokens VALUES (?, ?, ?, ?)", (token.name, token.role, token.digest, token.created_ns)
        )
    except sqlite3.IntegrityError as error:
        raise _TakenError from error


def _text_code(name: str, value: str) -> int:
    return zlib.crc32(value.encode("utf-8", "surrogatepass"), zlib.crc32(name.encode()))
