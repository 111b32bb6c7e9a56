"""The connection to a broker: aiomqtt opens, authenticates, subscribes and closes; the stream itself is read here.

All that this driver uses of the insides of aiomqtt and paho-mqtt is in this one file. Why the insides: aiomqtt's
iterator costs 90 to 124 µs a message, paho acknowledges a QoS 2 message before anybody has stored it, keeps a payload
of any length, and notices a silent broker after two keepalives.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Protocol

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.mqtt.framing import PUBACK, PUBLISH, PUBREL, Framer, FramingError, Publish
from drivers.mqtt.options import Options

CHUNK_BYTES = 1 << 16
CHUNKS_PER_TURN = 8
"""Chunks read before others get their turn on the loop."""
FILTERS_PER_SUBSCRIBE = 100
CONNECT_TIMEOUT_S = 5.0
SUBSCRIBE_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 1.0

quiet = logging.getLogger("drivers.mqtt.link")
quiet.setLevel(logging.CRITICAL)
"""paho's own log lines: the supervisor says once that a connection was lost, with the same words."""


class Ear(Protocol):
    """Who is told what comes over the link; all calls come from the event loop."""

    def session(self, *, resumed: bool) -> None:
        """The broker has accepted the connection, and has, or has not, the session of before."""
        ...

    def message(self, message: Publish) -> None:
        """A message has come."""
        ...

    def release(self, mid: int) -> None:
        """A PUBREL has come."""
        ...

    def burst(self) -> None:
        """What had come is all told; called once a turn of the loop, and once when the link is lost."""
        ...


