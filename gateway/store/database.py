"""SQLite as the stores use it: write-ahead log, explicit transactions, one lock a connection, damage put aside."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.store.disk import Problems, make_folder, set_aside, storage_errors, sync_folder

PAGE_BYTES: Final = 4096
BUSY_S: Final = 5.0
_PARTS: Final = ("", "-wal", "-shm")


def connect(path: Path, synchronous: str, wal_bytes_max: int) -> sqlite3.Connection:
    """Open a connection that any thread may use under a lock of its own.

    Args:
        path: The database; made where absent.
        synchronous: `FULL` puts each commit on disk, `NORMAL` may lose the last ones at a power cut.
        wal_bytes_max: The log is written back at a quarter of it, and the file is not kept larger than this.

    Raises:
        sqlite3.Error: The file cannot be opened or is no database.
    """
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={max(8, wal_bytes_max // PAGE_BYTES // 4)}")
        connection.execute(f"PRAGMA journal_size_limit={wal_bytes_max}")
        connection.execute("PRAGMA cache_size=-2048")
        connection.execute("PRAGMA temp_store=MEMORY")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block does, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself where the disk was full or the file is damaged.
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def is_full(error: sqlite3.Error) -> bool:
    """Return whether the disk, or the limit set for the file, has no room left."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether the file holds nonsense, unlike a disk that refuses or a database in use."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """A database file with a connection for writing and one for reading, each behind a lock.

    A reader never waits for a writer's disk. A write that failed leaves the connection in doubt: the next one starts
    with a fresh connection, so that what SQLite believes is what the file holds.

    Args:
        path: The file.
        schema: Statements that make the tables where they are absent.
        synchronous: See `connect`.
        wal_bytes_max: See `connect`.
    """

    def __init__(self, path: Path, schema: str, synchronous: str, wal_bytes_max: int) -> None:
        self.path = path
        self.writing = threading.RLock()
        self.in_doubt = False
        self._reading = threading.Lock()
        self._synchronous = synchronous
        self._wal_bytes_max = wal_bytes_max
        if not path.exists():
            # It holds hashes of passwords, or will; SQLite gives its log and index the same mode.
            path.touch(mode=0o600)
        self._writer = self._connect()
        try:
            with transaction(self._writer):
                for statement in filter(str.strip, schema.split(";")):
                    self._writer.execute(statement)
            self._reader = self._connect()
        except sqlite3.Error:
            self._writer.close()
            raise
        with suppress(OSError):
            sync_folder(path.parent)

    def _connect(self) -> sqlite3.Connection:
        return connect(self.path, self._synchronous, self._wal_bytes_max)

    @contextmanager
    def write(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Give the writing connection inside a transaction that is on disk when the block has ended.

        Raises:
            StorageError: It is not; nothing of the block is in the file, or it is there whole (`in_doubt`).
        """
        with self.writing, storage_errors(self.path, doing):
            if self.in_doubt:
                self._writer.close()
                self._writer = self._connect()
                self.in_doubt = False
            try:
                with transaction(self._writer):
                    yield self._writer
            except sqlite3.Error:
                self.in_doubt = True
                raise

    @contextmanager
    def read(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Give the reading connection.

        Raises:
            StorageError: The disk refuses, or what is read is damaged.
        """
        with self._reading, storage_errors(self.path, doing):
            yield self._reader

    def close(self) -> None:
        """Write the log back and close; may be called twice."""
        with self.writing, self._reading:
            for connection in (self._reader, self._writer):
                with suppress(sqlite3.Error):
                    connection.close()


def put_database_aside(path: Path, problems: Problems, why: object) -> Path | None:
    """Rename a damaged database and its log out of the way, for a person to look at.

    Returns:
        Its new name, or None where there was nothing.

    Raises:
        StorageError: The folder does not allow it.
    """
    with storage_errors(path, "putting the damaged file aside"):
        aside: Path | None = None
        if path.exists():
            aside = set_aside(path)
            problems.tell(f"{path}: is damaged ({why}) and was put aside as {aside.name}")
        for part in _PARTS[1:]:
            side = path.with_name(path.name + part)
            if side.exists() and aside is not None:
                side.rename(aside.with_name(aside.name + part))
    return aside


def open_database(
    path: Path, schema: str, problems: Problems, *, synchronous: str, wal_bytes_max: int, tables: tuple[str, ...]
) -> tuple[Database, Path | None]:
    """Open a database, or a new one in place of a damaged one.

    Args:
        path: The file.
        schema: See `Database`.
        problems: Where damage is told.
        synchronous: See `connect`.
        wal_bytes_max: See `connect`.
        tables: Tables of which both ends are looked at, so that plain damage shows now and not at the first alarm.

    Returns:
        The database, and the file that was put aside, or None.

    Raises:
        StorageError: The folder cannot be used.
    """
    make_folder(path.parent)
    aside: Path | None = None
    with storage_errors(path, "opening"):
        try:
            return _probed(Database(path, schema, synchronous, wal_bytes_max), tables), aside
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            aside = put_database_aside(path, problems, error)
        return Database(path, schema, synchronous, wal_bytes_max), aside


def _probed(database: Database, tables: tuple[str, ...]) -> Database:
    """Return the database when the ends of its tables can be read."""
    try:
        with database._reading:  # noqa: SLF001  # its own module; `read` would hide which error it was
            for table in tables:
                for order in ("ASC", "DESC"):
                    database._reader.execute(  # noqa: SLF001  # as above
                        f"SELECT * FROM {table} ORDER BY rowid {order} LIMIT 20"  # noqa: S608  # our own table names
                    ).fetchall()
    except sqlite3.Error:
        database.close()
        raise
    return database


def salvage(path: Path, table: str, columns: str, *, newest_first: bool = False) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a damaged table in order of their keys, up to the place where reading on fails.

    Args:
        path: A database that was put aside.
        table: The table.
        columns: The wanted columns.
        newest_first: Begin at the other end, to reach what lies behind the damage.
    """
    order = "DESC" if newest_first else "ASC"
    query = f"SELECT {columns} FROM {table} ORDER BY rowid {order}"  # noqa: S608  # our own names
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        yield from connection.execute(query)
