"""What a running gateway leaves for other commands."""

import os
from pathlib import Path

import pytest

from gateway import notice
from gateway.core.errors import HazgateError
from gateway.disk import FolderLock


def test_who_runs_is_found_while_the_folder_is_held_and_not_after(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(HazgateError, match="is starting"):
        notice.running(tmp_path)
    notice.announce(tmp_path, tmp_path / "site.yaml")
    assert notice.running(tmp_path) == notice.Running(os.getpid(), str(tmp_path / "site.yaml"))
    lock.release()
    with pytest.raises(HazgateError, match="no gateway runs"):
        notice.running(tmp_path)


def test_looking_does_not_keep_a_gateway_out(tmp_path: Path) -> None:
    with pytest.raises(HazgateError):
        notice.running(tmp_path)
    FolderLock(tmp_path).release()


def test_what_an_earlier_process_left_is_taken_away_before_anybody_can_believe_it(tmp_path: Path) -> None:
    notice.announce(tmp_path, tmp_path / "site.yaml")
    notice.tell(tmp_path, notice.Outcome(1.0, applied=True, what="x"))
    lock = FolderLock(tmp_path)
    assert notice.outcome(tmp_path) is None
    with pytest.raises(HazgateError, match="is starting"):
        notice.running(tmp_path)
    lock.release()


def test_a_second_gateway_that_is_refused_takes_nothing_away(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    notice.announce(tmp_path, tmp_path / "site.yaml")
    with pytest.raises(HazgateError, match="in use"):
        FolderLock(tmp_path)
    assert notice.running(tmp_path).pid == os.getpid()
    lock.release()


def test_an_outcome_comes_back_and_nonsense_is_none(tmp_path: Path) -> None:
    told = notice.Outcome(5.5, applied=False, what="", problems=("site.yaml:1:1: no",))
    notice.tell(tmp_path, told)
    assert notice.outcome(tmp_path) == told
    (tmp_path / notice.RELOADED).write_text('{"began_s": "x"}')
    assert notice.outcome(tmp_path) is None


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(HazgateError, match="it does not exist"):
        notice.running(tmp_path / "none")
