"""The check that the page gives to everybody is a check: it passes what is whole, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.core.alarm import AlarmEvent, EventKind
from gateway.store.export import jsonl_parts
from gateway.store.journal import Journal
from gateway.store.search import Past

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "prove-the-journal.md"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    journal = Journal.open(tmp_path / "journal.db", "gw-1")
    journal.append(
        [
            AlarmEvent(seq=seq, time_ns=seq, kind=EventKind.NOTE, why="阀门", value=seq / 7 * 1e-9)
            for seq in range(1, 60)
        ]
    )
    journal.close()
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b"".join(jsonl_parts(Past(tmp_path / "journal.db"), {"site": "demo"})))
    return file


def passes(export: Path) -> bool:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    run = subprocess.run([sys.executable, "-c", snippet], check=False, cwd=export.parent, capture_output=True)
    return run.returncode == 0


def test_the_check_on_the_page_tells_a_whole_export_from_an_edited_one(export: Path) -> None:
    assert passes(export)
    export.write_bytes(export.read_bytes().replace('"why":"阀门"'.encode(), '"why":"阀们"'.encode(), 1))
    assert not passes(export)
