"""The build of the console: when it is due, with which Node, and with which packages."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.console import build


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of small sources that the build takes for the console's."""
    (tmp_path / "src").mkdir()
    for name in ("src/main.tsx", "index.html", "package.json", "tsconfig.json", "vite.config.ts"):
        (tmp_path / name).write_text(name)
    (tmp_path / "public").mkdir()
    lock(tmp_path / "package-lock.json", {"": {}, "node_modules/vite": {"version": "8.0.0"}})
    for name, place in (
        ("FOLDER", ""),
        ("STATIC", "static"),
        ("STAMP", "static/stamp.txt"),
        ("MODULES", "node_modules"),
    ):
        monkeypatch.setattr(build, name, tmp_path / place)
    return tmp_path


def lock(path: Path, packages: dict[str, dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"packages": packages}))


def stamp(folder: Path) -> None:
    (folder / "static").mkdir()
    (folder / "static" / "stamp.txt").write_text(f"{build.digest()}\n")


def test_pages_of_these_sources_are_not_built_again(folder: Path) -> None:
    assert not build.is_fresh()
    stamp(folder)
    assert build.is_fresh()
    (folder / "src" / "main.tsx").write_text("another")
    assert not build.is_fresh()


def test_a_source_by_another_name_is_another_source(folder: Path) -> None:
    before = build.digest()
    (folder / "src" / "main.tsx").rename(folder / "src" / "other.tsx")
    assert build.digest() != before


def test_nothing_is_asked_for_where_the_pages_are_there_or_unwanted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "node_command", lambda: None)
    hook = build.ConsoleBuildHook.__new__(build.ConsoleBuildHook)
    assert hook.dependencies() == [build.NODE_PACKAGE]
    with pytest.raises(build.BuildError, match="no Node"):
        build.build()
    monkeypatch.setenv(build.SKIP, "1")
    assert hook.dependencies() == []
    monkeypatch.delenv(build.SKIP)
    stamp(folder)
    assert hook.dependencies() == []
    build.build()


def test_packages_are_fetched_anew_where_they_are_not_those_of_the_lock_file(folder: Path) -> None:
    installed = folder / "node_modules" / ".package-lock.json"
    assert not build.modules_fit()
    lock(installed, {"node_modules/vite": {"version": "8.0.0"}})
    assert build.modules_fit()
    lock(installed, {"node_modules/vite": {"version": "7.9.9"}})
    assert not build.modules_fit()
    lock(installed, {})
    assert not build.modules_fit()
    optional = {"": {}, "node_modules/fsevents": {"version": "2.0.0", "optional": True}}
    lock(folder / "package-lock.json", optional)
    assert build.modules_fit(), "a package of another system need not be here"


def test_the_lock_file_names_no_registry() -> None:
    text = (Path(build.__file__).parent / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text, "a site's mirror could not serve it"
