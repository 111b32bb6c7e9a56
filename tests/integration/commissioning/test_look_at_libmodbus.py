"""A bus of the survey against an instrument built on libmodbus, which shares no code with ours."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.commissioning.wing import survey
from gateway.core.commissioning import NoAnswerError, Sample

SOURCE = Path(__file__).parents[1] / "peers" / "modbus_server.c"
FLOAT = 12.5000086


@pytest.fixture(scope="module")
def end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of a libmodbus server; its unit 9 is dead."""
    compiler = shutil.which("gcc")
    if compiler is None or not Path("/usr/include/modbus/modbus.h").exists():
        if os.environ.get("CI"):
            pytest.fail("gcc with libmodbus-dev is needed and CI has it not")
        pytest.skip("gcc with libmodbus-dev is not installed")
    program = tmp_path_factory.mktemp("libmodbus") / "modbus_server"
    words = [compiler, "-O1", "-o", str(program), str(SOURCE), "-I/usr/include/modbus", "-lmodbus"]
    subprocess.run(words, check=True, timeout=60)
    with subprocess.Popen([str(program), "tcp", "9"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"tcp://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


async def test_tables_are_read_up_to_the_register_that_does_not_exist(end: str) -> None:
    bus = survey().bus(end, wait_s=0.5)
    await bus.open()
    try:
        words = await bus.read(1, "holding", 290, 20)
        coils = await bus.read(1, "coil", 0, 9)
        inputs = await bus.read(1, "input", 4, 2)
        with pytest.raises(NoAnswerError):
            await bus.read(9, "holding", 0, 1)
        # The silence of one unit closed the connection; the next question opens it again.
        again = await bus.read(1, "holding", 5, 1)
    finally:
        await bus.close()
    assert words.values == (*range(290, 300), *[None] * 10)
    assert set(words.refused) == set(range(300, 310))
    assert coils.values == (1, 0, 0, 1, 0, 0, 1, 0, 0)
    assert inputs.values == (65531, 65530)
    assert again.values == (5,)


async def test_a_float_is_guessed_in_each_of_the_four_orders_that_libmodbus_holds(end: str) -> None:
    bus = survey().bus(end, wait_s=0.5)
    await bus.open()
    try:
        for address, order in ((200, "ABCD"), (202, "BADC"), (204, "CDAB"), (206, "DCBA")):
            words = await bus.read(1, "holding", address, 2)
            sample = Sample(np.array([words.values], np.int32), round(FLOAT, 4), 4)
            best = survey().rank({"holding": [sample]}, address, "ppm").guesses[0]
            assert (best.address, best.type, best.order) == (address, "float32", order)
            assert best.value == pytest.approx(FLOAT)
    finally:
        await bus.close()
