"""Instruments laid out as a profile says, their registers compared with what was worked out by hand."""

import struct
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from simulators.faces import RegisterFace
from simulators.loading import checked
from simulators.profiles import read_profile, shipped_profiles
from simulators.registers import Registers
from simulators.world import World

MODBUS = sorted(
    path.stem for path in set(shipped_profiles().values()) if read_profile(path.stem, Path()).get("driver") == "modbus"
)


class Bench:
    """One instrument with a profile, in clean air without noise."""

    def __init__(self, profile: str, *events: dict[str, Any], folder: Path = Path(), **more: Any) -> None:
        scenario = checked(
            {
                "name": "bench",
                "ambient": {"swing_k": 0, "weather_k": 0, "temperature_c": 20},
                "rooms": {"room": {"volume_m3": 50}},
                "buses": {"bus": {"type": "modbus-tcp"}},
                "instruments": {"i": {"bus": "bus", "unit": 7, "at": "room", "profile": profile, **more}},
                "events": [{"at_s": 0, "where": "i", **event} for event in events],
            },
            folder,
        )
        self.spec = scenario.instruments["i"]
        self.world = World(scenario)
        self.registers = Registers()
        self.face = RegisterFace("i", self.spec, self.world, self.registers)

    def after(self, seconds: float) -> "Bench":
        while self.world.t_s < seconds - 1e-9:
            self.world.step()
        self.face.show()
        return self

    def reads(self, function: int, address: int, count: int = 1) -> bytes:
        said = self.registers.answer(struct.pack(">BHH", function, address, count))
        assert said[0] == function, f"{function} {address} is refused"
        return said[2:]

    def word(self, address: int, function: int = 3) -> int:
        return int.from_bytes(self.reads(function, address), "big")


@pytest.mark.parametrize("profile", MODBUS)
def test_every_register_that_a_profile_names_is_there(profile: str):
    point = read_profile(profile, Path()).get("point")
    bench = Bench(profile, points=[point["first"]] if point else []).after(1)
    words = list((read_profile(profile, Path()).get("options") or {}).get("status") or ())
    channels = read_profile(profile, Path()).get("channels") or ()
    words += [channel["options"] for channel in channels]
    words += [
        channel["options"][key]
        for channel in channels
        for key in ("unit_from", "scale_from")
        if key in channel["options"]
    ]
    words += (read_profile(profile, Path()).get("identify") or {}).get("registers") or []
    functions = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
    for word in words:
        bench.reads(functions[word.get("table", "holding")], word["address"])


def test_a_state_is_shown_by_the_number_that_means_it():
    # 40007 is wire address 6: 1 normal, 2 warm-up, 3 inhibit, 12 calibration.
    assert Bench("honeywell-xcd").after(1).word(6) == 1
    assert Bench("honeywell-xcd", {"what": "warm-up", "for_s": 60}).after(1).word(6) == 2
    assert Bench("honeywell-xcd", {"what": "inhibit"}).after(1).word(6) == 3
    assert Bench("honeywell-xcd", {"what": "calibration"}).after(1).word(6) == 12
    faulty = Bench("honeywell-xcd", {"what": "fault"}).after(1)
    # 40005 is a fault from 1100 on, and 40006 has bit 5 for it.
    assert faulty.word(4) == 1100
    assert faulty.word(5) == 1 << 5
    assert faulty.reads(3, 2, 2) == bytes(4)


def test_several_fields_share_one_word():
    # Midas 40001: bits 0 to 3 the state (1 monitoring, 7 calibration), 4 and 5 the fault (2 instrument).
    assert Bench("honeywell-midas").after(1).word(0) == 1
    assert Bench("honeywell-midas", {"what": "calibration", "gas": 0}).after(1).word(0) == 7
    assert Bench("honeywell-midas", {"what": "fault"}).after(1).word(0) == 2 << 4 | 1


def test_a_contact_closes_at_its_own_value_within_the_status_word():
    head = Bench("honeywell-xcd", {"what": "calibration", "gas": 0.2}).after(60)
    assert head.word(5) == 0b01
    assert Bench("honeywell-xcd", {"what": "calibration", "gas": 0.9}).after(60).word(5) == 0b11
    late = Bench("honeywell-xcd", {"what": "calibration", "gas": 0.2}, alarms={"a1": 40}).after(60)
    assert late.word(5) == 0


def test_a_bit_of_a_long_word_lies_in_the_register_that_holds_it():
    # 30016 and 30017 are one uint32, most significant register first: bit 0 is in the second one.
    head = Bench("honeywell-xcd", {"what": "calibration", "gas": 0.2}).after(60)
    assert head.reads(4, 15, 2) == b"\x00\x00\x00\x01"


