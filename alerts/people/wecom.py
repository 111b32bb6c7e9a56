"""The WeCom notifier (企业微信群机器人): messages into a group through its robot.

The robot's key is the only secret. WeCom takes 20 messages a minute from a robot and answers errors with status 200.
"""

from typing import Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from alerts.people.posting import Answer, HttpOptions, Poster, harmless, host_of, parameter_of, secret_of
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url
from gateway.core.notice import Notice, body, fitted, in_language, plain
from gateway.core.plugin import SiteInfo

MARKDOWN_BYTES_MAX = 4096
TEXT_BYTES_MAX = 2048
TOO_OFTEN = 45009
TOO_OFTEN_S = 60.0
BAD_MESSAGE = frozenset({40008, 40035, 40058, 44004, 45002, 47001})
"""The message itself is refused: wrong type or parameter, empty, too long, no JSON. Everything else ends some time."""
COLOURS = {1: "warning", 2: "warning", 3: "comment", 4: "info"}


class Options(HttpOptions):
    """A group robot of WeCom."""

    key: str = Field(
        description="Name of the secret with the robot's key, or with the whole address that WeCom shows.",
        examples=["duty_wecom"],
    )
    format: Literal["markdown", "text"] = Field(
        default="markdown",
        description="Form of the messages; `text` is also shown by WeChat and can call everybody.",
        examples=["markdown"],
    )
    call_all: tuple[Literal[1, 2, 3, 4], ...] = Field(
        default=(),
        description="Priorities of which everybody in the group is called (@所有人); with `text` only.",
        examples=[[1]],
    )
    base_url: str = Field(
        default="https://qyapi.weixin.qq.com",
        description="Where the robot is, for private deployments.",
        examples=["https://wecom.example"],
    )
    per_minute: int = Field(
        default=20, ge=1, le=20, description="Messages a minute; WeCom takes 20 of a robot.", examples=[20]
    )

    _url = field_validator("base_url")(checked_url)


def create(options: Options, site: SiteInfo, clock: Clock) -> "WeComNotifier":
    """Return the notifier; connects with the first message.

    Raises:
        ConfigError: The secret does not exist or holds no key, or markdown is to call everybody.
    """
    key = parameter_of(secret_of(site, "key", options.key), "key")
    if not key:
        raise ConfigError(("options", "key"), f"secret {options.key!r} is an address without key=")
    if options.call_all and options.format != "text":
        raise ConfigError(("options", "call_all"), "WeCom calls everybody in messages of format text only")
    return WeComNotifier(options, key, clock)


class WeComNotifier:
    """Tells one group."""

    def __init__(self, options: Options, key: str, clock: Clock) -> None:
        self.per_minute = options.per_minute
        self._options = options
        self._url = f"{options.base_url}/cgi-bin/webhook/send?key={quote(key, safe='')}"
        self._poster = Poster(options, clock)

    async def send(self, notice: Notice) -> None:
        """Post one message. Raises UnavailableError and RejectedError."""
        check(await self._poster.post_json(self._url, self.message(notice)), host_of(self._url))

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        await self._poster.close()

    def message(self, notice: Notice) -> dict[str, object]:
        """Return the request's body."""
        language = self._options.language
        if self._options.format == "text":
            called = {"mentioned_list": ["@all"]} if notice.priority in self._options.call_all else {}
            return {"msgtype": "text", "text": {"content": plain(notice, language, TEXT_BYTES_MAX), **called}}
        title = harmless(in_language(notice.title, language))
        head = f'<font color="{COLOURS[notice.priority]}">**{title}**</font>'
        lines = [f"> {harmless(line)}" for line in body(notice, language)]
        content = fitted(head, lines, f"[{notice.link}]({notice.link})" if notice.link else "", MARKDOWN_BYTES_MAX)
        return {"msgtype": "markdown", "markdown": {"content": content}}


def check(answer: Answer, where: str) -> None:
    """Return where a robot took a message. Raises UnavailableError and RejectedError."""
    code = answer.fields().get("errcode")
    if answer.status == 200 and code == 0:
        return
    said = f"{where}: {answer.words}"
    if code == TOO_OFTEN:
        raise UnavailableError(said, answer.wait_s or TOO_OFTEN_S)
    if code in BAD_MESSAGE:
        raise RejectedError({0: said})
    raise UnavailableError(said, answer.wait_s)
