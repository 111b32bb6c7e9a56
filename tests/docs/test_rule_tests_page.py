"""The site file that the page on rule tests shows passes, and prints what the page says."""

import re
from pathlib import Path

from click.testing import CliRunner

from gateway.cli.test import command

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "test-the-rules.md").read_text(encoding="utf-8")


def test_the_page_shows_what_the_command_prints(tmp_path: Path) -> None:
    (site,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```\n\$ hazgate test site.yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "site.yaml"
    path.write_text(site, encoding="utf-8")
    ran = CliRunner().invoke(command, [str(path)])
    assert ran.output == shown
    assert ran.exit_code == 0