def test_the_word_order_of_the_profile_and_of_the_bench_is_kept():
    gas = {"gas": {"quantity": "o2", "noise": 0, "resolution": 0, "walk_per_h": 0, "daily": 0}}
    midas = Bench("honeywell-midas", channels=gas).after(1).reads(3, 2, 2)
    assert struct.unpack(">f", midas[2:] + midas[:2])[0] == pytest.approx(20.9)
    turned = Bench("honeywell-midas", channels=gas, options={"order": "ABCD"}).after(1).reads(3, 2, 2)
    assert struct.unpack(">f", turned)[0] == pytest.approx(20.9)


def test_units_and_decimals_are_told_beside_the_value():
    # Register 0: unit in bits 12 to 15 (2 %LEL, 0 ppm), decimals in bits 8 to 11 (4 is one).
    assert Bench("cn-gas-10reg").after(1).word(0) == 2 << 12 | 4 << 8
    co = Bench("cn-gas-10reg", channels={"gas": {"quantity": "co"}}).after(1)
    assert co.word(0) == 0
    head = Bench("cn-gas-10reg", {"what": "calibration", "gas": 0.5}, channels={"gas": {"noise": 0}}).after(120)
    assert head.word(1) == pytest.approx(500, abs=6)


def test_a_unit_that_somebody_changes_shows_in_its_word_and_in_the_numbers():
    head = Bench("cn-gas-10reg", {"what": "calibration"}, {"what": "unit-changed", "to": 0, "times": 5}).after(120)
    assert head.word(0) == 4 << 8
    assert head.word(1) == pytest.approx(2500, abs=40)


def test_the_heartbeat_counts_on_until_it_stalls():
    head = Bench("honeywell-xrl", {"what": "stall-heartbeat", "at_s": 20, "for_s": 30})
    # 40108 counts up about every 5 s.
    counted = [head.after(at).word(107) for at in (10.5, 20.5, 49.5, 60.5)]
    assert counted == [2, 4, 4, 6]


def test_a_warm_up_of_an_oem_module_clears_bit_15():
    assert Bench("cn-gas-0x6000").after(1).word(0x6000) == 1 << 15
    assert Bench("cn-gas-0x6000", {"what": "warm-up", "for_s": 60}).after(1).word(0x6000) & 1 << 15 == 0


def test_gas_stands_still_while_the_head_is_inhibited():
    head = Bench("honeywell-xcd", {"what": "inhibit"}, {"what": "calibration", "gas": 0.8})
    before = head.after(1).reads(3, 2, 2)
    assert head.after(60).reads(3, 2, 2) == before
    assert head.word(6) == 3


def test_what_the_fault_does_not_concern_goes_on():
    faulty = Bench("honeywell-xcd", {"what": "fault"}).after(1)
    assert struct.unpack(">f", faulty.reads(3, 56, 2))[0] == 24.0


def test_discrete_inputs_tell_states_too():
    head = Bench("bacharach-mgs-400", {"what": "warm-up", "for_s": 60}).after(1)
    assert head.reads(2, 3002) == b"\x00"
    assert head.reads(2, 3006) == b"\x01"


def test_a_panel_has_the_points_that_are_asked_for():
    panel = Bench("igd-toc-635", {"what": "inhibit"}, points=[3, 5]).after(1)
    # 33003 and 33005: bit 4 disabled. 30003: raw 0 is -10, so clean air is 100.
    assert panel.word(3002, 4) == panel.word(3004, 4) == 1 << 4
    assert panel.word(2, 4) == pytest.approx(100, abs=5)
    assert panel.registers.answer(bytes.fromhex("0400050001")).hex() == "8402"


def test_an_address_offset_moves_everything():
    head = Bench("honeywell-xcd", options={"address_offset": 1}).after(1)
    assert head.word(7) == 1


def test_gaps_are_there_unless_they_are_to_be_refused():
    assert Bench("honeywell-xcd").after(1).word(7) == 0
    strict = Bench("honeywell-xcd", gaps="refused").after(1)
    assert strict.registers.answer(bytes.fromhex("0300070001")).hex() == "8302"


def test_a_profile_of_the_integrator_lies_beside_the_scenario(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(
        "profile: mine\ndriver: modbus\noptions: {status: [{address: 9, values: {5: good, 6: sensor_fault}}]}\n"
        "channels:\n"
        "  - {id: t, quantity: temperature, options: {table: input, address: 3, type: int16, scale: 0.1}}\n"
    )
    bench = Bench("./mine.yaml", folder=tmp_path).after(1)
    assert bench.word(9) == 5
    assert bench.word(3, 4) == pytest.approx(200, abs=4)


@pytest.mark.parametrize(
    ("profile", "more", "problem"),
    [
        ("no-such", {}, "no profile 'no-such'"),
        ("tasmota", {}, "no profile of Modbus"),
        ("igd-toc-635", {}, "needs `points`"),
        ("honeywell-xcd", {"channels": {"smell": {}}}, "smell"),
        ("./absent.yaml", {}, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(profile: str, more: dict[str, Any], problem: str):
    with pytest.raises(ConfigError, match=problem) as caught:
        Bench(profile, **more)
    assert str(caught.value).startswith("instruments.i.")
