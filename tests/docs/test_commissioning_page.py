"""Every command and option that the page on commissioning names exists."""

import re
import shlex
from pathlib import Path

import click
import pytest

from gateway.cli.main import cli

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "commission-a-line.md").read_text(encoding="utf-8")
VERBS = ("ports", "scan", "read", "guess", "check", "simulate")
CALLS = sorted({call.rstrip("`") for call in re.findall(rf"hazgate ((?:{'|'.join(VERBS)})[^`\n]*)", PAGE)})


def parts(call: str) -> tuple[click.Command, list[str]]:
    name, *words = shlex.split(call)
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return command, words


@pytest.mark.parametrize("call", CALLS)
def test_a_command_of_the_page_has_the_options_that_it_shows(call: str) -> None:
    command, words = parts(call)
    known = {name for option in command.params for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_an_option_that_the_page_names_alone_exists() -> None:
    known = {name for verb in VERBS for o in parts(verb)[0].params for name in o.opts}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known


def test_the_page_shows_each_command() -> None:
    assert {call.split()[0] for call in CALLS} == set(VERBS)
