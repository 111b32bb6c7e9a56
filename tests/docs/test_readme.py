"""What the README and the other pages promise exists: links, commands, files, and a length that is read."""

import re
from pathlib import Path

import click
import pytest

from gateway.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
READMES = sorted(ROOT.glob("README*.md"))
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")})
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"```.*?```", re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s`(/])hazgate ([a-z]+)((?:[^\S\n][^\s`|#]+)*)", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+\s+(.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("page", READMES, ids=name_of)
def test_a_readme_is_short_enough_to_be_read(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    unknown = []
    for name, rest in COMMAND.findall(page.read_text(encoding="utf-8")):
        if name not in COMMANDS:
            unknown.append(f"hazgate {name}")
            continue
        known = options_of(name)
        used = re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest)
        unknown += [f"hazgate {name} {option}" for option in used if option not in known]
    assert not unknown


def options_of(name: str) -> set[str]:
    """Return every option of a command and of the commands below it."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    members = list(command.commands.values()) if isinstance(command, click.Group) else []
    return {option for one in [command, *members] for parameter in one.params for option in parameter.opts} | {"--help"}


@pytest.mark.parametrize("page", READMES, ids=name_of)
def test_scenarios_and_files_that_are_named_in_backticks_exist(page: Path) -> None:
    names = set(re.findall(r"`([a-z0-9-]+-(?:quiet|leak|spill|fire))`", page.read_text(encoding="utf-8")))
    names |= {Path(path).stem for path in re.findall(r"config/scenarios/([\w-]+)\.yaml", page.read_text("utf-8"))}
    assert names
    assert not {name for name in names if not (ROOT / "config" / "scenarios" / f"{name}.yaml").exists()}


@pytest.mark.parametrize("page", READMES, ids=name_of)
def test_targets_of_make_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)\b", page.read_text(encoding="utf-8")))
    assert named
    assert named <= targets
