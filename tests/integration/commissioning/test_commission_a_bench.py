"""From a line nobody knows to readings, with the commands a person types, against simulated instruments on a pty."""

import json
import os
import pty
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.integration.commissioning.conftest import Bench, Hazgate, hazgate_words

pytestmark = pytest.mark.xdist_group("commissioning")


def test_a_scan_finds_the_speed_and_the_instruments_and_what_it_prints_reads_rightly(
    bench: Bench, hazgate: Hazgate, tmp_path: Path
) -> None:
    scan = hazgate("scan", bench.line, "--units", "1-3,30", "--baud", "9600,19200", "--parity", "N", "--wait", "0.15")
    assert scan.returncode == 0, scan.stderr
    yaml = scan.stdout.partition("# for the site file\n")[2]
    data = YAML(typ="safe").load(yaml)
    assert data["connections"][0]["options"] == {"endpoint": bench.line, "baud": 19200}
    profiles = {section["options"]["unit"]: section["profile"] for section in data["instruments"]}
    assert profiles == {2: "xy-md02", 3: "honeywell-sensepoint-xcd-rfd"}
    assert "30" in yaml
    site = tmp_path / "site.yaml"
    site.write_text(f"site: {{id: bench}}\n{yaml}", encoding="utf-8")
    live = hazgate("check", str(site), "--live", "--json")
    told = json.loads(live.stdout)
    assert live.returncode == 0, live.stdout
    values = {row["channel"]: row for row in told["channels"]}
    assert 15 < values["xy-md02-2.temperature"]["value"] < 25
    assert {row["quality"] for row in told["channels"]} == {"good"}
    assert all(row["latency_s"] > 0 for row in told["channels"])
    assert any("word order" in warning["what"] for warning in told["warnings"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yaml"]


def test_a_scan_of_a_host_finds_what_stands_behind_it(bench: Bench, hazgate: Hazgate) -> None:
    scan = hazgate("scan", bench.tcp, "--units", "1-3", "--wait", "0.3", "--json")
    [found] = json.loads(scan.stdout)["found"]
    assert (found["unit"], found["profiles"][0], found["line"]) == (2, "xy-md02", None)


def test_ctrl_c_ends_a_scan_at_once_with_what_it_has_found(bench: Bench) -> None:
    words = hazgate_words("scan", bench.line, "--units", "2,100-247", "--baud", "19200", "--parity", "N", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not process.stderr.readline().startswith("found"):
            pass
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
        took_s = time.monotonic() - began
    told = json.loads(stdout)
    assert process.returncode == 130
    assert [found["unit"] for found in told["found"]] == [2]
    assert told["stopped"]
    # 148 silent units would take half a minute.
    assert took_s < 10


def test_registers_are_read_and_the_refused_ones_are_told(bench: Bench, hazgate: Hazgate) -> None:
    read = hazgate("read", bench.line, "--baud", "19200", "--id", "30", "--address", "98", "--count", "16", "--json")
    told = json.loads(read.stdout)
    assert told["refused"] == {"98": "0x02", "99": "0x02"}
    by_address = {register["address"]: register for register in told["registers"]}
    assert by_address[98]["word"] is None
    assert by_address[112]["float32"]["CDAB"] == pytest.approx(20.9, abs=0.5)


def test_a_watched_register_is_read_again_and_again(bench: Bench, hazgate: Hazgate) -> None:
    read = hazgate("read", bench.tcp, "--id", "2", "--table", "input", "--address", "1", "--count", "2",
                   "--watch", "0.1", "--times", "3", "--json")  # fmt: skip
    assert len([json.loads(line) for line in read.stdout.splitlines()]) == 3


def test_a_guess_finds_the_temperature_among_32_registers(bench: Bench, hazgate: Hazgate, tmp_path: Path) -> None:
    where = (bench.line, "--baud", "19200", "--id", "30", "--table", "holding", "--address", "100", "--count", "32")
    ways: list[tuple[str, int, str, float]] = []
    for attempt in range(5):
        # The temperature moves: between two commands it may pass from one shown decimal to the next.
        read = json.loads(hazgate("read", *where, "--json").stdout)
        shown = next(r["int16"] for r in read["registers"] if r["address"] == 118) * 0.01
        keep = ("--keep", str(tmp_path / f"seen{attempt}.json"))
        value = ("--value", f"{shown:.1f}", "--unit", "°C", "--full-scale", "80")
        told = json.loads(hazgate("guess", *where, *value, *keep, "--json").stdout)
        ways = [(g["table"], g["address"], g["type"], g["scale"]) for g in told["guesses"]]
        if ("holding", 118, "int16", 0.01) in ways:
            break
    # The oxygen beside it stands at 20.9 and may fit as well.
    assert ("holding", 118, "int16", 0.01) in ways
    assert told["yaml"].startswith("- ")
    again = json.loads(hazgate("guess", *where, *value, *keep, "--json").stdout)
    assert again["values"] == 2


def test_what_cannot_be_reached_is_told_with_what_to_do(hazgate: Hazgate, tmp_path: Path) -> None:
    gone = hazgate("read", f"rtu://{tmp_path}/ttyUSB9")
    assert gone.returncode == 1
    assert "`hazgate ports`" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_a_silent_unit_is_told_with_what_to_do(bench: Bench, hazgate: Hazgate) -> None:
    silent = hazgate("read", bench.line, "--baud", "19200", "--id", "77", "--wait", "0.1")
    assert silent.returncode == 1
    assert "`hazgate scan`" in silent.stderr


def test_a_connection_of_a_site_file_can_be_asked(bench: Bench, hazgate: Hazgate, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        f"site: {{id: s}}\nconnections: [{{id: net, type: modbus, options: {{endpoint: '{bench.tcp}'}}}}]\n"
        "instruments: [{id: t, connection: net, profile: xy-md02, options: {unit: 2}}]\n"
    )
    read = hazgate(
        "read", "--site", str(site), "--id", "2", "--table", "input", "--address", "1", "--count", "1", "--json"
    )
    assert 150 < json.loads(read.stdout)["registers"][0]["word"] < 250


def test_check_live_names_what_is_silent_and_ends_with_one(bench: Bench, hazgate: Hazgate, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "site: {id: s}\nconnections:\n"
        f"  - {{id: net, type: modbus, options: {{endpoint: '{bench.tcp}', timeout_s: 0.2}}}}\n"
        "  - {id: gone, type: modbus, options: {endpoint: 'tcp://127.0.0.1:1'}}\n"
        f"  - {{id: line, type: modbus, options: {{endpoint: 'rtu://{tmp_path}/no-such-port'}}}}\n"
        "instruments:\n"
        "  - {id: here, connection: net, profile: xy-md02, options: {unit: 2}}\n"
        "  - {id: dead, connection: net, profile: xy-md02, options: {unit: 99}}\n"
        "  - {id: far, connection: gone, profile: xy-md02, options: {unit: 1}}\n"
        "  - {id: off, connection: line, profile: xy-md02, options: {unit: 1}}\n"
    )
    live = hazgate("check", str(site), "--live", "--json", "--timeout", "8")
    rows = {row["channel"]: row for row in json.loads(live.stdout)["channels"]}
    assert live.returncode == 1
    assert rows["here.temperature"]["quality"] == "good"
    assert (rows["dead.humidity"]["quality"], rows["dead.humidity"]["value"]) == ("comms_lost", None)
    assert "refused" in rows["far.humidity"]["why"]
    assert "no such port" in rows["off.humidity"]["why"]
    warnings = json.loads(live.stdout)["warnings"]
    assert any("no-such-port is not there" in warning["what"] for warning in warnings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yaml"]


def test_a_line_that_only_makes_noise_is_told_to_be_noisy(hazgate: Hazgate) -> None:
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    stop = threading.Event()

    def babble() -> None:
        while not stop.is_set():
            try:
                os.read(master, 64)
                os.write(master, bytes((0x55, 0x03, 0xF1, 0x7E, 0x00, 0x91, 0x13)))
            except OSError:
                return

    noise = threading.Thread(target=babble, daemon=True)
    noise.start()
    try:
        words = ("--units", "1-3", "--baud", "9600", "--parity", "N", "--wait", "0.1", "--json")
        told = json.loads(hazgate("scan", f"rtu://{name}", *words).stdout)
    finally:
        stop.set()
        os.write(slave, b"\0")
        os.close(slave)
        noise.join(5)
        os.close(master)
    assert told["found"] == []
    assert "no Modbus frame" in told["hints"][0]["text"]
