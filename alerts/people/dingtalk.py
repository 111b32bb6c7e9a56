"""The DingTalk notifier (钉钉自定义机器人): signed messages into a group through its robot.

The signature is HMAC-SHA256 of time and secret, keyed by the secret, in the address. DingTalk takes 20 messages a
minute from a robot and answers errors with status 200.
"""

import base64
import hashlib
import hmac
from typing import Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from alerts.people.posting import Answer, HttpOptions, Poster, harmless, host_of, parameter_of, secret_of
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url
from gateway.core.notice import Notice, body, cut, fitted, in_language, plain
from gateway.core.plugin import SiteInfo

BYTES_MAX = 6000
"""Of 20,000 that DingTalk takes: nobody reads more on a telephone."""
TITLE_BYTES_MAX = 180
TOO_OFTEN = frozenset({130101, 410100})
TOO_OFTEN_S = 60.0
BAD_MESSAGE = frozenset({40035, 43004, 400105, 460101, 330004})
"""The message itself is refused: wrong parameter or type, too long. Everything else ends some time."""
NS_PER_MS = 1_000_000


class Options(HttpOptions):
    """A group robot of DingTalk."""

    token: str = Field(
        description="Name of the secret with the robot's access token, or with the whole address that DingTalk shows.",
        examples=["duty_dingtalk_token"],
    )
    secret: str | None = Field(
        default=None,
        description="Name of the secret that signs (加签, `SEC…`); left out where the robot asks for no signature.",
        examples=["duty_dingtalk_secret"],
    )
    format: Literal["markdown", "text"] = Field(
        default="markdown", description="Form of the messages.", examples=["markdown"]
    )
    call_all: tuple[Literal[1, 2, 3, 4], ...] = Field(
        default=(), description="Priorities of which everybody in the group is called (@所有人).", examples=[[1]]
    )
    base_url: str = Field(
        default="https://oapi.dingtalk.com",
        description="Where the robot is, for private deployments.",
        examples=["https://dingtalk.example"],
    )
    per_minute: int = Field(
        default=20, ge=1, le=20, description="Messages a minute; DingTalk takes 20 of a robot.", examples=[20]
    )

    _url = field_validator("base_url")(checked_url)


def create(options: Options, site: SiteInfo, clock: Clock) -> "DingTalkNotifier":
    """Return the notifier; connects with the first message. Raises ConfigError where a secret is missing."""
    token = parameter_of(secret_of(site, "token", options.token), "access_token")
    if not token:
        raise ConfigError(("options", "token"), f"secret {options.token!r} is an address without access_token=")
    signing = secret_of(site, "secret", options.secret) if options.secret else ""
    return DingTalkNotifier(options, token, signing, clock)


class DingTalkNotifier:
    """Tells one group."""

    def __init__(self, options: Options, token: str, signing: str, clock: Clock) -> None:
        self.per_minute = options.per_minute
        self._options = options
        self._url = f"{options.base_url}/robot/send?access_token={quote(token, safe='')}"
        self._signing = signing
        self._clock = clock
        self._poster = Poster(options, clock)

    async def send(self, notice: Notice) -> None:
        """Post one message. Raises UnavailableError and RejectedError."""
        check(await self._poster.post_json(self.address(), self.message(notice)), host_of(self._url))

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        await self._poster.close()

    def address(self) -> str:
        """Return where to post now; a signature is good for an hour."""
        if not self._signing:
            return self._url
        time_ms = self._clock.now_ns() // NS_PER_MS
        return f"{self._url}&timestamp={time_ms}&sign={signature(self._signing, time_ms)}"

    def message(self, notice: Notice) -> dict[str, object]:
        """Return the request's body."""
        language = self._options.language
        at = {"isAtAll": notice.priority in self._options.call_all}
        if self._options.format == "text":
            return {"msgtype": "text", "text": {"content": plain(notice, language, BYTES_MAX)}, "at": at}
        title = harmless(in_language(notice.title, language))
        lines = [f"> {harmless(line)}" for line in body(notice, language)]
        link = f"[{notice.link}]({notice.link})" if notice.link else ""
        # A line ends only at an empty one.
        text = fitted(f"### {title}", lines, link, BYTES_MAX, between="\n\n")
        return {"msgtype": "markdown", "markdown": {"title": cut(title, TITLE_BYTES_MAX), "text": text}, "at": at}


def signature(secret: str, time_ms: int) -> str:
    """Return the `sign` of an address, percent-encoded."""
    digest = hmac.digest(secret.encode(), f"{time_ms}\n{secret}".encode(), hashlib.sha256)
    return quote(base64.b64encode(digest).decode(), safe="")


def check(answer: Answer, where: str) -> None:
    """Return where a robot took a message. Raises UnavailableError and RejectedError."""
    code = answer.fields().get("errcode")
    if answer.status == 200 and code == 0:
        return
    said = f"{where}: {answer.words}"
    if code in TOO_OFTEN:
        raise UnavailableError(said, answer.wait_s or TOO_OFTEN_S)
    if code in BAD_MESSAGE:
        raise RejectedError({0: said})
    raise UnavailableError(said, answer.wait_s)
