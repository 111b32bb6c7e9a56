from pathlib import Path

import pytest

from gateway.core.errors import StorageError
from gateway.core.model import Batch
from gateway.disk import Disk, FolderLock
from gateway.site.document import Document
from gateway.site.load import site_from


def test_where_one_file_refuses_to_close_the_others_are_closed_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk.open(tmp_path, site_from(Document(tmp_path / "site.yaml", {"site": {"id": "s"}}, "")))
    disk.spool.append(Batch.of([], 1, []))
    closed: list[str] = []
    for name, part in (("journal", disk.journal), ("spool", disk.spool), ("history", disk.history)):
        whole = part.close
        monkeypatch.setattr(part, "close", lambda name=name, whole=whole: (whole(), closed.append(name)))

    def refuse() -> int:
        raise StorageError("spool: no space left on device")

    monkeypatch.setattr(disk.spool, "flush", refuse)
    with pytest.raises(StorageError, match="no space left"):
        disk.close()
    assert closed == ["journal", "history"]


def test_a_folder_is_free_again_when_its_gateway_lets_go(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StorageError, match="in use by another gateway"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()
