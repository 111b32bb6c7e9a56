"""How much a browser must fetch before an alarm can be seen: slow links and old telephones are part of a site."""

import os
import shutil

import pytest

from benchmarks.console_load import STATIC, files, initial, packed, trend

LIMIT_BYTES = 30_000


@pytest.fixture(autouse=True)
def built() -> None:
    if (STATIC / "index.html").exists():
        return
    reason = "the console has not been built here"
    pytest.fail(reason) if os.environ.get("CI") and shutil.which("node") else pytest.skip(reason)


def test_the_scripts_that_the_first_page_needs_are_small() -> None:
    found = initial(STATIC)
    names = {path.name.rpartition("-")[0] for path in found}
    assert {"index", "worker"} <= names, names
    assert packed(found) <= LIMIT_BYTES, {path.name: packed([path]) for path in found}


def test_the_scripts_of_the_trend_are_small_and_come_later() -> None:
    assert trend(STATIC)
    assert not set(trend(STATIC)) & set(initial(STATIC))
    assert packed(trend(STATIC)) <= LIMIT_BYTES


def test_the_benchmark_tells_what_is_too_large() -> None:
    assert all(figure.met for figure in files())
