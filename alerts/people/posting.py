"""HTTP POST for notifiers: one connection, one answer, every failure an `UnavailableError` that shows no secret."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from pydantic import Field

from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, UnavailableError
from gateway.core.http import retry_after_s, words
from gateway.core.notice import NotifierOptions
from gateway.core.plugin import SiteInfo

if TYPE_CHECKING:
    import httpx

ANSWER_MAX = 65_536
"""Bytes of an answer that are read."""
TELLING = "<>[]*`#"
_HARMLESS = str.maketrans(TELLING, "＜＞［］＊＇＃")


class HttpOptions(NotifierOptions):
    """What every notifier takes that posts."""

    ca_file: str | None = Field(
        default=None,
        description="Certificate authority of the server, where it is not one that the machine knows.",
        examples=["/etc/hazgate/ca.pem"],
    )
    proxy: str | None = Field(
        default=None, description="HTTP proxy on the way to the server.", examples=["http://10.0.0.1:3128"]
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: The HTTP status.
        text: The beginning of the body.
        wait_s: Seconds it asked to be left alone, or None.
    """

    status: int
    text: str
    wait_s: float | None

    def fields(self) -> dict[str, Any]:
        """Return the body as a JSON object, empty where it is none."""
        try:
            found = msgspec.json.decode(self.text)
        except msgspec.MsgspecError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """Status and body on one line, for people."""
        return words(self.status, self.text)


class Poster:
    """Posts over one connection that is opened with the first message.

    Args:
        options: Time limit, authority, proxy.
        clock: Time, for dates in `Retry-After`.
    """

    def __init__(self, options: HttpOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, method: str = "POST", shown: str = ""
    ) -> Answer:
        """Send a request and return the answer, whatever its status.

        Args:
            url: Where to; it may hold a secret and appears in no message.
            content: The body.
            headers: Headers beside the usual ones.
            method: HTTP method.
            shown: What stands for the URL in messages; its scheme and host where left out.

        Raises:
            UnavailableError: No answer came.
        """
        import httpx  # noqa: PLC0415 - loaded by sites that have such a notifier

        try:
            client = self._client = self._client or await self._connected(secure=url.startswith("https"))
            async with client.stream(method, url, content=content, headers=dict(headers)) as response:
                text = await _start_of(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # ssl.SSLError and an unreadable authority's file are OSErrors.
            raise UnavailableError(f"{shown or host_of(url)}: {str(error) or type(error).__name__}") from error
        wait_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now_ns())
        return Answer(response.status_code, text, wait_s)

    async def post_json(self, url: str, content: object) -> Answer:
        """Send an object as JSON. Raises UnavailableError."""
        return await self.post(url, msgspec.json.encode(content), {"Content-Type": "application/json; charset=utf-8"})

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _connected(self, *, secure: bool) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 - loaded by sites that have such a notifier

        options = self._options
        # The machine's authorities are files that take 20 ms to load, and plain HTTP needs none.
        authorities = await asyncio.to_thread(ssl.create_default_context, cafile=options.ca_file) if secure else False
        return httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", "User-Agent": "hazgate"},
            verify=authorities,
            timeout=httpx.Timeout(options.timeout_s, connect=min(5.0, options.timeout_s)),
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=4.0),
            follow_redirects=False,
            trust_env=False,
            proxy=options.proxy,
        )


async def _start_of(response: "httpx.Response") -> str:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= ANSWER_MAX:
            break
    return body[:ANSWER_MAX].decode(errors="replace")


def host_of(url: str) -> str:
    """Return a URL as messages may show it: a robot's key is in its path or its query.

    >>> host_of("https://qyapi.example/cgi-bin/webhook/send?key=secret")
    'https://qyapi.example'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def secret_of(site: SiteInfo, key: str, name: str) -> str:
    """Return a secret by name.

    Args:
        site: Which holds them.
        key: The option that names it.
        name: Its name.

    Raises:
        ConfigError: There is no such secret.
    """
    found = site.secrets.get(name, "").strip()
    if not found:
        raise ConfigError(("options", key), f"there is no secret {name!r}; there are {sorted(site.secrets) or 'none'}")
    return found


def parameter_of(secret: str, name: str) -> str:
    """Return what identifies a robot, of a secret that is either that or the whole address as the vendor shows it.

    Args:
        secret: The secret.
        name: The query parameter that holds it, or empty where it is the last part of the path.

    >>> parameter_of("https://oapi.dingtalk.com/robot/send?access_token=abc", "access_token")
    'abc'
    >>> parameter_of("abc", "key")
    'abc'
    >>> parameter_of("https://open.feishu.cn/open-apis/bot/v2/hook/abc", "")
    'abc'
    """
    if "://" not in secret:
        return secret
    parts = urlsplit(secret)
    if not name:
        return parts.path.rstrip("/").rpartition("/")[2]
    return dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair).get(name, "")


def harmless(text: str) -> str:
    """Return a text without what a chat would take for formatting or a link: what people wrote stays what it is.

    >>> harmless("[here](http://x) *now*")
    '［here］(http://x) ＊now＊'
    """
    return text.translate(_HARMLESS)
