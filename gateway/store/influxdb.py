"""The InfluxDB store: readings to `/write` (1.x, VictoriaMetrics) or `/api/v2/write` (2.x, 3.x, VictoriaMetrics)."""

import asyncio
import json
import queue
import re
import select
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import Field, field_validator, model_validator

from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url, retry_after_s, words
from gateway.core.model import Batch
from gateway.core.plugin import PluginOptions, SiteInfo
from gateway.store.line_protocol import LineProtocol

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

CONNECT_S = 5.0
"""The longest wait for a connection."""

CLOSE_S = 1.0
"""The longest wait for the thread when the store is closed; past it, the thread ends with the process."""

ANSWER_MAX = 65_536
"""Bytes of an answer that are read."""

REQUESTS_MAX = 200
"""Requests that one write may take to find refused points; those not told apart by then are all refused."""

SEARCH_S = 10.0
"""Seconds that one write may take to find refused points; below the outbox's time limit."""

REFUSED = (400, 422)
CONFIGURATION = (401, 403, 404)
TOO_LARGE = 413

_DROPPED = re.compile(r"dropped=(\d+)")


class Options(PluginOptions):
    """An InfluxDB, or a VictoriaMetrics that takes its line protocol."""

    url: str = Field(description="Where the server is, without a path of its API.", examples=["http://127.0.0.1:8086"])
    api: Literal["v1", "v2"] = Field(
        default="v1",
        description="`v1` writes to `/write` (InfluxDB 1.x, VictoriaMetrics), `v2` to `/api/v2/write` (2.x, 3.x).",
        examples=["v2"],
    )
    database: str = Field(
        default="hazgate",
        pattern=r"^[A-Za-z0-9_.-]+$",
        max_length=64,
        description="The database, for `v1`.",
        examples=["hazgate"],
    )
    org: str = Field(default="", max_length=64, description="The organisation, for `v2`.", examples=["park"])
    bucket: str = Field(default="", max_length=64, description="The bucket, for `v2`.", examples=["hazgate"])
    token: str | None = Field(
        default=None, description="Name of the secret that holds the API token.", examples=["influx_token"]
    )
    username: str | None = Field(default=None, description="User name, for `v1` with a password.", examples=["gateway"])
    password: str | None = Field(
        default=None, description="Name of the secret that holds the password.", examples=["influx_password"]
    )
    create_missing: bool = Field(
        default=True,
        description="Make the database or bucket where the server has none; needs a user who may.",
        examples=[False],
    )
    compress: Literal["off", "gzip"] = Field(
        default="off",
        description="`gzip` sends a tenth of the bytes for some 0.3 µs a reading; for links that are slow or paid.",
        examples=["gzip"],
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="Seconds that the server may take to answer.", examples=[10.0]
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificate authority of the server, where it is not one that the machine knows.",
        examples=["/etc/hazgate/ca.pem"],
    )

    _url = field_validator("url")(checked_url)

    @model_validator(mode="after")
    def _complete(self) -> "Options":
        if self.api == "v2" and not self.bucket:
            raise ValueError("api v2 needs a bucket")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.token and self.username:
            raise ValueError("there is a token and a password; the server takes one")
        return self


def create(options: Options, site: SiteInfo, clock: Clock) -> "InfluxStore":
    """Return the store; connects with the first write.

    Raises:
        ConfigError: A secret that the options name does not exist.
    """
    for key, secret in (("token", options.token), ("password", options.password)):
        if secret is not None and not site.secrets.get(secret):
            raise ConfigError((key,), f"there is no secret {secret!r}; there are {sorted(site.secrets) or 'none'}")
    return InfluxStore(options, site, clock)


class InfluxStore:
    """A sink of readings. Formatting, compression and waiting are done in one thread of its own."""

    def __init__(self, options: Options, site: SiteInfo, clock: Clock) -> None:
        self._server = _Server(options, site.secrets, clock)
        self._writer = LineProtocol(site.id, site.channels)
        self._thread = _Thread(f"influxdb {options.url}")

    async def write(self, items: Batch) -> None:
        """Write a batch.

        Raises:
            UnavailableError: The server cannot be reached, is busy, or refuses this user, database or bucket.
            RejectedError: The server refuses those points and has taken the others.
        """
        refused = await self._run(lambda: self._server.write(self._writer.lines(items)))
        if refused:
            raise RejectedError(refused)

    async def check(self) -> None:
        """Return when the server has answered a ping. Raises UnavailableError."""
        await self._run(self._server.ping)

    async def close(self) -> None:
        """Let go of the connection and the thread; may be called twice."""
        self._server.abort()
        await asyncio.wait({asyncio.wrap_future(self._thread.run(self._server.close))}, timeout=CLOSE_S)
        self._thread.end()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.wrap_future(self._thread.run(work))
        except asyncio.CancelledError:
            # The thread would hold on to a server that says nothing; without its socket it comes back at once.
            self._server.abort()
            raise


