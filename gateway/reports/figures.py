"""Alarm statistics of a report's period."""

from gateway.reports.model import Figures
from gateway.reports.place import Place
from gateway.store.search import Past


def figures_of(past: Past, place: Place, start_ns: int, end_ns: int) -> Figures:
    """Return the statistics of a span. Raises StorageError."""
    return Figures()