class Link(aiomqtt.Client):
    """One connection, used once.

    Args:
        options: The driver's.
        password: The password, or None.
        tls: How to encrypt, or None.
        ear: Who is told what comes.
    """

    def __init__(self, options: Options, password: str | None, tls: ssl.SSLContext | None, ear: Ear) -> None:
        v5 = options.protocol == "5"
        properties = Properties(PacketTypes.CONNECT) if v5 else None  # type: ignore[no-untyped-call]  # paho has no types here
        if properties is not None:
            properties.SessionExpiryInterval = 0 if options.clean_session else options.session_expiry_s
            properties.ReceiveMaximum = min(65_535, options.queue_messages_max)
        super().__init__(
            options.host,
            options.port,
            username=options.username or None,
            password=password,
            identifier=options.client_id or None,
            protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if v5 else options.clean_session,
            clean_start=options.clean_session if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
            # paho pings after one keepalive and gives up after another, looking once a second: with three quarters
            # less a second of what is asked for, a silent broker is noticed within one and a half of that.
            keepalive=int(options.keepalive_s * 0.75) - 1,
            timeout=CONNECT_TIMEOUT_S,
            logger=quiet,
        )
        self.reason = ""
        self._own_keepalive_s = int(options.keepalive_s * 0.75) - 1
        self._v5 = v5
        self._tls = tls
        self._ear = ear
        self._framer = Framer(options.payload_bytes_max, v5=v5)
        self._guard: socket.socket | None = None
        self._ready: socket.socket | None = None
        self._over = False
        self._paused = False

    @property
    def up(self) -> bool:
        """Whether the link still stands."""
        return not self.reason and not self._over

    async def open(self) -> None:
        """Connect.

        Raises:
            aiomqtt.MqttError, OSError, ValueError: It did not work; `abort` is still to be called.
        """
        self._ready = await self._dial()
        self._client._create_socket = self._hand_over  # type: ignore[method-assign]  # noqa: SLF001 - see the module
        await self.__aenter__()
        self._client._keepalive = min(self._client._keepalive or 65_535, self._own_keepalive_s)  # noqa: SLF001 - as above
        self._disconnected.add_done_callback(self._gone)

    async def _dial(self) -> socket.socket:
        """Connect on the loop, where it can be cancelled; only the TLS handshake needs a thread."""
        loop = asyncio.get_running_loop()
        error: OSError = OSError("the name has no address")
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            for family, kind, proto, _, address in await loop.getaddrinfo(
                self._hostname, self._port, type=socket.SOCK_STREAM
            ):
                sock = socket.socket(family, kind, proto)
                sock.settimeout(0)
                try:
                    await loop.sock_connect(sock, address)
                except OSError as problem:
                    sock.close()
                    error = OSError(problem.errno, os.strerror(problem.errno or 0))
                except BaseException:
                    sock.close()
                    raise
                else:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    return sock if self._tls is None else await self._encrypted(sock, self._tls)
        raise error

    async def _encrypted(self, sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        self._guard = sock.dup()
        return await asyncio.to_thread(self._handshake, sock, context)

    def _handshake(self, sock: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        encrypted = context.wrap_socket(sock, server_hostname=self._hostname, do_handshake_on_connect=False)
        try:
            encrypted.settimeout(CONNECT_TIMEOUT_S)
            encrypted.do_handshake()
            if self._over:
                raise ConnectionAbortedError("closed while connecting")  # noqa: TRY301 - one way out closes the socket
        except BaseException:
            encrypted.close()
            raise
        encrypted.settimeout(0)
        return encrypted

    def _hand_over(self) -> socket.socket:
        sock, self._ready = self._ready, None
        if sock is None or self._over:
            raise ConnectionAbortedError("closed while connecting")
        return sock

    async def subscribe_all(self, filters: Sequence[str], qos: int) -> list[str]:
        """Subscribe and return the filters that the broker refuses.

        A broker may send all that it has kept before it answers: somebody must read meanwhile.

        Raises:
            aiomqtt.MqttError: It does not answer, or the link is lost.
        """
        refused: list[str] = []
        for at in range(0, len(filters), FILTERS_PER_SUBSCRIBE):
            some = filters[at : at + FILTERS_PER_SUBSCRIBE]
            wanted: Any = [(f, SubscribeOptions(qos=qos) if self._v5 else qos) for f in some]
            codes: Sequence[Any] = await self.subscribe(wanted, timeout=SUBSCRIBE_TIMEOUT_S)
            # Numbers in MQTT 3.1.1, reason codes in 5; from 0x80 on both are refusals.
            numbers = [code if isinstance(code, int) else code.value for code in codes]
            refused += [f for f, number in zip(some, numbers, strict=True) if number >= 0x80]
        return refused

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        if not reason_code.is_failure:
            self._ear.session(resumed=bool(flags.session_present))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's signature
        """Called in aiomqtt's thread: what concerns the loop is done there, and only if the link is still wanted."""
        self._loop.call_soon_threadsafe(self._attach, sock)

    def _attach(self, sock: Any) -> None:
        if not self._over and sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._readable)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - as above
        """As aiomqtt does, except that a link that was given up meanwhile is left alone."""
        self._loop.call_soon_threadsafe(self._attach_writer, sock)

    def _attach_writer(self, sock: Any) -> None:
        if not self._over and sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            self._client.loop_write()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _gone(self, future: "asyncio.Future[None]") -> None:
        error = None if future.cancelled() else future.exception()
        self.reason = self.reason or str(error or "the broker closed the connection")
        self._ear.burst()

    def pause(self) -> None:
        """Leave what comes in the socket, so that the broker must wait."""
        sock = self._client._sock  # noqa: SLF001 - see the module
        if sock is not None and not self._paused:
            self._paused = True
            self._loop.remove_reader(sock.fileno())

    def resume(self) -> None:
        """Read on."""
        sock = self._client._sock  # noqa: SLF001 - see the module
        if self._paused and sock is not None and not self._over:
            self._paused = False
            self._loop.add_reader(sock.fileno(), self._readable)
            self._loop.call_soon(self._readable)

    def _readable(self) -> None:
        try:
            for _ in range(CHUNKS_PER_TURN):
                if self._paused or not self._chunk():
                    break
            else:
                # What an SSL socket has decrypted already makes no file descriptor readable.
                self._loop.call_soon(self._readable)
        except (OSError, FramingError, ValueError, IndexError) as error:
            self._lose(error)
        self._ear.burst()

    def _chunk(self) -> bool:
        """Read once; False where nothing more has come."""
        client = self._client
        if client._sock is None:  # noqa: SLF001 - see the module
            return False
        try:
            data = client._sock_recv(CHUNK_BYTES)  # noqa: SLF001 - as above
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        client._last_bytes_received = paho.time_func()  # noqa: SLF001 - paho's keepalive looks at it
        for command, body, length in self._framer.feed(data):
            kind = command & 0xF0
            if kind == PUBLISH:
                self._ear.message(self._framer.publish(command, body, length))
            elif kind == PUBREL:
                self._ear.release(int.from_bytes(body[:2]))
            else:
                self._control(command, body)
        return len(data) == CHUNK_BYTES or isinstance(client._sock, ssl.SSLSocket)  # noqa: SLF001 - as above

    def _control(self, command: int, body: bytes) -> None:
        """Let paho do what it does for any packet that is no message."""
        client = self._client
        client._in_packet.update(  # noqa: SLF001 - see the module
            {"command": command, "packet": bytearray(body), "remaining_length": len(body), "pos": 0}
        )
        code = client._packet_handle()  # noqa: SLF001 - as above
        if code:
            self._lose(aiomqtt.MqttError(paho.error_string(code)))

    def _lose(self, error: Exception) -> None:
        self.reason = self.reason or str(error) or type(error).__name__
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(self.reason))
        self._client._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)  # noqa: SLF001 - see the module

    def send(self, packets: bytes) -> None:
        """Write acknowledgements, any number of them in one piece; nothing happens where the link is down."""
        if packets and self.up and self._client._sock is not None:  # noqa: SLF001 - see the module
            self._client._packet_queue(PUBACK, packets, 0, 1)  # noqa: SLF001 - as above

    async def shut(self) -> None:
        """Say good-bye where the link stands, then let go of everything."""
        try:
            if self.up:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.__aexit__(None, None, None)
        except (aiomqtt.MqttError, OSError, TimeoutError):
            pass  # a broker that does not take the good-bye sees the connection end
        finally:
            self.abort()
            if self._misc_task is not None:
                await asyncio.gather(self._misc_task, return_exceptions=True)

    def abort(self) -> None:
        """Let go of everything at once, also in the middle of connecting."""
        self._over = True
        if self._guard is not None:
            with contextlib.suppress(OSError):  # it may not be connected any more
                self._guard.shutdown(socket.SHUT_RDWR)  # ends a handshake that waits in its thread
            self._guard.close()
        if self._ready is not None:
            self._ready.close()
        self._client._sock_close()  # noqa: SLF001 - see the module
        if self._misc_task is not None:
            self._misc_task.cancel()
        for future in (self._connected, self._disconnected):
            if not future.done():
                future.cancel()
            elif not future.cancelled():
                future.exception()  # looked at, so that asyncio does not complain of it
