"""Channel tables as the stores see them: which channel stands in which row, and where it stands in another table."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.model import Int32


@dataclass(frozen=True)
class Table:
    """A channel table as it was when a segment was written: the ids of rows 0, 1, 2 and so on."""

    ids: tuple[str, ...]
    body: bytes
    code: int

    @classmethod
    def of(cls, ids: Sequence[str]) -> "Table":
        """Return the table of these channels."""
        body = zlib.compress(json.dumps(list(ids), ensure_ascii=False).encode(), 6)
        return cls(tuple(ids), body, zlib.crc32(json.dumps(list(ids)).encode()))


def row_map(old: Sequence[str], new: Sequence[str]) -> Int32:
    """Return the new row of each old one, -1 for those that are gone.

    >>> row_map(["a", "b", "c"], ["c", "a"]).tolist()
    [1, -1, 0]
    """
    present = {name: row for row, name in enumerate(new)}
    return np.array([present.get(name, -1) for name in old], np.int32)


class Place:
    """Where one channel stands in any table; each table is searched once.

    Args:
        channel: The channel's id.
    """

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._rows: dict[int, int] = {}

    def row(self, table: Table | None) -> int:
        """Return the channel's row, -1 where the table does not have it."""
        if table is None:
            return -1
        if table.code not in self._rows:
            self._rows[table.code] = table.ids.index(self._channel) if self._channel in table.ids else -1
        return self._rows[table.code]

    def bit(self, table: Table | None) -> int:
        """Return the bit that a segment's records have set for the channel, 0 where its table does not have it.

        A segment that has lost its table may hold any channel: then all bits are set.
        """
        if table is None:
            return (1 << 64) - 1
        row = self.row(table)
        return 1 << (row & 63) if row >= 0 else 0
