"""An MQTT broker on loopback while a plant or a test needs one: Mosquitto where installed, else one in Python."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import NotConnectedError

START_S = 10.0
STOP_S = 0.5
_PORT_TRIES = 5
_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
max_queued_messages 10000
"""


@asynccontextmanager
async def broker(port: int = 0, *, embedded: bool = False, clock: Clock | None = None) -> AsyncIterator[int]:
    """Run a broker on 127.0.0.1, open to anyone on this machine and keeping nothing on disk.

    Args:
        port: 0 takes a free one.
        embedded: Take the broker in Python even where Mosquitto is installed.
        clock: What is waited by.

    Yields:
        The port.

    Raises:
        NotConnectedError: Neither broker is installed, the port is taken, or nothing answers within `START_S`.
    """
    program = None if embedded else mosquitto_path()
    chosen = port or free_port()
    address = f"127.0.0.1:{chosen}"
    if await _answers(chosen):
        raise NotConnectedError(address, "the port is taken")
    if program is None:
        async with _embedded(chosen):
            yield chosen
    else:
        async with _mosquitto(program, chosen, clock or SystemClock()):
            yield chosen


def mosquitto_path() -> str | None:
    """Return where Mosquitto is installed; Debian keeps it off an ordinary user's path."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


@asynccontextmanager
async def _mosquitto(program: str, port: int, clock: Clock) -> AsyncIterator[None]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="hazgate-broker-"))
    try:
        configuration = folder / "mosquitto.conf"
        text = _CONFIGURATION.format(port=port) + ("user root\n" if os.geteuid() == 0 else "")
        await asyncio.to_thread(configuration.write_text, text)
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *_tied_to_us(), program, "-c", str(configuration), stdin=quiet, stdout=quiet, stderr=quiet
        )
        try:
            await _until_it_answers(process, port, clock)
        except BaseException:
            await _end(process)
            raise
    finally:
        # It has read its configuration by now; gone so early, nothing is left should we be killed.
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    try:
        yield
    finally:
        await _end(process)


def _tied_to_us() -> tuple[str, ...]:
    """Return what to put before a command so that it ends with us even where we are killed; util-linux has it.

    A program that changes its user forgets this, which is why root's broker stays root's; it listens on loopback only.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "TERM") if setpriv else ()


async def _until_it_answers(process: asyncio.subprocess.Process, port: int, clock: Clock) -> None:
    deadline_s = clock.monotonic_s() + START_S
    while not await _answers(port):
        if process.returncode is not None:
            raise NotConnectedError(f"127.0.0.1:{port}", f"mosquitto ended with code {process.returncode}")
        if clock.monotonic_s() > deadline_s:
            raise NotConnectedError(f"127.0.0.1:{port}", f"mosquitto did not answer within {START_S:g} s")
        await clock.sleep(0.02)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@asynccontextmanager
async def _embedded(port: int) -> AsyncIterator[None]:
    try:
        # Only where Mosquitto is missing, and heavy: half a second of imports.
        from amqtt.broker import Broker  # noqa: PLC0415
    except ImportError as error:
        raise NotConnectedError(
            f"127.0.0.1:{port}", "no MQTT broker: install mosquitto, or hazgate's extra `demo`"
        ) from error
    server = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": 100}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await server.start()
    try:
        yield
    finally:
        await server.shutdown()
