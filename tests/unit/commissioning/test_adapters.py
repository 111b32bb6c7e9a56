"""Serial adapters, found in made trees of /sys, /dev and /proc."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.commissioning import reasons
from gateway.commissioning.adapters import Adapter, adapters, stable_path, udev_rule, users_of
from gateway.core.errors import NotConnectedError

Plug = Callable[..., None]


@pytest.fixture
def plug(tmp_path: Path) -> Plug:
    """Plug an adapter into a made machine."""

    def make(port: str, *, place: str = "1-1.2", vendor: str = "0403", product: str = "6001", serial: str = "A1",
             by_id: str = "", by_path: str = "", interface: str = "00", driver: str = "ftdi_sio") -> None:  # fmt: skip
        usb = tmp_path / "sys/devices/usb1" / place
        device = usb / f"{place}:1.{int(interface)}" / port
        for folder in (
            device,
            tmp_path / "sys/class/tty" / port,
            tmp_path / "dev",
            tmp_path / "proc",
            tmp_path / "drv",
        ):
            folder.mkdir(parents=True, exist_ok=True)
        for name, text in {
            "idVendor": vendor,
            "idProduct": product,
            "manufacturer": "FTDI",
            "product": "USB-RS485",
        }.items():
            (usb / name).write_text(f"{text}\n")
        if serial:
            (usb / "serial").write_text(f"{serial}\n")
        (device.parent / "bInterfaceNumber").write_text(f"{interface}\n")
        (tmp_path / "drv" / driver).mkdir(exist_ok=True)
        (device / "driver").symlink_to(tmp_path / "drv" / driver)
        (tmp_path / "sys/class/tty" / port / "device").symlink_to(device)
        (tmp_path / "dev" / port).touch()
        for kind, name in (("by-id", by_id), ("by-path", by_path)):
            if name:
                (tmp_path / "dev/serial" / kind).mkdir(parents=True, exist_ok=True)
                (tmp_path / "dev/serial" / kind / name).symlink_to(f"../../{port}")

    return make


def only(root: Path) -> Adapter:
    [adapter] = adapters(root)
    return adapter


def test_an_adapter_with_a_serial_number_is_named_by_it(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", by_id="usb-FTDI_USB-RS485_A1-if00-port0", by_path="pci-0000:00:14.0-usb-0:1.2:1.0-port0")
    adapter = only(tmp_path)
    assert adapter.path == "/dev/serial/by-id/usb-FTDI_USB-RS485_A1-if00-port0"
    assert (adapter.driver, adapter.usb and adapter.usb.serial) == ("ftdi_sio", "A1")
    assert adapter.warnings == ()


@pytest.mark.parametrize("serial", ["", "0", "0001"])
def test_an_adapter_without_a_number_of_its_own_is_named_by_its_socket(plug: Plug, tmp_path: Path, serial: str) -> None:
    plug(
        "ttyUSB0",
        vendor="1a86",
        product="7523",
        serial=serial,
        by_id="usb-1a86_USB_Serial-if00",
        by_path="pci-x-usb-1.2",
    )
    adapter = only(tmp_path)
    assert adapter.path == "/dev/serial/by-path/pci-x-usb-1.2"
    assert "by-path" in adapter.warnings[0]


def test_two_adapters_with_one_number_are_named_by_their_sockets(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", place="1-1.2", serial="X7", by_id="usb-a", by_path="path-a")
    plug("ttyUSB1", place="1-1.3", serial="X7", by_path="path-b")
    assert [adapter.path for adapter in adapters(tmp_path)] == [
        "/dev/serial/by-path/path-a",
        "/dev/serial/by-path/path-b",
    ]


def test_two_ports_of_one_adapter_keep_their_names_by_number(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", serial="X7", by_id="usb-a-if00", interface="00")
    plug("ttyUSB1", serial="X7", by_id="usb-a-if01", interface="01")
    first, second = adapters(tmp_path)
    assert (first.path, second.path) == ("/dev/serial/by-id/usb-a-if00", "/dev/serial/by-id/usb-a-if01")
    assert 'ENV{ID_USB_INTERFACE_NUM}=="01"' in udev_rule(second, "line2")


def test_a_process_that_has_the_port_open_is_named(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", by_id="usb-a")
    (tmp_path / "proc/4242/fd").mkdir(parents=True)
    (tmp_path / "proc/4242/comm").write_text("minicom\n")
    (tmp_path / "proc/4242/fd/7").symlink_to(tmp_path / "dev/ttyUSB0")
    adapter = only(tmp_path)
    assert adapter.users == users_of("/dev/ttyUSB0", tmp_path) == ("minicom (4242)",)
    assert users_of("/dev/ttyUSB1", tmp_path) == users_of("/nix/ttyUSB0", tmp_path) == ()
    assert "minicom (4242)" in adapter.warnings[-1]


def test_a_lock_of_another_users_process_is_seen(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", by_id="usb-a")
    state = (tmp_path / "dev/ttyUSB0").stat()
    where = f"{os.major(state.st_dev):02x}:{os.minor(state.st_dev):02x}:{state.st_ino}"
    (tmp_path / "proc/locks").write_text(
        f"1: FLOCK  ADVISORY  WRITE 77 {where} 0 EOF\n2: POSIX  ADVISORY  READ 9 00:1f:3 0 EOF\n"
    )
    assert only(tmp_path).users == ("process (77)",)


def test_a_port_one_may_not_open_says_which_group_to_join(
    plug: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug("ttyUSB0", by_id="usb-a")
    # The superuser may open everything, so the answer of the system is set.
    monkeypatch.setattr(os, "access", lambda path, _: not str(path).endswith("dev/ttyUSB0"))
    adapter = only(tmp_path)
    assert not adapter.allowed
    assert f"usermod -aG {adapter.group}" in adapter.warnings[0]


def test_ports_without_hardware_are_left_out(tmp_path: Path) -> None:
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0"), ("tty1", "")):
        folder = tmp_path / "sys/class/tty" / name
        folder.mkdir(parents=True)
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / name).touch()
        if kind:
            (folder / "device").mkdir()
            (folder / "type").write_text(kind)
    adapter = only(tmp_path)
    assert (adapter.device, adapter.usb) == ("/dev/ttyS0", None)
    with pytest.raises(ValueError, match="port of the board"):
        udev_rule(adapter, "line1")


def test_the_rule_of_an_adapter_without_a_number_holds_its_socket(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB0", vendor="1a86", product="7523", serial="", by_path="p")
    rule = udev_rule(only(tmp_path), "line1")
    assert rule == (
        'SUBSYSTEM=="tty", ATTRS{idVendor}=="1a86", ATTRS{idProduct}=="7523", KERNELS=="1-1.2", SYMLINK+="line1",'
        ' GROUP="dialout", MODE="0660"'
    )
    with pytest.raises(ValueError, match="no name for a port"):
        udev_rule(only(tmp_path), "ttyUSB9")


def test_a_device_is_translated_to_the_name_that_lasts(plug: Plug, tmp_path: Path) -> None:
    plug("ttyUSB3", by_id="usb-a")
    assert stable_path("/dev/ttyUSB3", tmp_path) == "/dev/serial/by-id/usb-a"
    assert stable_path("/dev/pts/9", tmp_path) == "/dev/pts/9"


def test_a_machine_without_ports_has_none(tmp_path: Path) -> None:
    assert adapters(tmp_path) == []


def test_who_has_a_port_is_named_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = NotConnectedError("rtu:///dev/ttyUSB0", "Device or resource busy")
    asked: list[str] = []

    def users_of(device: str) -> tuple[str, ...]:
        asked.append(device)
        return ("hazgate (77)",)

    monkeypatch.setattr(reasons, "users_of", users_of)
    assert reasons.reason(busy) == "in use by hazgate (77); a running gateway answers the same questions over its API"
    assert asked == ["/dev/ttyUSB0"]
    monkeypatch.setattr(reasons, "users_of", lambda _: ())
    assert "`hazgate ports` names it" in reasons.reason(busy)
