"""Labels as an independent reader of codes and of PDFs sees them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import labels
from gateway.core.errors import ConfigError

SITE = """
site: {id: s}
areas: [{id: boiler, label: Boiler room, label_zh: 锅炉房}]
connections: [{id: tape, type: replay, options: {file: readings.csv}}]
instruments:
"""
HEAD = """  - {{id: gd-{n:02d}, connection: tape, area: boiler, label: CH4 head {n},
     label_zh: {n}号甲烷探测器, location: 燃烧器上方,
     channels: [{{id: ch4, options: {{column: a}}}}]}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "readings.csv").write_text("time,a\n2026-01-01T00:00:00Z,1\n")
    path = tmp_path / "site.yaml"
    path.write_text(SITE + "".join(HEAD.format(n=n) for n in range(1, 27)))
    return path


def hazgate(*words: str | Path) -> Result:
    return CliRunner().invoke(labels.command, [str(word) for word in words])


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is not installed")


def test_a_code_reader_finds_every_instrument_s_page(site: Path, tmp_path: Path) -> None:
    needs("pdftoppm", "zbarimg")
    out = tmp_path / "labels.pdf"
    ended = hazgate(site, "--url", "http://10.0.0.5:8080/", "--out", out)
    assert (ended.exit_code, ended.output) == (0, f"26 labels in {out}\n")
    subprocess.run(["pdftoppm", "-r", "200", "-png", out, tmp_path / "page"], check=True)
    pages = sorted(tmp_path.glob("page*.png"))
    assert len(pages) == 2
    said = subprocess.run(["zbarimg", "-q", "--raw", *pages], check=True, capture_output=True, text=True).stdout
    assert sorted(said.split()) == [f"http://10.0.0.5:8080/#/instrument/gd-{n:02d}" for n in range(1, 27)]


def test_people_read_name_id_and_place_in_their_language(site: Path, tmp_path: Path) -> None:
    needs("pdftotext")
    out = tmp_path / "labels.pdf"
    hazgate(site, "--url", "http://10.0.0.5:8080/", "--out", out, "--only", "gd-07")
    said = subprocess.run(["pdftotext", out, "-"], check=True, capture_output=True, text=True).stdout
    assert all(text in said for text in ("7号甲烷探测器", "CH4 head 7", "gd-07", "锅炉房"))


def test_a_sheet_that_was_begun_goes_on_at_its_place(site: Path, tmp_path: Path) -> None:
    assert hazgate(site, "--url", "http://a/", "--out", tmp_path / "a.pdf", "--first", "24").exit_code == 0
    ended = hazgate(site, "--url", "http://a/", "--out", tmp_path / "b.pdf", "--first", "25")
    assert isinstance(ended.exception, ConfigError)


def test_without_an_address_it_says_what_is_missing(site: Path) -> None:
    ended = hazgate(site)
    assert ended.exit_code == 2
    assert "--url" in ended.output


def test_an_address_that_no_phone_could_open_is_refused(site: Path) -> None:
    assert isinstance(hazgate(site, "--url", "10.0.0.5:8080").exception, ConfigError)
