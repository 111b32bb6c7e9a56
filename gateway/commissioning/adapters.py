"""Serial adapters of this machine: stable names, drivers, permissions, who has them open; nothing is opened for it."""

import grp
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GENERIC_SERIALS = frozenset({"", "0", "0001", "00000000", "0000:00:00.0", "1234", "12345678", "123456", "A50285BI"})
"""Serial numbers that makers burn into every adapter; they tell none from its neighbour."""
CLIMB_MAX = 6
"""Folders from a port up to its USB device."""
USB_FILES = ("idVendor", "idProduct", "manufacturer", "product", "serial")
PROCESSES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Usb:
    """What an adapter says of itself.

    Attributes:
        place: Where it is plugged in, e.g. `1-1.2`.
        interface: Its number among the ports of one adapter, e.g. `00`.
    """

    vendor_id: str
    product_id: str
    maker: str = ""
    product: str = ""
    serial: str = ""
    place: str = ""
    interface: str = ""


@dataclass(frozen=True, slots=True)
class Adapter:
    """One serial port.

    Attributes:
        device: Its present device file, e.g. `/dev/ttyUSB0`; the number changes with the order of plugging in.
        path: The name to write into a site file.
        by_id: Its name by maker and serial number; empty where udev made none.
        by_path: Its name by the socket it is plugged into.
        driver: The kernel's driver.
        usb: None for a port of the board itself.
        group: The group that may open it.
        allowed: Whether this user may.
        users: Processes that have it open, as `name (pid)`.
        warnings: What is wrong with it and what to do, one sentence each.
    """

    device: str
    path: str
    by_id: str
    by_path: str
    driver: str
    usb: Usb | None
    group: str
    allowed: bool
    users: tuple[str, ...]
    warnings: tuple[str, ...]


def adapters(root: Path = Path("/")) -> list[Adapter]:
    """Return the serial ports of this machine, USB adapters first.

    Args:
        root: Where `dev`, `sys`, `proc` and `run` are.
    """
    ports = [(port, _usb(port)) for port in _ports(root)]
    twins = Counter((usb.vendor_id, usb.product_id, usb.serial) for _, usb in ports if usb)
    names = {kind: _links(root / "dev" / "serial" / kind) for kind in ("by-id", "by-path")}
    made = [
        _adapter(root, port, usb, names, shared=usb is not None and _is_shared(usb, twins, ports))
        for port, usb in ports
    ]
    return sorted(made, key=lambda adapter: (adapter.usb is None, adapter.device))


def stable_path(device: str, root: Path = Path("/")) -> str:
    """Return the name of a port that survives a restart and replugging, or the name as it was given."""
    real = os.path.realpath(device)
    return next((adapter.path for adapter in adapters(root) if adapter.device in (device, real)), device)


def users_of(device: str, root: Path = Path("/")) -> tuple[str, ...]:
    """Return who has a port open, as `name (pid)`; nobody where this user may not see them.

    Args:
        device: Its device file or a link to it.
        root: Where `dev` and `proc` are.
    """
    real = Path(os.path.realpath(device))
    if not real.is_relative_to("/dev") or not (root / real.relative_to("/")).exists():
        return ()
    return tuple(_users(root, str(real.relative_to("/dev"))))


def udev_rule(adapter: Adapter, name: str) -> str:
    """Return the udev rule that gives an adapter a name of its own, `/dev/NAME`.

    Args:
        adapter: A USB adapter.
        name: The name.

    Raises:
        ValueError: The port is no USB adapter, or the name cannot be one.
    """
    usb = adapter.usb
    if usb is None:
        raise ValueError(f"{adapter.device} is a port of the board; its name does not change")
    if not name.replace("-", "").replace("_", "").isalnum() or name.startswith("tty"):
        raise ValueError(f"{name!r} is no name for a port; letters, digits, - and _ are allowed, and not tty… in front")
    parts = ['SUBSYSTEM=="tty"', f'ATTRS{{idVendor}}=="{usb.vendor_id}"', f'ATTRS{{idProduct}}=="{usb.product_id}"']
    # All ATTRS of a rule must match at one and the same parent, KERNELS too: the USB device.
    if adapter.path == adapter.by_id:
        parts.append(f'ATTRS{{serial}}=="{usb.serial}"')
    else:
        parts.append(f'KERNELS=="{usb.place}"')
    if usb.interface not in ("", "00"):
        parts.append(f'ENV{{ID_USB_INTERFACE_NUM}}=="{usb.interface}"')
    return ", ".join([*parts, f'SYMLINK+="{name}"', 'GROUP="dialout"', 'MODE="0660"'])


