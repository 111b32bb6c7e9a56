"""The site file that the page on sounders shows is one that the gateway takes."""

import re
from pathlib import Path

import pytest

from gateway.core.clock import ManualClock
from gateway.site.load import load_site

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sounder-and-beacon.md"
SITE, READ_BACK = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("text", [SITE, SITE.replace("    options: {unit: 9, table: coil, address: 0}\n", READ_BACK)])
def test_the_site_file_of_the_page_is_taken_as_it_stands(tmp_path: Path, text: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    site = load_site(path)
    assert [output.id for output in site.file.outputs] == ["sounder", "beacon"]
    (connection,) = site.connections
    driver = connection.module.create(
        connection.options, connection.instruments, ManualClock(), outputs=connection.outputs
    )
    assert hasattr(driver, "switch")
    assert ("read_back" in text) == (READ_BACK in text)


def test_the_page_shows_both_kinds() -> None:
    assert "read_back" in READ_BACK
    assert "release: silence" in SITE
    assert "release: reset" in SITE
