"""What the how-to shows is what the gateway takes."""

import re
from pathlib import Path

import pytest

from gateway import assembly
from gateway.core.clock import ManualClock
from gateway.core.errors import SiteFileError
from gateway.site.load import load_site
from gateway.site.profiles import doubts, load_profile

TEXT = (Path(__file__).parents[3] / "docs/how-to/write-a-profile.md").read_text(encoding="utf-8")
FILES = {match[1]: match[0].partition("\n")[2] for match in re.finditer(r"(?s)(?<=```yaml\n)# (\S+)\n.*?(?=```)", TEXT)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert sorted(FILES) == ["mine.yaml", "panel.yaml", "site.yaml"]
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_site_and_the_profile_of_the_how_to_work(folder: Path) -> None:
    site = load_site(folder / "site.yaml")
    assembly.check(site, ManualClock())
    assert [c.id for c in site.channels] == ["gd-01.gas", "gd-01.a1", "gd-01.a2", "gd-02.gas", "gd-02.a1", "gd-02.a2"]
    assert [d.what for d in doubts(site)] == ["word order", "word order"]


def test_the_panel_of_the_how_to_works(folder: Path) -> None:
    assert load_profile("./panel.yaml", folder).file.point is not None


def test_the_mistake_of_the_how_to_is_told_in_these_words(folder: Path) -> None:
    shown = next(line for line in TEXT.splitlines() if line.startswith("mine.yaml:"))
    path = folder / "mine.yaml"
    path.write_text("# mine.yaml\n" + FILES["mine.yaml"].replace("      address: 2\n", "      adress: 2\n"))
    with pytest.raises(SiteFileError) as caught:
        load_site(folder / "site.yaml")
    place, words = shown.split(": ", 1)
    assert any(line.endswith(words) for line in caught.value.lines)
    assert place in {line.split(": ", 1)[0] for line in caught.value.lines}


@pytest.mark.parametrize(
    ("change", "channels"),
    [
        ("omit: [a2]", ["gas", "a1"]),
        ("channels: [{id: temperature}]", ["gas", "a1", "a2", "temperature"]),
        ("channels: [{id: flow, options: {address: 40}}]", ["gas", "a1", "a2", "flow"]),
        ("channels: [{id: gas, unit: ppm, range: [0, 300]}]", ["gas", "a1", "a2"]),
    ],
)
def test_what_the_site_file_may_change_changes_it(folder: Path, change: str, channels: list[str]) -> None:
    assert f"`{change}`" in TEXT
    path = folder / "site.yaml"
    path.write_text(FILES["site.yaml"].replace("area: boiler, options: {unit: 1}", change))
    site = load_site(path)
    assert [c.id.removeprefix("gd-01.") for c in site.channels if c.instrument == "gd-01"] == channels
