"""Whether a journal is still the one it was: a copied, cloned or restored one must not use its numbers again.

An event's key is `gateway:epoch:number`, and a platform that has seen a key takes the next one with it for a repeat.
So a journal that went back in time, or that exists twice, needs a new epoch: an alarm sent twice is a nuisance, an
alarm mistaken for an old one is a danger.
"""

import hashlib
import os
import secrets
import struct
import zlib
from contextlib import suppress
from pathlib import Path

from gateway.store.disk import sync_folder

_MARK = struct.Struct("<4sIq")
_MARK_MAGIC = b"HzM1"

# What tells one machine, and one card, from another, where the machine has it; a cloned card differs in nothing else.
_MACHINE_FILES = (
    "/etc/machine-id",
    "/sys/firmware/devicetree/base/serial-number",
    "/sys/block/mmcblk0/device/cid",
    "/sys/block/mmcblk1/device/cid",
)


class Identity:
    """Two small files beside a journal: `.id`, never changed once made, and `.mark`, the highest number used.

    The inode and change time of the first differ in any copy, and no program can set them; the second is newer than
    a journal that was put back from a backup.

    Args:
        journal: The journal's path.
    """

    def __init__(self, journal: Path) -> None:
        self._id = journal.with_suffix(".id")
        self._mark_path = journal.with_suffix(".mark")
        self._mark_handle = -1
        self.mark = self._read_mark()

    def binding(self) -> str:
        """Return what the machine and the file system know of this folder, or empty where there is no `.id` file."""
        try:
            stat = self._id.stat()
            file_system = os.statvfs(self._id).f_fsid
        except OSError:
            return ""
        parts = [str(stat.st_ino), str(stat.st_ctime_ns), str(file_system)]
        for name in _MACHINE_FILES:
            with suppress(OSError):
                parts.append(Path(name).read_bytes().strip(b"\0\n ").decode("ascii", "replace"))
        return hashlib.sha256("|".join(parts).encode()).hexdigest()

    def renew(self) -> tuple[str, str]:
        """Make a new `.id` file.

        Returns:
            A new epoch and its binding; the binding is empty where the disk refuses.
        """
        epoch = secrets.token_hex(6)
        with suppress(OSError):
            self._id.unlink(missing_ok=True)
            handle = os.open(self._id, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, f"{epoch}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
            sync_folder(self._id.parent)
        return epoch, self.binding()

    def _read_mark(self) -> int:
        try:
            data = self._mark_path.read_bytes()
            magic, crc, number = _MARK.unpack(data[: _MARK.size])
        except (OSError, struct.error):
            return 0
        return int(number) if magic == _MARK_MAGIC and crc == zlib.crc32(data[8 : _MARK.size]) else 0

    def set_mark(self, number: int, *, now: bool = False) -> None:
        """Remember the highest number used; a disk that refuses is no news here.

        Args:
            number: The number.
            now: Wait until it is on disk. Else the system writes it in its own time: the journal is never behind.
        """
        self.mark = number
        body = struct.pack("<q", number)
        with suppress(OSError):
            if self._mark_handle < 0:
                self._mark_handle = os.open(self._mark_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._mark_handle, _MARK_MAGIC + struct.pack("<I", zlib.crc32(body)) + body, 0)
            if now:
                os.fdatasync(self._mark_handle)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        if self._mark_handle >= 0:
            handle, self._mark_handle = self._mark_handle, -1
            os.close(handle)
