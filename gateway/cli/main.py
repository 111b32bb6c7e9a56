"""The command `hazgate`: finds the subcommand and turns expected errors into exit codes."""

import importlib
import shutil
import sys
import textwrap
from typing import Final

import click

from gateway import __version__
from gateway.core.errors import ConfigError, HazgateError, SiteFileError

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 78

COMMANDS: Final = {
    "demo": "Run the whole chain on this machine, with nothing else installed.",
    "run": "Run the gateway of a site.",
    "reload": "Apply a changed site file to a running gateway.",
    "check": "Validate a site file; with --live read each channel once.",
    "test": "Run the tests of the rules that a site file holds.",
    "ports": "List serial adapters, their stable names and who uses them.",
    "scan": "Find Modbus instruments on serial lines and hosts.",
    "read": "Read registers in every way that they can be read.",
    "guess": "Guess how registers are read from what a display shows.",
    "profiles": "List the instruments that are known by name, or show one.",
    "evaluate": "Hold detectors against recorded or simulated truth.",
    "tune": "Propose set points and parameters from a site's own past.",
    "simulate": "Run a simulated plant on real sockets.",
    "labels": "Print a sheet of labels whose codes open the instruments' pages.",
    "account": "Make and change the accounts of people.",
    "token": "Make, list and revoke access tokens of machines.",
    "replay": "Judge a recording as fast as the machine can, and print its events.",
    "report": "Write the report of a shift, a day or a month.",
    "export": "Write the journal into a file.",
    "verify": "Prove that a journal, or an exported one, is as it was written.",
}


class LazyGroup(click.Group):
    """Imports a subcommand only when it is called: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"gateway.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hazgate")
def cli() -> None:
    """Monitoring gateway for hazard sources."""


def _folded(line: str) -> str:
    """Return a line folded between words where a terminal would cut it, and as it is for a file or another program."""
    if not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns
    return textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def main() -> None:
    """Run the command line; the one place that catches configuration errors."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except SiteFileError as error:
        for line in error.lines:
            click.echo(_folded(line), err=True)
        sys.exit(EXIT_CONFIG)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)
    except HazgateError as error:
        click.echo(f"hazgate: {error}", err=True)
        sys.exit(EXIT_FAILED)
