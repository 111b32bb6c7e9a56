"""The text message notifier: one HTTP request a telephone, after a template, to whatever sends text messages.

A provider's address, headers and body are templates (Jinja, sandboxed) with these names: `text`, `phone`, `title`,
`priority`, `key`, `time_s` and `secrets.NAME` for the secrets that the options name.
"""

from collections.abc import Mapping
from typing import Any, Literal

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field

from alerts.people.posting import Answer, HttpOptions, Poster, host_of, secret_of
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url
from gateway.core.notice import Notice, Text, in_language, plain
from gateway.core.plugin import SiteInfo

BYTES_A_CHARACTER = 3
"""Of UTF-8, for a Chinese character."""
KEYS_MAX = 100
"""Messages of which it is remembered which telephones have them."""
TOO_OFTEN_S = 60.0


class Options(HttpOptions):
    """A provider of text messages, or a modem's gateway."""

    url: str = Field(
        description="Template of the address.", examples=["https://sms.example/send?to={{ phone }}"], max_length=2048
    )
    method: Literal["POST", "GET", "PUT"] = Field(default="POST", description="HTTP method.", examples=["POST"])
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Templates of headers.",
        examples=[{"Authorization": "Bearer {{ secrets.sms_token }}"}],
    )
    body: str = Field(
        default='{"phone": {{ phone | tojson }}, "text": {{ text | tojson }}}',
        description="Template of the body; `| tojson` and `| urlencode` quote a name.",
        examples=["to={{ phone | urlencode }}&text={{ text | urlencode }}"],
    )
    content_type: str = Field(
        default="application/json", description="What the body is.", examples=["application/x-www-form-urlencoded"]
    )
    phones: tuple[str, ...] = Field(
        min_length=1, max_length=50, description="Who gets the messages.", examples=[["+8613800000000"]]
    )
    secrets: tuple[str, ...] = Field(
        default=(), description="Names of the secrets that the templates may use.", examples=[["sms_token"]]
    )
    ok_path: str = Field(
        default="",
        description="Where the JSON answer says how it went, with dots between; the status alone counts where empty.",
        examples=["result.code"],
    )
    ok_values: tuple[str, ...] = Field(
        default=("0", "ok", "OK"),
        description="What stands there when the message was taken.",
        examples=[["0"]],
    )
    length_max: int = Field(
        default=210,
        ge=60,
        le=1000,
        description="Characters of a message; 70 Chinese ones are one part.",
        examples=[140],
    )
    per_minute: int = Field(
        default=20, ge=1, le=600, description="Messages a minute; one to several telephones is one.", examples=[20]
    )


def create(options: Options, site: SiteInfo, clock: Clock) -> "SmsNotifier":
    """Return the notifier; connects with the first message.

    Raises:
        ConfigError: A template has a mistake or uses a name that it does not know, or a secret does not exist.
    """
    secrets = {name: secret_of(site, "secrets", name) for name in options.secrets}
    notifier = SmsNotifier(options, secrets, clock)
    trial = Notice(key="trial", title=Text("试", "trial"), lines=())
    request = notifier.request(trial, options.phones[0])
    try:
        checked_url(request.url)
    except ValueError as error:
        # Which secrets it was made of must not be told.
        raise ConfigError(
            ("options", "url"), f"the template makes no URL; it begins with {request.url[:8]!r}"
        ) from error
    return notifier


class _Request:
    __slots__ = ("body", "headers", "url")

    def __init__(self, url: str, headers: Mapping[str, str], body: str) -> None:
        self.url = url
        self.headers = headers
        self.body = body


class SmsNotifier:
    """Sends to some telephones; those that have a message do not get it again when another one fails."""

    def __init__(self, options: Options, secrets: Mapping[str, str], clock: Clock) -> None:
        self.per_minute = options.per_minute
        self._options = options
        self._secrets = secrets
        self._clock = clock
        self._poster = Poster(options, clock)
        self._have: dict[str, set[str]] = {}
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        try:
            self._url = environment.from_string(options.url)
            self._body = environment.from_string(options.body)
            self._headers = {name: environment.from_string(text) for name, text in options.headers.items()}
        except TemplateError as error:
            raise ConfigError(("options",), f"a template cannot be read: {error}") from error

    async def send(self, notice: Notice) -> None:
        """Send to each telephone that has not got it yet. Raises UnavailableError and RejectedError."""
        have = self._have.setdefault(notice.key, set())
        while len(self._have) > KEYS_MAX:
            del self._have[next(iter(self._have))]
        refused: dict[str, str] = {}
        for phone in self._options.phones:
            if phone in have:
                continue
            request = self.request(notice, phone)
            content = request.body.encode() if self._options.method != "GET" else b""
            answer = await self._poster.post(request.url, content, request.headers, method=self._options.method)
            reason = self._refusal(answer, host_of(request.url))
            if reason:
                refused[phone] = reason
            have.add(phone)
        if refused:
            phone, reason = next(iter(refused.items()))
            raise RejectedError({0: f"{len(refused)} of {len(self._options.phones)} refused, {phone}: {reason}"})

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        await self._poster.close()

    def request(self, notice: Notice, phone: str) -> _Request:
        """Return what is sent for one telephone. Raises ConfigError where a template uses a name that there is not."""
        language = self._options.language
        room = self._options.length_max
        text = " ".join(plain(notice, language, room * BYTES_A_CHARACTER).split("\n"))
        values: dict[str, Any] = {
            "text": text if len(text) <= room else text[: room - 1] + "…",
            "phone": phone,
            "title": in_language(notice.title, language),
            "priority": notice.priority,
            "key": notice.key,
            "time_s": self._clock.now_ns() // NS_PER_S,
            "secrets": self._secrets,
        }
        try:
            headers = {name: _line(template.render(values)) for name, template in self._headers.items()}
            url, body = _line(self._url.render(values)), self._body.render(values)
        except (TemplateError, TypeError, ValueError) as error:
            raise ConfigError(("options",), f"a template fails: {error}") from error
        return _Request(url, {"Content-Type": self._options.content_type, **headers}, body)

    def _refusal(self, answer: Answer, where: str) -> str:
        """Return why a provider refuses a message for ever, or nothing. Raises UnavailableError."""
        said = f"{where}: {answer.words}"
        if answer.status in (400, 413, 422):
            return said
        if not 200 <= answer.status < 300:
            raise UnavailableError(said, answer.wait_s or (TOO_OFTEN_S if answer.status == 429 else None))
        if self._options.ok_path and _at(answer.fields(), self._options.ok_path) not in self._options.ok_values:
            # What a provider's own codes mean, nobody here knows: it is kept and tried again.
            raise UnavailableError(said, answer.wait_s)
        return ""


def _line(text: str) -> str:
    """Return a template's outcome as one line: nothing that people wrote ends a header."""
    return " ".join(text.split("\n")).replace("\r", " ").strip()


def _at(fields: Mapping[str, Any], path: str) -> str:
    """Return what stands at a path of a JSON object, as text; empty where there is nothing.

    >>> _at({"result": {"code": 0}}, "result.code"), _at({}, "code")
    ('0', '')
    """
    found: Any = fields
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return "" if found is None else str(found)
