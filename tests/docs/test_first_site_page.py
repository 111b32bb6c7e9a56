"""The tutorial of the first site: its file is one that the gateway takes, and its commands exist."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.main import cli

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorial"
PAGE = (TUTORIALS / "first-site.md").read_text(encoding="utf-8")
SITE = "\n".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
CALLS = re.findall(r"^hazgate (.+)$", "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)), re.MULTILINE)


@pytest.mark.parametrize("verb", ["check", "test"])
def test_the_file_that_the_page_builds_is_taken_and_does_what_it_says(tmp_path: Path, verb: str) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE, encoding="utf-8")
    done = CliRunner().invoke(cli, [verb, str(site)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("call", CALLS)
def test_a_command_of_the_page_has_the_options_that_it_shows(call: str) -> None:
    name, *words = shlex.split(call)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert {word for word in words if word.startswith("--")} <= {opt for one in command.params for opt in one.opts}


@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*.md")), ids=lambda page: page.name)
def test_whatever_a_tutorial_points_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
