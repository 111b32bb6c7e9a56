"""Access tokens: where the command line changes them, and where the running gateway looks them up."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.store.database import Database
from gateway.store.disk import Problems, make_folder, storage_errors
from gateway.store.ledger import LEDGER_SCHEMA, Ledger, TokenRow

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


class TokenTable:
    """The live tokens in memory, so that no request waits for the disk; the gateway reads them again now and then.

    Args:
        rows: The tokens at the start.
    """

    def __init__(self, rows: list[TokenRow]) -> None:
        self.replace(rows)

    def __len__(self) -> int:
        return len(self._by_digest)

    def replace(self, rows: list[TokenRow]) -> None:
        """Take what is in the table now; what was revoked is refused from here on."""
        self._by_digest = {row.digest: (row.name, row.role) for row in rows}

    def find_token(self, digest: str) -> tuple[str, str] | None:
        """Return (name, role) of a live token by its SHA-256 in hex, or None."""
        return self._by_digest.get(digest)
