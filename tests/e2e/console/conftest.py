"""Fixtures of the console's tests: a site of several areas, served, and a browser."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.console.stage import Stage, chromium_or_skip, plant, staged


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """A calm site of 24 channels; whoever asks from this machine is an operator."""
    executable = chromium_or_skip()
    async with staged(plant(), executable) as one:
        yield one