def _ports(root: Path) -> Iterator[Path]:
    """Yield the folders of ports that have hardware behind them."""
    folder = root / "sys" / "class" / "tty"
    for port in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not (port / "device").exists() or not (root / "dev" / port.name).exists():
            continue
        # A PC announces 32 ports of type 0, which is "unknown": there is none.
        if (port / "type").is_file() and _text(port / "type") == "0":
            continue
        yield port


def _usb(port: Path) -> Usb | None:
    """Return what the USB device above a port says of itself."""
    place = (port / "device").resolve()
    interface = ""
    for _ in range(CLIMB_MAX):
        interface = interface or _text(place / "bInterfaceNumber")
        if (place / "idVendor").is_file():
            vendor, product, maker, name, serial = (_text(place / key) for key in USB_FILES)
            return Usb(vendor, product, maker, name, serial, place.name, interface)
        place = place.parent
    return None


def _is_shared(usb: Usb | None, twins: Counter[tuple[str, str, str]], ports: list[tuple[Path, Usb | None]]) -> bool:
    """Return whether an adapter's serial number does not tell it from others."""
    if usb is None:
        return False
    if usb.serial in GENERIC_SERIALS:
        return True
    if twins[usb.vendor_id, usb.product_id, usb.serial] == 1:
        return False
    # Several ports of one adapter have one serial number, and names of their own.
    places = {other.place for _, other in ports if other and other.serial == usb.serial}
    return len(places) > 1


def _adapter(root: Path, port: Path, usb: Usb | None, names: dict[str, dict[str, str]], *, shared: bool) -> Adapter:
    device = f"/dev/{port.name}"
    by_id, by_path = names["by-id"].get(port.name, ""), names["by-path"].get(port.name, "")
    path = by_path or device if shared else by_id or by_path or device
    group, allowed = _permission(root / "dev" / port.name)
    users = tuple(_users(root, port.name))
    return Adapter(
        device=device,
        path=path,
        by_id=by_id,
        by_path=by_path,
        driver=(port / "device" / "driver").resolve().name if (port / "device" / "driver").exists() else "",
        usb=usb,
        group=group,
        allowed=allowed,
        users=users,
        warnings=tuple(_warnings(usb, path, group, users, shared=shared, allowed=allowed)),
    )


def _warnings(
    usb: Usb | None, path: str, group: str, users: tuple[str, ...], *, shared: bool, allowed: bool
) -> Iterator[str]:
    if usb is not None and shared:
        said = f"the serial number {usb.serial!r}, as others of its kind have" if usb.serial else "no serial number"
        yield f"It has {said}: only the socket tells it from another. Keep it in this one and use its by-path name."
    if usb is not None and path.startswith("/dev/tty"):
        yield "udev made no stable name for it: the number may change at the next start."
    if not allowed:
        yield f"You may not open it: `sudo usermod -aG {group} $USER`, then log in again."
    if users:
        yield f"In use by {', '.join(users)}: two masters on one line disturb each other."


def _links(folder: Path) -> dict[str, str]:
    """Return names in a folder of udev's by the port they point to."""
    found: dict[str, str] = {}
    for link in sorted(folder.iterdir()) if folder.is_dir() else ():
        found.setdefault(link.resolve().name, f"/dev/serial/{folder.name}/{link.name}")
    return found


def _permission(device: Path) -> tuple[str, bool]:
    """Return the group that may open a port, and whether this process may."""
    group_id = device.stat().st_gid
    try:
        group = grp.getgrgid(group_id).gr_name
    except KeyError:
        group = str(group_id)
    return group, os.access(device, os.R_OK | os.W_OK)


def _users(root: Path, name: str) -> Iterator[str]:
    """Yield who has a port open: by open files where they may be seen, by locks where they may not."""
    device = root / "dev" / name
    pids = {*_openers(root, device), *_lockers(root, device), *_lock_file(root, name)} - {os.getpid()}
    for pid in sorted(pids):
        yield f"{_text(root / 'proc' / str(pid) / 'comm') or 'process'} ({pid})"


def _openers(root: Path, device: Path) -> list[int]:
    found: list[int] = []
    folder = root / "proc"
    targets = {str(device), f"/dev/{device.name}"}
    processes = [entry for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    for process in processes[:PROCESSES_MAX]:
        # Processes end while they are looked at, and those of other users show nothing.
        with suppress(OSError):
            links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            found += [int(process.name)] * bool(targets.intersection(links))
    return found


def _lockers(root: Path, device: Path) -> Iterator[int]:
    state = device.stat()
    where = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    for line in _text(root / "proc" / "locks").splitlines():
        words = line.split()
        if len(words) > 5 and words[5] == where and words[4].isdecimal():
            yield int(words[4])


def _lock_file(root: Path, name: str) -> Iterator[int]:
    """Yield the process that a terminal program has noted in its lock file, while it lives."""
    text = _text(root / "run" / "lock" / f"LCK..{name}")
    if text.isdecimal() and (root / "proc" / text).is_dir():
        yield int(text)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
