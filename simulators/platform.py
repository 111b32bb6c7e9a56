"""A supervision platform to report to: takes signed webhooks, keeps them by key, and fails when it is told to.

    python -m simulators.platform --port 0 --secret whsec_...

prints one JSON line with its address and serves until it is stopped. `POST /alerts` takes an alert, `GET /alerts`
shows what there is, `POST /behaviour` says how to behave, `GET /` is a page for people.
It knows nothing of the gateway's own webhook code: a mistake shared by both sides would hide.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from gateway.core.clock import NS_PER_S, Clock, SystemClock, rfc3339

HEAD_MAX = 16_384
BODY_MAX = 1_048_576
ALERTS_MAX = 100_000
"""Alerts that are kept; further ones are answered with 507."""
CONNECTIONS_MAX = 100
IDLE_S = 60.0
"""A connection that sends nothing for so long is closed."""
AGE_MAX_S = 300
"""A message whose time is further off than this may be a replay."""

REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


class Behaviour(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the platform treats `POST /alerts` until it is told otherwise.

    Attributes:
        status: Answer with this status and keep nothing; 0 accepts.
        retry_after: `Retry-After` of that answer, or empty.
        delay_s: Seconds before each answer.
        half: Keep the alert, send half of an answer and close.
        away: Close connections as soon as something comes.
        fault_rate: Share of posts, 0 to 1, that meet a fault drawn at random: 500, 429, closed before or after
            keeping, half an answer.
        seed: Of that draw.
    """

    status: int = 0
    retry_after: str = ""
    delay_s: float = 0.0
    half: bool = False
    away: bool = False
    fault_rate: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `whole` False sends half of it and closes, `close` without status closes at once."""

    status: int
    body: bytes = b""
    type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


HANG_UP = Answer(0)


class Alert(msgspec.Struct):
    """One alert as the platform keeps it."""

    key: str
    order: int
    received_at: str
    times: int
    message: dict[str, object]


class Platform:
    """What the platform knows and how it answers; without sockets.

    Args:
        secret: The webhook secret, `whsec_...`.
        clock: Time.
    """

    def __init__(self, secret: str, clock: Clock) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._clock = clock
        self._alerts: dict[str, Alert] = {}
        self._heartbeats = 0
        self._duplicates = 0
        self._unsigned = 0
        self._faults = 0
        self.behave(Behaviour())

    def behave(self, behaviour: Behaviour) -> None:
        """Change how alerts are treated."""
        self._behaviour = behaviour
        self._random = random.Random(behaviour.seed)

    async def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        match request.method, request.path:
            case "POST", "/alerts":
                return await self._told(request)
            case "GET", "/alerts":
                return Answer(200, msgspec.json.encode(self.summary()))
            case "POST", "/behaviour":
                return self._told_how(request.body)
            case "GET", "/":
                return Answer(200, self.page().encode(), "text/plain; charset=utf-8")
            case _:
                return _problem(404, f"there is no {request.method} {request.path}")

    def summary(self) -> dict[str, object]:
        """Return everything that is kept, with how often something came again or was refused."""
        return {
            "alerts": list(self._alerts.values()),
            "count": len(self._alerts),
            "duplicates": self._duplicates,
            "heartbeats": self._heartbeats,
            "unsigned": self._unsigned,
            "faults": self._faults,
        }

    def page(self) -> str:
        """Return the present alarms as text for people."""
        now: dict[str, Alert] = {}
        for alert in self._alerts.values():
            now[f"{alert.message.get('site')} {_data(alert).get('alarm')}"] = alert
        lines = [
            f"{alert.message.get('timestamp')!s:32} {_data(alert).get('level')!s:7} {_data(alert).get('state')!s:16} "
            f"{_data(alert).get('value')!s:>10} {_data(alert).get('unit')!s:6} {name}"
            for name, alert in now.items()
        ]
        head = f"Supervision platform (simulated): {len(self._alerts)} alerts, {self._duplicates} came again\n"
        return "\n".join([head, *lines, ""])

    async def _told(self, request: Request) -> Answer:
        behaviour = self._behaviour
        if behaviour.delay_s > 0:
            await self._clock.sleep(behaviour.delay_s)
        if behaviour.away:
            return HANG_UP
        if behaviour.status:
            headers = {"Retry-After": behaviour.retry_after} if behaviour.retry_after else {}
            return Answer(behaviour.status, b'{"error":"told to"}', headers=headers)
        if self._random.random() < behaviour.fault_rate:
            return self._faulty(request)
        answer = self._keep(request)
        return Answer(answer.status, b'{"half":"of an answer"}', whole=False) if behaviour.half else answer

    def _faulty(self, request: Request) -> Answer:
        self._faults += 1
        fault = self._random.choice(("500", "429", "closed", "kept and closed", "half"))
        if fault in ("500", "429"):
            return _problem(int(fault), "fault")
        if fault == "closed":
            return HANG_UP
        answer = self._keep(request)
        return HANG_UP if fault == "kept and closed" else Answer(answer.status, b'{"half":"of it"}', whole=False)

    def _keep(self, request: Request) -> Answer:
        """Keep a message by its key, once its signature and age are found good."""
        if not self._genuine(request):
            self._unsigned += 1
            return _problem(401, "signature or age is wrong")
        try:
            message = msgspec.json.decode(request.body, type=dict[str, object])
        except msgspec.DecodeError as error:
            return _problem(400, str(error))
        key = message.get("key")
        if not isinstance(key, str) or key != request.headers.get("webhook-id"):
            return _problem(400, f"key {key!r} is not the webhook-id")
        return self._keep_alert(key, message)

    def _keep_alert(self, key: str, message: dict[str, object]) -> Answer:
        known = self._alerts.get(key)
        if message.get("type") == "heartbeat":
            self._heartbeats += 1
        elif known:
            known.times += 1
            self._duplicates += 1
        elif len(self._alerts) >= ALERTS_MAX:
            return _problem(507, f"{ALERTS_MAX} alerts are kept already")
        else:
            self._alerts[key] = Alert(key, len(self._alerts), rfc3339(self._clock.now_ns()), 1, message)
        return Answer(200, b'{"known":true}' if known else b'{"known":false}')

    def _genuine(self, request: Request) -> bool:
        key, stamp = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not (key and stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
            return False
        if abs(self._clock.now_ns() // NS_PER_S - int(stamp)) > AGE_MAX_S:
            return False
        signed = f"{key}.{stamp}.".encode() + request.body
        wanted = "v1," + base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
        given = request.headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(wanted.encode(), one.encode()) for one in given)

    def _told_how(self, body: bytes) -> Answer:
        try:
            self.behave(msgspec.json.decode(body or b"{}", type=Behaviour))
        except msgspec.DecodeError as error:
            return _problem(400, str(error))
        return Answer(200, msgspec.json.encode(self._behaviour))


class PlatformServer:
    """The platform on a socket: HTTP/1.1 over asyncio streams, with keep-alive; `serve` makes it."""

    def __init__(self, platform: Platform, clock: Clock) -> None:
        self.platform = platform
        self.host = ""
        self.port = 0
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    async def open(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=HEAD_MAX)
        self.host, self.port = host, self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop all connections; may be called twice."""
        if self._server is not None:
            self._server.close()
            # A connection that was just taken has its task a turn later; none may outlive the server.
            await self._clock.sleep(0)
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= CONNECTIONS_MAX:
                await self._converse(reader, writer)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # The other side has gone, is silent, or speaks no HTTP: the connection ends, nothing else.
        except asyncio.CancelledError:
            pass  # The server is closing; a raise here would only be logged by the streams' own callback.
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._connections.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _received(reader):
            answer = await self.platform.answer(request)
            if answer is HANG_UP:
                return
            writer.write(_encoded(answer))
            await writer.drain()
            if not answer.whole:
                return


