"""Serves the API on one address, inside the gateway's own event loop."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Generator

from uvicorn import Config, Server

from gateway.api.access import check_bind, has_token, parse_bind
from gateway.api.application import create_api
from gateway.api.connections import ConnectionLimits, Guard, every_second, guarded_by
from gateway.api.face import Gateway
from gateway.core.errors import ConfigError

STOP_S = 0.4
"""How long connections may take to end by themselves when the server stops."""
RETRY_S = 10.0
"""How long an address that is taken is left alone."""
HEAD_MAX = 32 * 1024
SEND_BUFFER = 128 * 1024
DEAD_PEER_MS = 20_000


class ApiServer:
    """The listener of one gateway's API and console.

    Args:
        gateway: The running gateway.
        open_read: Reading needs no token.
        local_operator: While no token exists, people at this machine may give commands.
        limits: What the listener bears.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        open_read: bool = False,
        local_operator: bool = False,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._gateway = gateway
        self._options = {"open_read": open_read, "local_operator": local_operator}
        self.guard = Guard(limits or ConnectionLimits())
        self._running: asyncio.Task[None] | None = None
        self._server: _Server | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The port that is served, 0 before `start`."""
        return self._port

    async def start(self, bind: str) -> None:
        """Listen and return once requests are answered.

        Raises:
            ConfigError: The address cannot be read, is taken or is not this machine's, or others can reach it while
                neither an account nor a token exists.
        """
        gateway = self._gateway
        protected = await asyncio.to_thread(has_token, gateway.tokens) or await gateway.people.has_accounts()
        check_bind(bind, protected=protected)
        listener = _listener(bind)
        self._port = listener.getsockname()[1]
        try:
            # In a thread: it reads the console's files, and alarms do not wait for a slow card.
            self._api = await asyncio.to_thread(create_api, self._gateway, **self._options)
        except BaseException:
            # Also where the gateway ends at this moment: nobody else knows of the socket yet.
            listener.close()
            raise
        config = Config(
            self._api,
            http=guarded_by(self.guard),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Who calls is what the connection says; headers can be written by anybody.
            proxy_headers=False,
            h11_max_incomplete_event_size=HEAD_MAX,
        )
        self._end_sweep = every_second(self.guard, asyncio.get_running_loop())
        self._server = _Server(config)
        self._running = asyncio.create_task(self._server.serve(sockets=[listener]), name="api")
        while not self._server.started and not self._running.done():
            await self._gateway.clock.sleep(0.005)
        if self._running.done():
            await self._running

    async def stop(self) -> None:
        """End all streams, then all connections, within a second; may be called twice."""
        if self._server is None or self._running is None:
            return
        server, running = self._server, self._running
        self._server = self._running = None
        self._api.close()
        server.should_exit = True
        await asyncio.wait((running,), timeout=STOP_S)
        # Whoever does not read cannot be told the end either.
        self.guard.cut_all()
        server.force_exit = True
        self._end_sweep()
        await running


async def serve(
    gateway: Gateway,
    bind: str,
    *,
    open_read: bool,
    local_operator: bool,
    on_port: Callable[[int], None],
    on_problem: Callable[[str], None],
) -> None:
    """Serve the API until cancelled; an address that is taken is told and tried again, and holds nothing else up.

    Args:
        gateway: The running gateway.
        bind: Address and port.
        open_read: Reading needs neither a session nor a token.
        local_operator: While no token exists, people at this machine may give commands.
        on_port: Told the port that is served.
        on_problem: Told why nothing can be served, and an empty text once it can.
    """
    server = ApiServer(gateway, open_read=open_read, local_operator=local_operator)
    try:
        while True:
            try:
                await server.start(bind)
                break
            except ConfigError as error:
                on_problem(error.problem)
                await gateway.clock.sleep(RETRY_S)
        on_problem("")
        on_port(server.port)
        await asyncio.Event().wait()
    finally:
        await server.stop()


class _Server(Server):
    """uvicorn without signal handlers: signals belong to the gateway."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield


def _listener(bind: str) -> socket.socket:
    """Return a socket that is bound. Raises ConfigError."""
    host, port = parse_bind(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, not 0: only then asyncio switches Nagle's algorithm off, which holds each answer back by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit both: a reader that stands still is to be noticed soon and to hold little memory.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        listener.bind((host, port))
        listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
    except OSError as error:
        listener.close()
        raise ConfigError(("api", "bind"), f"{bind!r} cannot be served: {error.strerror}") from error
    return listener
