"""What is wrong with a site file: collected, not stopped at the first."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError
from gateway.registry import Kind, load
from gateway.site.explain import problems


class Findings:
    """The mistakes found so far.

    Attributes:
        folder: The site file's folder: what relative paths start at.
        problems: Mistakes with their paths in the site file.
        of_instruments: Those of them that an instrument makes by itself, whatever the other sections say.
        lines: Mistakes in profiles, each already with its line.
        incomplete: Some channels are missing for their own mistakes: that nothing answers to a name says nothing then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[ConfigError] = []
        self.of_instruments: list[ConfigError] = []
        self.lines: list[str] = []
        self.incomplete = False

    def complain(self, path: tuple[str | int, ...], problem: str) -> None:
        """Add a mistake."""
        self.problems.append(ConfigError(path, problem))

    def module(self, kind: Kind, name: str, path: tuple[str | int, ...]) -> ModuleType | None:
        """Return a plugin's module, or None where there is none, which is told."""
        try:
            return load(kind, name)
        except ConfigError as error:
            self.problems.append(error.under(*path))
            return None

    def options(self, model: type[BaseModel], values: dict[str, Any], path: tuple[str | int, ...]) -> BaseModel | None:
        """Return a plugin's options, or None where they have mistakes, which are told."""
        try:
            return model.model_validate(values, context={"folder": self.folder})
        except ValidationError as error:
            self.problems.extend(p.under(*path, "options") for p in problems(model, error))
            return None


def near(pattern: str, known: Iterable[str]) -> str:
    """Return what a name may have been meant to be, as the end of a message."""
    found = get_close_matches(pattern, list(known), n=3, cutoff=0.5)
    return f"; there are {', '.join(found)}" if found else ""