class _Thread:
    """One thread that works off what it is given. A daemon: a server that says nothing must not hold up the exit."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[], T]) -> "Future[T]":
        """Have a function called, and return its result to come."""
        result: Future[T] = Future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(lambda: _settle(result, work))
        return result

    def end(self) -> None:
        """Let the thread end after what it has been given."""
        self._jobs.put(None)
        self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _settle(result: "Future[T]", work: Callable[[], T]) -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(work())
    except BaseException as error:  # noqa: BLE001 - goes to whoever waits for the result
        result.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    retry_after: str | None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def problem(self) -> str | None:
        """Return the server's own words, or None where the answer is not of an InfluxDB's making.

        A proxy's 400 (a plain request to a TLS port, say) says nothing about the points.
        """
        try:
            content = json.loads(self.body)
        except ValueError:
            return None
        if not isinstance(content, dict):
            return None
        said = content.get("error") or content.get("message")
        return f"{said}" if said else None


class _Server:
    """The HTTP side; every method but `abort` is called in the store's thread."""

    def __init__(self, options: Options, secrets: Mapping[str, str], clock: Clock) -> None:
        self._options = options
        self._secrets = secrets
        self._clock = clock
        self._client: httpx.Client | None = None
        self._socket: socket.socket | None = None
        self._lines_max = 1 << 30
        self._may_make = options.create_missing
        if options.api == "v1":
            self._path = "/write?" + urlencode({"db": options.database, "precision": "ns"})
        else:
            query = {"org": options.org, "bucket": options.bucket, "precision": "ns"}
            self._path = "/api/v2/write?" + urlencode({key: value for key, value in query.items() if value})

    def write(self, lines: Sequence[bytes]) -> dict[int, str]:
        """Write lines and return the refused ones' indexes with the server's words.

        Refused points are found by halving: what the server has taken of a half is written again without harm.
        """
        refused: dict[int, str] = {}
        todo = [(start, min(start + self._lines_max, len(lines))) for start in range(0, len(lines), self._lines_max)]
        todo.reverse()
        deadline_s = self._clock.monotonic_s() + SEARCH_S
        requests = 0
        while todo:
            start, stop = todo.pop()
            answer = self._post(b"\n".join(lines[start:stop]))
            requests += 1
            if answer.ok:
                continue
            said = self._refusal(answer)
            if answer.status == TOO_LARGE and stop - start > 1:
                self._lines_max = (stop - start) // 2
            elif _refuses_all(said, stop - start) or requests >= REQUESTS_MAX or self._clock.monotonic_s() > deadline_s:
                refused.update(dict.fromkeys(range(start, stop), said))
                continue
            middle = (start + stop) // 2
            todo += [(middle, stop), (start, middle)]
        return refused

    def ping(self) -> None:
        """Ask for a sign of life; every server of the family has this address."""
        answer = self._request("GET", "/ping")
        if not answer.ok:
            raise self._unavailable(answer)

    def abort(self) -> None:
        """Break the connection under whatever waits for it; called from any thread."""
        connection = self._socket
        if connection is not None:
            try:
                # Not the TLS socket's own method, which would take the TLS state away under the reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                return

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _post(self, body: bytes) -> _Answer:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._options.compress == "gzip":
            packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
        answer = self._request("POST", self._path, body, headers)
        if answer.status == 404 and self._may_make and "not found" in answer.body:
            self._may_make = False
            self._make()
            answer = self._request("POST", self._path, body, headers)
        return answer

    def _refusal(self, answer: _Answer) -> str:
        """Return why points are refused. Raises UnavailableError where it is not the points that are wrong."""
        if answer.status == TOO_LARGE:
            return words(answer.status, answer.body)
        problem = answer.problem()
        if answer.status not in REFUSED or problem is None:
            raise self._unavailable(answer)
        return words(answer.status, problem)

    def _unavailable(self, answer: _Answer) -> UnavailableError:
        said = words(answer.status, answer.problem() or answer.body)
        if answer.status in CONFIGURATION:
            said += " (the site file's database, bucket, token or password, or the server's, must be put right)"
        elif 300 <= answer.status < 400:
            said += " (redirections are not followed; give the address it leads to)"
        return UnavailableError(f"{self._options.url} {said}", retry_after_s(answer.retry_after, self._clock.now_ns()))

    def _request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> _Answer:
        import httpx  # noqa: PLC0415 - loaded by sites that have a database

        self._notice_lost_connection()
        try:
            client = self._client = self._client or self._connected()
            with client.stream(
                method, path, content=body, headers=headers, extensions={"trace": self._trace}
            ) as response:
                if response.headers.get("Connection", "").lower() == "close":
                    self._socket = None
                return _Answer(response.status_code, _start_of(response), response.headers.get("Retry-After"))
        except (httpx.TransportError, OSError) as error:
            # ssl.SSLError and an unreadable authority's file are OSErrors.
            raise UnavailableError(f"{self._options.url}: {str(error) or type(error).__name__}") from error

    def _notice_lost_connection(self) -> None:
        """Raise UnavailableError where the server has closed a connection that it had not said it would close.

        The client would connect anew without a word. But a server that was killed and started between two writes may
        have lost the last ones, and the outbox writes them again when it hears of a lost connection.
        """
        connection = self._socket
        if connection is None or connection.fileno() < 0:
            return
        # An idle connection has something to read only where it has ended.
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        if poll.poll(0):
            self.close()
            self._socket = None
            raise UnavailableError(f"{self._options.url}: the server has closed the connection since the last write")

    def _connected(self) -> "httpx.Client":
        import httpx  # noqa: PLC0415 - loaded by sites that have a database

        options = self._options
        headers = {"Accept-Encoding": "identity", "User-Agent": "hazgate"}
        if options.token:
            headers["Authorization"] = f"Token {self._secrets[options.token]}"
        login = (options.username, self._secrets[options.password]) if options.username and options.password else None
        return httpx.Client(
            base_url=options.url,
            auth=login,
            headers=headers,
            # The machine's authorities take 20 ms to load, and plain HTTP needs none.
            verify=ssl.create_default_context(cafile=options.ca_file) if options.url.startswith("https") else False,
            timeout=httpx.Timeout(options.timeout_s, connect=min(CONNECT_S, options.timeout_s)),
            # Never closed from this side: then a connection that has ended tells of the server.
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None),
            follow_redirects=False,
            trust_env=False,
        )

    def _trace(self, name: str, info: Mapping[str, object]) -> None:
        """Keep the socket of a new connection, for `abort`."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            stream = info["return_value"]
            self._socket = stream.get_extra_info("socket")  # type: ignore[attr-defined] # httpcore.NetworkStream

    def _make(self) -> None:
        """Make the database or bucket. A refusal is not raised: the write that follows says what is missing."""
        if self._options.api == "v1":
            query = urlencode({"q": f'CREATE DATABASE "{self._options.database}"'}).encode()
            self._request("POST", "/query", query, {"Content-Type": "application/x-www-form-urlencoded"})
        else:
            _make_bucket(self._options, self._secrets)


def _make_bucket(options: Options, secrets: Mapping[str, str]) -> None:
    from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415 - some 0.3 s, for one call in a store's life
    from influxdb_client.rest import ApiException  # noqa: PLC0415 - as above
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - as above

    token = secrets[options.token] if options.token else ""
    try:
        with InfluxDBClient(
            options.url, token, org=options.org, timeout=int(options.timeout_s * 1000), ssl_ca_cert=options.ca_file
        ) as client:
            client.buckets_api().create_bucket(bucket_name=options.bucket, org=options.org)
    except (ApiException, HTTPError) as error:
        raise UnavailableError(f"{options.url}: bucket {options.bucket!r} cannot be made: {error}") from error


def _refuses_all(said: str, count: int) -> bool:
    dropped = _DROPPED.search(said)
    return count == 1 or (dropped is not None and int(dropped.group(1)) == count)


def _start_of(response: "httpx.Response") -> str:
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) >= ANSWER_MAX:
            break
    return body[:ANSWER_MAX].decode(errors="replace")
