"""What instruments measure, and how a usual instrument of that kind behaves where a scenario does not say otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A usual detector head.

    Attributes:
        unit: What it shows.
        low, high: Its measuring range.
        t90_s: Time to 90 % of a step.
        noise: Standard deviation of its noise.
        resolution: Its smallest step.
        walk_per_h: Zero drift after an hour, as the standard deviation of a random walk.
        daily: Zero drift with the day's temperature, half of the swing.
        marks: Limits whose crossing by the true value is worth a line in the truth file.
        catalytic: Whether it is a bead that reads low in rich mixtures.
        length_m: Way that smoke has to find into it; the lag is this over the air's speed (Heskestad).
        rti: Thermal inertia in (m s)^0.5; the lag is this over the root of the air's speed.
    """

    unit: str
    low: float
    high: float
    t90_s: float
    noise: float
    resolution: float
    walk_per_h: float = 0.0
    daily: float = 0.0
    marks: tuple[float, ...] = ()
    catalytic: bool = False
    length_m: float = 0.0
    rti: float = 0.0


_COMBUSTIBLE = Head("%LEL", 0.0, 100.0, 10.0, 0.1, 0.1, 0.05, 0.2, (10.0, 25.0, 50.0), catalytic=True)

HEADS: dict[str, Head] = {
    "ch4": _COMBUSTIBLE,
    "c3h8": _COMBUSTIBLE,
    "c4h10": _COMBUSTIBLE,
    "c6h14": _COMBUSTIBLE,
    "h2": _COMBUSTIBLE,
    "co": Head("ppm", 0.0, 500.0, 25.0, 0.4, 1.0, 0.2, 0.5, (24.0, 160.0)),
    "h2s": Head("ppm", 0.0, 100.0, 25.0, 0.05, 0.1, 0.03, 0.1, (7.0, 14.0)),
    "nh3": Head("ppm", 0.0, 100.0, 45.0, 0.3, 1.0, 0.2, 0.5, (25.0, 50.0)),
    "co2": Head("ppm", 0.0, 5000.0, 30.0, 8.0, 1.0, 3.0, 5.0, (5000.0,)),
    "o2": Head("%VOL", 0.0, 25.0, 15.0, 0.02, 0.1, 0.01, 0.05, (19.5, 23.5)),
    "temperature": Head("°C", -40.0, 125.0, 8.0, 0.05, 0.1, marks=(57.0,), rti=30.0),
    "humidity": Head("%RH", 0.0, 100.0, 8.0, 0.2, 0.1),
    "smoke": Head("OD/m", 0.0, 2.0, 3.0, 0.001, 0.001, 0.0005, marks=(0.05, 0.14), length_m=1.8),
    # A vane is quick: an average over north would show south.
    "wind_speed": Head("m/s", 0.0, 60.0, 2.0, 0.05, 0.1),
    "wind_direction": Head("°", 0.0, 360.0, 0.0, 1.0, 1.0),
    "level": Head("%", 0.0, 100.0, 2.0, 0.02, 0.01, marks=(5.0, 85.0, 95.0)),
    "pressure": Head("kPa", -5.0, 20.0, 1.0, 0.01, 0.01),
}
"""By quantity. Response times, noise and drift are those of ordinary catalytic, electrochemical and optical heads;
the marks are the usual set points (GB/T 50493-2019, GBZ 2.1)."""
