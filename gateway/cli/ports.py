"""`hazgate ports`: the serial ports of this machine, the names that last, and what stands in the way of using them."""

import sys
from pathlib import Path

import click

from gateway.cli import asking


@click.command()
@click.option("--udev", metavar="NAME", help="Print the udev rule that names a port /dev/NAME.")
@click.option("--port", metavar="DEVICE", help="The port that --udev speaks of, where there are several.")
@click.option("--root", default="/", hidden=True, type=click.Path(path_type=Path), help="Where dev, sys and proc are.")
@asking.as_json
def command(udev: str | None, port: str | None, root: Path, *, json_: bool) -> None:
    """List serial adapters: stable names, drivers, permissions, who has them open."""
    from gateway.commissioning.adapters import adapters  # noqa: PLC0415 - `--help` loads nothing heavy

    found = adapters(root)
    if port is not None:
        found = [adapter for adapter in found if port in (adapter.device, adapter.by_id, adapter.by_path)]
    if udev is not None:
        _print_rule(found, udev)
    elif json_:
        asking.print_json({"ports": found})
    else:
        _print_table(found)
    if not found and not json_:
        sys.exit(1)


def _print_rule(found: list, name: str) -> None:  # type: ignore[type-arg]  # adapters are imported lazily
    from gateway.commissioning.adapters import udev_rule  # noqa: PLC0415

    usb = [adapter for adapter in found if adapter.usb]
    if len(usb) != 1:
        there = ", ".join(adapter.device for adapter in usb) or "none"
        raise click.UsageError(f"--udev needs one USB adapter, there are: {there}; choose with --port")
    try:
        rule = udev_rule(usb[0], name)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(
        f"# /etc/udev/rules.d/99-hazgate.rules, then: sudo udevadm control --reload && sudo udevadm trigger\n{rule}"
    )


def _print_table(found: list) -> None:  # type: ignore[type-arg]  # adapters are imported lazily
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = asking.console()
    if not found:
        console.print("no serial port; plug the adapter in and look again (`dmesg | tail` says what the kernel saw)")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    for name in ("port", "driver", "usb id", "product", "access"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for adapter in found:
        usb = adapter.usb
        state = "in use" if adapter.users else "yours" if adapter.allowed else f"group {adapter.group}"
        style = asking.MARK if adapter.users else "green" if adapter.allowed else "red"
        table.add_row(
            Text(adapter.device.removeprefix("/dev/"), "bold"),
            adapter.driver,
            f"{usb.vendor_id}:{usb.product_id}" if usb else "",
            f"{usb.maker} {usb.product}".strip() if usb else "on the board",
            Text(state, style),
        )
    console.print(table)
    for adapter in found:
        console.print()
        # Names are copied: they stand alone in their line and are never cut.
        click.echo(f"rtu://{adapter.path}")
        for warning in adapter.warnings:
            console.print(Text.assemble("  ", ("!", asking.MARK), " ", warning))
