"""Exported journals: they prove themselves, and a program that shares no line with ours agrees."""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from gateway.cli.export import command as export_command
from gateway.cli.verify import command as verify_command
from gateway.core.alarm import AlarmEvent, AlarmState, EventKind
from gateway.store.export import csv_parts, jsonl_parts
from gateway.store.journal import Journal
from gateway.store.proof import Noted, parse_head, verify_export, verify_journal
from gateway.store.search import Past

DAY = 1_763_769_600_000_000_000  # 2025-11-22T00:00:00Z
SECOND = 1_000_000_000


def event(seq: int) -> AlarmEvent:
    return AlarmEvent(
        seq=seq,
        time_ns=DAY + seq * SECOND,
        kind=EventKind.RAISED if seq % 2 else EventKind.CLEARED,
        alarm=f"gas:gd-{seq % 5}",
        state=AlarmState.UNACKED if seq % 2 else AlarmState.NORMAL,
        value=seq / 3 * 1e-7,
        who="王敏" if seq % 4 == 0 else "",
        why=f'=1+{seq}, said "so"\nand more',
        why_zh="甲烷，报警",
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal.open(tmp_path / "data" / "journal.db", "gw-1")
    opened.append([event(seq) for seq in range(1, 1201)])
    yield opened
    opened.close()


def exported(journal: Journal, start: int = 0, end: int = 0) -> list[bytes]:
    """The lines of an export, from second `start` to `end` of the day; all where 0."""
    spans = [DAY + second * SECOND if second else 0 for second in (start, end)]
    return b"".join(jsonl_parts(Past(journal.path), {"site": "demo"}, *spans)).splitlines(keepends=True)


def written(tmp_path: Path, lines: list[bytes]) -> Path:
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def independent_verifier(path: Path) -> bool:
    """What anybody could write from the description of the format: hashlib and json, nothing of the gateway."""
    lines = path.read_bytes().splitlines()
    opening, closing = json.loads(lines[0]), json.loads(lines[-1])
    if "head" not in closing or "anchor" not in opening:
        return False
    digest, seq = bytes.fromhex(opening["anchor"]["digest"]), opening["anchor"]["seq"]
    for line in lines[1:-1]:
        if not line.startswith(b'{"seq":'):
            return False
        start = line.index(b'"event":') + len(b'"event":')
        body = line[start:-1]
        digest = hashlib.sha256(digest + body).digest()
        told = json.loads(line)
        if told["digest"] != digest.hex() or told["event"]["seq"] != told["seq"] or told["seq"] <= seq:
            return False
        seq = told["seq"]
    return bool(closing["head"] == {"seq": seq, "digest": digest.hex()} and closing["events"] == len(lines) - 2)


@pytest.mark.parametrize(("start", "end", "events"), [(0, 0, 1200), (400, 0, 801), (0, 400, 399), (7, 9, 2)])
def test_an_exported_journal_proves_itself(journal: Journal, tmp_path: Path, start: int, end: int, events: int) -> None:
    path = written(tmp_path, exported(journal, start, end))
    proof = verify_export(path)
    assert (proof.events, proof.problem) == (events, "")
    assert independent_verifier(path)
    if not end:
        assert (proof.seq, proof.digest) == journal.head


def test_a_span_without_events_is_a_whole_export_of_none(journal: Journal, tmp_path: Path) -> None:
    path = written(tmp_path, exported(journal, 5000, 6000))
    assert verify_export(path)[::4] == (0, "")
    assert independent_verifier(path)


def edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5].replace(b"gas:gd", b"gas:xx"), *lines[6:]]


def edited_with_its_hash(lines: list[bytes]) -> list[bytes]:
    previous = bytes.fromhex(json.loads(lines[4])["digest"])
    body = lines[5].partition(b',"event":')[2].rstrip()[:-1].replace(b"gas:gd", b"gas:xx")
    digest = hashlib.sha256(previous + body).hexdigest().encode()
    return [*lines[:5], b'{"seq":5,"digest":"%s","event":%s}\n' % (digest, body), *lines[6:]]


def renumbered(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[5].replace(b'{"seq":5,', b'{"seq":6,', 1), *lines[6:]]


