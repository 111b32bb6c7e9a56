"""`hazgate profiles`: what it lists, what it shows, and that what it offers to paste is a site file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from gateway import assembly
from gateway.cli.profiles import command
from gateway.core.clock import ManualClock
from gateway.core.errors import SiteFileError
from gateway.site.load import load_site
from gateway.site.profile_text import example
from gateway.site.profiles import profile_names, shipped_profiles


def told(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_profile_is_listed() -> None:
    text = told()
    assert all(name in text for name in profile_names())
    listed = json.loads(told("--json"))["profiles"]
    assert [item["profile"] for item in listed] == profile_names()


def test_one_profile_is_shown_with_its_registers_its_doubts_and_what_to_paste() -> None:
    text = told("honeywell-xcd")
    for words in ("holding 2 (40003) float32", "not verified: word order", "profile: honeywell-xcd", "when named"):
        assert words in text
    shown = json.loads(told("honeywell-xcd", "--json"))
    assert shown["profile"] == "honeywell-sensepoint-xcd-rfd"
    assert shown["identify"]["registers"][0]["expect"] == [[1, 1], [2, 2], [3, 3], [12, 12]]


def test_a_name_that_nobody_knows_is_refused_with_its_likeness() -> None:
    result = CliRunner().invoke(command, ["honeywell-xdc"])
    assert result.exit_code == 2
    assert "did you mean" in result.output


def test_a_file_of_ones_own_is_checked_by_showing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("profile: mine\ndriver: modbus\nchannels: [{id: a, options: {adress: 1}}]\n")
    result = CliRunner().invoke(command, ["./mine.yaml"])
    assert isinstance(result.exception, SiteFileError)
    assert "mine.yaml:3:30: channels[0].options.adress: unknown key" in str(result.exception)


@pytest.mark.parametrize("profile", shipped_profiles(), ids=lambda p: p.name)
def test_what_is_offered_to_paste_is_a_site_file(profile: object, tmp_path: Path) -> None:
    text = "site: {id: s}\n" + example(profile) + "\n"  # type: ignore[arg-type]  # as `shipped_profiles` gives it
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    site = load_site(tmp_path / "site.yaml")
    assembly.check(site, ManualClock())
    assert len(YAML(typ="safe").load(text)["instruments"]) == 1
