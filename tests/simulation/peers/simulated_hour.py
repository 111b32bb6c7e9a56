"""What happens to a site in an hour, drawn from a seed: leaks, lost links, stuck values, refusing disks, restarts.

The gateway meets it through two plugins found by their entry points, as a third party's would be.
"""

import random
from dataclasses import dataclass, field
from typing import Any

HOUR_S = 3600.0
HEAL_S = 180.0
CONNECTIONS, HEADS = 3, 2
LOW, HIGH = 10.0, 25.0
WORLDS: dict[str, "World"] = {}


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong from `start_s` to `end_s`: to a connection, an instrument, or the gateway itself."""

    what: str
    where: str
    start_s: float
    end_s: float

    def now(self, at_s: float) -> bool:
        return self.start_s <= at_s < self.end_s


@dataclass
class World:
    """The plant, the platform and everything that befalls them; time is the virtual loop's."""

    seed: int
    length_s: float = HOUR_S
    incidents: list[Incident] = field(default_factory=list)
    connections: dict[str, list[str]] = field(default_factory=dict)
    delivered_s: dict[str, float] = field(default_factory=dict)
    """When the gateway last got a value from an instrument."""
    shown: dict[str, float] = field(default_factory=dict)
    """The value that it got then."""
    still_since_s: dict[str, float] = field(default_factory=dict)
    """Since when an instrument shows the same value, and nothing has been between that and the gateway."""
    received: dict[str, Any] = field(default_factory=dict)
    """What the platform has, by key, in the order in which it came."""
    repeats: int = 0
    sorted: dict[tuple[str, str], list[Incident]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.connections = {f"line{n}": [f"gd-{n}{k}" for k in range(HEADS)] for n in range(CONNECTIONS)}
        rng = random.Random(self.seed)
        heads = [head for line in self.connections.values() for head in line]
        for what, where, times, longest_s in (
            ("leak", heads, 4, 300),
            ("stuck", heads, 2, 400),
            ("silent", heads, 2, 200),
            ("lost", list(self.connections), 3, 200),
            ("hung", list(self.connections), 2, 120),
            ("disk", ["journal", "spool"], 2, 120),
            ("platform", ["platform"], 3, 300),
            ("restart", ["gateway"], 2, 8),
            ("crash", ["gateway"], 3, 8),
            ("step", ["-3600", "+86400", "+7", "-7"], 3, 0),
        ):
            for _ in range(times):
                start_s = round(rng.uniform(20, self.length_s), 3)
                end_s = min(start_s + round(rng.uniform(longest_s / 8, longest_s), 3), self.length_s)
                self.incidents.append(Incident(what, rng.choice(where), start_s, end_s))

    def has(self, what: str, where: str, at_s: float) -> bool:
        return any(incident.now(at_s) for incident in self._at(what, where))

    def _at(self, what: str, where: str) -> list[Incident]:
        if (what, where) not in self.sorted:
            self.sorted[what, where] = [i for i in self.incidents if (i.what, i.where) == (what, where)]
        return self.sorted[what, where]

    def value(self, head: str, at_s: float) -> float:
        """Return what a head shows: a leak fills the room within ten seconds, a stuck head shows its last value."""
        at_s = next((stuck.start_s for stuck in self._at("stuck", head) if stuck.now(at_s)), at_s)
        noise = random.Random(f"{self.seed}/{head}/{round(at_s * 1000)}").uniform(0.5, 3.0)
        leaks = (leak for leak in self._at("leak", head) if leak.now(at_s))
        return round(noise + sum(min(60.0, 6.0 * (at_s - leak.start_s)) for leak in leaks), 2)

    def gave(self, head: str, value: float, at_s: float) -> None:
        """Note that the gateway got a value."""
        gap = at_s - self.delivered_s.get(head, -1e9) > 2.5
        if gap or self.shown.get(head) != value:
            self.still_since_s[head] = at_s
        self.delivered_s[head], self.shown[head] = at_s, value
