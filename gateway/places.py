"""Where instruments stand on the plans: as the site file says, and over that as people have moved them."""

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from gateway.core.errors import StorageError
from gateway.site.drawings import Drawings
from gateway.store.disk import write_whole

log = structlog.get_logger()

FILE = "places.json"
BYTES_MAX = 8 << 20
PLACES_MAX = 20_000


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where an instrument stands on a plan.

    Attributes:
        plan: The plan's id.
        x: From its left edge, 0 to 1.
        y: From its upper edge, 0 to 1.
        moved_by: Who put it there on the screen; empty where the site file does.
    """

    plan: str
    x: float
    y: float
    moved_by: str = ""


class Places:
    """The places of all instruments. What was moved outlives a restart, and never changes the site file.

    A place on a plan that the site file no longer has is kept and not shown: the plan may come back.

    Args:
        path: The file for what was moved; None keeps it in memory alone. A file that cannot be read is set aside.
        drawings: Returns the plans and positions of the site file as it runs now.
    """

    def __init__(self, path: Path | None, drawings: Callable[[], Drawings]) -> None:
        self._path = path
        self._drawings = drawings
        self._lock = threading.Lock()
        self._moved = _read(path) if path is not None else {}

    @property
    def drawings(self) -> Drawings:
        """The plans and positions of the site file."""
        return self._drawings()

    def all(self) -> dict[str, Place]:
        """Return the places by instrument, only those on plans that there are."""
        drawings = self._drawings()
        plans = {drawing.id for drawing in drawings.all}
        written = drawings.positions or {}
        found = {name: Place(plan=p.plan, x=p.x, y=p.y) for name, p in written.items()}
        return {name: place for name, place in {**found, **self._moved}.items() if place.plan in plans}

    def move(self, instrument: str, place: Place) -> None:
        """Put an instrument somewhere; on disk when it returns. Blocks. Raises StorageError."""
        with self._lock:
            if instrument not in self._moved and len(self._moved) >= PLACES_MAX:
                raise StorageError(f"{PLACES_MAX} instruments have been moved already; write them into the site file")
            self._keep({**self._moved, instrument: place})

    def put_back(self, instrument: str) -> bool:
        """Put an instrument back to where the site file has it; whether it had been moved. Blocks.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._lock:
            if instrument not in self._moved:
                return False
            self._keep({name: place for name, place in self._moved.items() if name != instrument})
            return True

    def _keep(self, moved: dict[str, Place]) -> None:
        if self._path is not None:
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(moved), indent=1))
        self._moved = moved


def _read(path: Path) -> dict[str, Place]:
    try:
        found = _decoded(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        # Where a point is drawn is no reason not to start; the file is kept for whoever wants to mend it.
        aside = path.with_suffix(".damaged")
        log.warning("places of instruments cannot be read; the site file's count", path=str(path), reason=str(error))
        try:
            path.replace(aside)
        except OSError:
            log.warning("the damaged file stays where it is", path=str(path))
        return {}
    return found


def _decoded(path: Path) -> dict[str, Place]:
    if path.stat().st_size > BYTES_MAX:
        raise ValueError(f"larger than {BYTES_MAX} bytes")
    found: dict[str, Place] = msgspec.json.decode(path.read_bytes(), type=dict[str, Place])
    return found
