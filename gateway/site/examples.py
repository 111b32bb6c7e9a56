"""Where the example sites, scenarios and profiles are: beside the packages, or inside the wheel."""

from pathlib import Path


def shipped(*parts: str) -> Path:
    """Return the path of a shipped file or folder, e.g. `shipped("sites", "demo.yaml")`."""
    inside = Path(__file__).parent / "shipped"
    root = inside if inside.is_dir() else Path(__file__).parents[2] / "config"
    return root.joinpath(*parts)
