"""Access tokens, where the command line changes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.store.database import Database
from gateway.store.disk import Problems, make_folder, storage_errors
from gateway.store.ledger import LEDGER_SCHEMA, Ledger

WAL_BYTES_MAX = 1 << 20


@contextmanager
def open_tokens(path: Path) -> Iterator[Ledger]:
    """Give the token table of a journal, also while a gateway runs on it or before one ever did.

    Args:
        path: The gateway's `journal.db`.

    Raises:
        StorageError: The file cannot be used.
    """
    make_folder(path.parent)
    with storage_errors(path, "opening the tokens"):
        database = Database(path, LEDGER_SCHEMA, "FULL", WAL_BYTES_MAX)
    try:
        yield Ledger(database, Problems())
    finally:
        database.close()
