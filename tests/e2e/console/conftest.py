"""Fixtures of the console's tests: a site of several areas, served, and a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.console.site_of_stories import people
from tests.e2e.console.stage import Stage, chromium_or_skip, plant, staged


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A calm site of 24 channels; whoever asks from this machine is an operator."""
    executable = chromium_or_skip()
    async with staged(plant(), executable) as one:
        yield one


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that knows the people of the stories, made once: a password is slow to hash, as it should be."""
    chromium_or_skip()
    return people(tmp_path_factory.mktemp("known"))