async def serve(host: str, port: int, secret: str, clock: Clock | None = None) -> PlatformServer:
    """Return a platform that listens.

    Args:
        host: Address to listen on.
        port: Port, 0 for a free one; see the result's `port`.
        secret: The webhook secret that alerts are signed with, `whsec_...`.
        clock: Time; the machine's own where none is given.
    """
    clock = clock or SystemClock()
    server = PlatformServer(Platform(secret, clock), clock)
    await server.open(host, port)
    return server


async def _received(reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, or None where the other side has hung up. Raises ValueError for what is no HTTP."""
    async with asyncio.timeout(IDLE_S):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *rest = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        pairs = (line.split(":", 1) for line in rest if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= BODY_MAX:
            raise ValueError(f"a body of {length} bytes")
        return Request(method, path.split("?", 1)[0], headers, await reader.readexactly(length))


def _encoded(answer: Answer) -> bytes:
    headers = {"Content-Type": answer.type, "Content-Length": str(len(answer.body)), **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Told')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head + (answer.body if answer.whole else answer.body[: len(answer.body) // 2])


def _problem(status: int, what: str) -> Answer:
    return Answer(status, msgspec.json.encode({"error": what}))


def _data(alert: Alert) -> Mapping[str, object]:
    data = alert.message.get("data")
    return data if isinstance(data, dict) else {}


async def _main() -> None:
    parser = argparse.ArgumentParser(prog="simulators.platform", description="A supervision platform to report to.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--secret", default=os.environ.get("HAZGATE_PLATFORM_SECRET", ""), help="whsec_...")
    arguments = parser.parse_args()
    if not arguments.secret:
        parser.error("give --secret or HAZGATE_PLATFORM_SECRET")
    server = await serve(arguments.host, arguments.port, arguments.secret)
    sys.stdout.write(msgspec.json.encode({"port": server.port, "url": server.url}).decode() + "\n")
    sys.stdout.flush()
    try:
        await asyncio.Event().wait()
    finally:
        await server.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