TAMPERINGS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "an edited line": (edited, "line 6, event 5,"),
    "an edited line with its hash made to fit": (edited_with_its_hash, "line 7, event 6,"),
    "a line cut out": (lambda lines: [*lines[:9], *lines[10:]], "line 10, event 10,"),
    "two lines exchanged": (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "line 4, event 4,"),
    "a line twice": (lambda lines: [*lines[:4], lines[3], *lines[4:]], "line 5, event 3,"),
    "another number": (renumbered, "line 6"),
    "the end cut off": (lambda lines: lines[:-20], "the closing line is missing: the file ends at event 1181"),
    "the end cut off before the closing line": (
        lambda lines: [*lines[:-20], lines[-1]],
        "line 1183 closes at event 1200 after 1200 events, but 1181",
    ),
    "lines behind the closing line": (lambda lines: [*lines, lines[-2]], "line 1203 stands behind the closing line"),
    "another anchor": (
        lambda lines: [lines[0].replace(b"00000000", b"10000000", 1), *lines[1:]],
        "line 2, event 1,",
    ),
    "no opening line": (lambda lines: lines[1:], "line 1 is not the opening line"),
    "a torn line": (lambda lines: [*lines[:8], lines[8][:40] + b"\n", *lines[9:]], "line 9 holds no event"),
    "nothing": (lambda lines: [], "line 1 is not the opening line"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_whatever_is_done_to_an_export_is_found(journal: Journal, tmp_path: Path, name: str) -> None:
    change, expected = TAMPERINGS[name]
    path = written(tmp_path, change(exported(journal)))
    assert verify_export(path).problem.startswith(expected)


def test_a_rewritten_past_contradicts_the_head_that_was_noted(journal: Journal, tmp_path: Path) -> None:
    noted = Noted(*journal.head)
    forged = Journal.open(tmp_path / "forged" / "journal.db", "gw-1")
    forged.append([event(seq) for seq in range(1, 1200)] + [AlarmEvent(seq=1200, time_ns=1, kind=EventKind.NOTE)])
    path = written(tmp_path, exported(forged))
    assert verify_export(path).problem == ""
    assert "event 1200 has another hash than the one noted: rewritten" in verify_export(path, noted).problem
    assert "rewritten" in verify_journal(Past(forged.path).read, noted).problem
    forged.close()
    later = parse_head("1300:" + "0" * 64)
    assert "event 1300 was noted, but the journal ends at event 1200" in verify_export(path, later).problem
    assert "truncated" in verify_journal(Past(journal.path).read, later).problem
    assert verify_journal(Past(journal.path).read, noted)[::4] == (1200, "")


def test_a_damaged_event_is_exported_as_it_is_and_named_by_the_check(journal: Journal, tmp_path: Path) -> None:
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE events SET body = x'7b0a7d' WHERE seq = 77")
    other.close()
    lines = exported(journal)
    assert len(lines) == 1202
    assert verify_export(written(tmp_path, lines)).problem.startswith("line 78")
    table = b"".join(csv_parts(Past(journal.path), ZoneInfo("UTC")))
    assert b"77,,,damaged" in table


def test_the_table_reads_in_a_spreadsheet_and_no_text_is_a_formula(journal: Journal) -> None:
    content = b"".join(csv_parts(Past(journal.path), ZoneInfo("Asia/Shanghai"), DAY + 3 * SECOND, DAY + 6 * SECOND))
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["seq"] for row in rows] == ["3", "4", "5"]
    assert rows[1]["time"] == "2025-11-22T00:00:04.000+00:00"
    assert rows[1]["time_local"] == "2025-11-22T08:00:04.000+08:00"
    assert rows[1]["who"] == "王敏"
    assert rows[1]["why"] == '\'=1+4, said "so"\nand more'
    assert content.count(b"\r\n") == 4


def test_the_commands_export_and_prove(journal: Journal, tmp_path: Path) -> None:
    folder, file = journal.path.parent, tmp_path / "out.jsonl"
    run = CliRunner()
    done = run.invoke(export_command, ["--data", str(folder), str(file)])
    assert done.exit_code == 0, done.output
    head = f"{journal.head[0]}:{journal.head[1]}"
    before = sorted(path.name for path in folder.iterdir())
    for place in (folder, file):
        proved = run.invoke(verify_command, [str(place), "--head", head])
        assert proved.exit_code == 0
        assert f"1200 events, all as they were written\nhead {head}" in proved.output
    assert sorted(path.name for path in folder.iterdir()) == before
    file.write_bytes(b"".join(edited(file.read_bytes().splitlines(keepends=True))))
    refused = run.invoke(verify_command, [str(file)])
    assert refused.exit_code == 1
    assert "4 events are as they were written, then: line 6, event 5," in refused.output
    assert run.invoke(verify_command, [str(file), "--head", "12:abc"]).exit_code == 2
    assert run.invoke(export_command, [str(file)]).exit_code == 2


def test_a_copy_of_a_data_folder_is_proved_without_being_touched(journal: Journal, tmp_path: Path) -> None:
    journal.close()
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "journal.db").write_bytes(journal.path.read_bytes())
    content = (copy / "journal.db").read_bytes()
    done = CliRunner().invoke(verify_command, [str(copy)])
    assert done.exit_code == 0, done.output
    assert (copy / "journal.db").read_bytes() == content
