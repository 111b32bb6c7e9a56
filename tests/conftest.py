"""What every test runs under: hypothesis without deadlines, and connections that have ended before their loop does."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")

WITH_SOCKETS = {"integration", "e2e", "contract"}


@pytest.fixture
async def connections_end() -> AsyncIterator[None]:
    """Give the far ends of closed connections a moment: a server's handler sees the end a turn or two later."""
    yield
    await asyncio.sleep(0.02)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put `connections_end` around every asynchronous test that has sockets."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in WITH_SOCKETS and isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.fixturenames.insert(0, "connections_end")


def pytest_runtest_teardown() -> None:
    """Log as usual again: a test may have run a command that sets up its own way."""
    structlog.reset_defaults()
