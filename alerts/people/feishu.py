"""The Feishu notifier (飞书自定义机器人, Lark): signed messages into a group through its robot.

The signature is HMAC-SHA256 of nothing, keyed by time and secret, in the body. Feishu takes 100 messages a minute and
5 a second from a robot, and answers errors with status 200.
"""

import base64
import hashlib
import hmac
from typing import Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from alerts.people.posting import Answer, HttpOptions, Poster, harmless, host_of, parameter_of, secret_of
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url
from gateway.core.notice import Notice, body, fitted, in_language, plain
from gateway.core.plugin import SiteInfo

BYTES_MAX = 6000
"""Of the 20 kB that a request may have: nobody reads more on a telephone."""
BAD_REQUEST = 9499
TOO_OFTEN = 11232
TOO_OFTEN_S = 60.0
BAD_MESSAGE = frozenset({BAD_REQUEST, 19002, 11246})
"""The message itself is refused. A wrong token, signature or keyword, or a robot that was taken out, ends some time."""
TEMPLATES = {1: "red", 2: "orange", 3: "yellow", 4: "blue"}


class Options(HttpOptions):
    """A group robot of Feishu or Lark."""

    token: str = Field(
        description="Name of the secret with the last part of the robot's address, or with the whole of it.",
        examples=["duty_feishu_token"],
    )
    secret: str | None = Field(
        default=None,
        description="Name of the secret that signs (签名校验); left out where the robot asks for no signature.",
        examples=["duty_feishu_secret"],
    )
    format: Literal["card", "text"] = Field(
        default="card", description="Form of the messages; a card has the alarm's colour.", examples=["card"]
    )
    call_all: tuple[Literal[1, 2, 3, 4], ...] = Field(
        default=(), description="Priorities of which everybody in the group is called (@所有人).", examples=[[1]]
    )
    base_url: str = Field(
        default="https://open.feishu.cn",
        description="Where the robot is: Lark, or a private deployment.",
        examples=["https://open.larksuite.com"],
    )
    per_minute: int = Field(
        default=100, ge=1, le=100, description="Messages a minute; Feishu takes 100 of a robot.", examples=[100]
    )

    _url = field_validator("base_url")(checked_url)


def create(options: Options, site: SiteInfo, clock: Clock) -> "FeishuNotifier":
    """Return the notifier; connects with the first message. Raises ConfigError where a secret is missing."""
    token = parameter_of(secret_of(site, "token", options.token), "")
    if not token:
        raise ConfigError(
            ("options", "token"), f"secret {options.token!r} is an address that ends without the robot's part"
        )
    signing = secret_of(site, "secret", options.secret) if options.secret else ""
    return FeishuNotifier(options, token, signing, clock)


class FeishuNotifier:
    """Tells one group."""

    def __init__(self, options: Options, token: str, signing: str, clock: Clock) -> None:
        self.per_minute = options.per_minute
        self._options = options
        self._url = f"{options.base_url}/open-apis/bot/v2/hook/{quote(token, safe='')}"
        self._signing = signing
        self._clock = clock
        self._poster = Poster(options, clock)

    async def send(self, notice: Notice) -> None:
        """Post one message. Raises UnavailableError and RejectedError."""
        content = {**self._signed(), **self.message(notice)}
        check(await self._poster.post_json(self._url, content), host_of(self._url))

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        await self._poster.close()

    def _signed(self) -> dict[str, str]:
        if not self._signing:
            return {}
        time_s = self._clock.now_ns() // NS_PER_S
        return {"timestamp": str(time_s), "sign": signature(self._signing, time_s)}

    def message(self, notice: Notice) -> dict[str, object]:
        """Return the request's body, unsigned."""
        language = self._options.language
        everybody = '<at user_id="all"></at>' if notice.priority in self._options.call_all else ""
        if self._options.format == "text":
            text = plain(notice, language, BYTES_MAX)
            return {"msg_type": "text", "content": {"text": everybody + _apart(text)}}
        lines = [harmless(line) for line in body(notice, language)]
        if everybody:
            lines.insert(0, "<at id=all></at>")
        link = f"[{notice.link}]({notice.link})" if notice.link else ""
        content = fitted("", lines, link, BYTES_MAX).lstrip("\n") or in_language(notice.title, language)
        card = {
            "config": {"wide_screen_mode": True},
            "header": {
                "title": {"tag": "plain_text", "content": in_language(notice.title, language)},
                "template": TEMPLATES[notice.priority],
            },
            "elements": [{"tag": "markdown", "content": content}],
        }
        return {"msg_type": "interactive", "card": card}


def _apart(text: str) -> str:
    """Keep what people wrote from calling anybody."""
    return text.replace("<at", "＜at")


def signature(secret: str, time_s: int) -> str:
    """Return the `sign` of a request."""
    return base64.b64encode(hmac.digest(f"{time_s}\n{secret}".encode(), b"", hashlib.sha256)).decode()


def check(answer: Answer, where: str) -> None:
    """Return where a robot took a message. Raises UnavailableError and RejectedError."""
    code = answer.fields().get("code")
    if answer.status == 200 and code == 0:
        return
    said = f"{where}: {answer.words}"
    if code == TOO_OFTEN or answer.status == 429 or (code == BAD_REQUEST and "frequency" in answer.text.lower()):
        raise UnavailableError(said, answer.wait_s or TOO_OFTEN_S)
    if code in BAD_MESSAGE:
        raise RejectedError({0: said})
    raise UnavailableError(said, answer.wait_s)
