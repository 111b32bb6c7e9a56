"""The webhook uplink: each alarm event as one signed HTTP POST after the Standard Webhooks specification.

The body is `Message`; its JSON Schema is `docs/reference/webhook.schema.json`. Delivery is at least once: a platform
keeps what it has by `key`, which is the `webhook-id` as well.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ssl
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import msgspec
from pydantic import Field, field_validator

from gateway.core.alarm import AlarmEvent, Case
from gateway.core.clock import NS_PER_S, Clock, rfc3339
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import checked_url, retry_after_s, words
from gateway.core.plugin import PluginOptions, SiteInfo

if TYPE_CHECKING:
    import httpx

SECRET_PREFIX = "whsec_"  # noqa: S105 - the specification's mark of a secret, none itself
SECRET_BYTES_MIN = 24
ANSWER_MAX = 65_536
"""Bytes of an answer that are read."""

KNOWN_ALREADY = 409
NOT_NOW = frozenset({401, 403, 404, 408, 425, 429})
"""Refusals that a person or time can end; all other 4xx are for ever."""

Text = Annotated[str, msgspec.Meta(max_length=4096)]
Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]


class ActionData(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done in a response."""

    at: Annotated[Time, msgspec.Meta(description="When.")]
    by: Annotated[str, msgspec.Meta(description="By whom; empty where the gateway itself wrote it.")]
    text: Annotated[str, msgspec.Meta(description="What.")]


class CaseData(msgspec.Struct, frozen=True, kw_only=True):
    """The response to an alarm, or to a problem that somebody reported, as it is after the event."""

    id: Annotated[str, msgspec.Meta(description="`<alarm>#<occurrence>`, or `problem#<number>`.")]
    alarm: Annotated[str, msgspec.Meta(description="The alarm's id; empty for a reported problem.")]
    occurrence: Annotated[int, msgspec.Meta(ge=0, description="The alarm's occurrence, the last one that joined.")]
    title: Annotated[str, msgspec.Meta(description="What it is about, in a line.")]
    title_zh: Annotated[str, msgspec.Meta(description="The same in Chinese, or empty.")]
    opened_at: Annotated[Time | None, msgspec.Meta(description="When the alarm was raised, the problem reported.")]
    opened_by: Annotated[str, msgspec.Meta(description="Who reported it; empty for an alarm.")]
    received_by: Annotated[str, msgspec.Meta(description="Who received it, or empty.")]
    received_at: Annotated[Time | None, msgspec.Meta(description="When it was received.")]
    assignee: Annotated[str, msgspec.Meta(description="Who was sent, or empty.")]
    phone: Annotated[str, msgspec.Meta(description="That person's telephone number, or empty.")]
    dispatched_by: Annotated[str, msgspec.Meta(description="Who sent them, or empty.")]
    dispatched_at: Annotated[Time | None, msgspec.Meta(description="When somebody was sent.")]
    arrived_at: Annotated[Time | None, msgspec.Meta(description="When somebody was there.")]
    actions: Annotated[tuple[ActionData, ...], msgspec.Meta(max_length=100, description="What was done, in order.")]
    outcome: Annotated[
        str,
        msgspec.Meta(description="`real`, `false`, `maintenance`, `test`, `instrument_fault`; empty while open."),
    ]
    note: Annotated[str, msgspec.Meta(description="What was found, from whoever closed it.")]
    closed_by: Annotated[str, msgspec.Meta(description="Who closed it; empty while open.")]
    closed_at: Annotated[Time | None, msgspec.Meta(description="When it was closed.")]
    over: Annotated[bool, msgspec.Meta(description="The alarm has ended.")]
    overdue: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Steps not done in time: `acknowledge`, `dispatch`, `arrive`, `close`."),
    ]


class AlarmData(msgspec.Struct, frozen=True, kw_only=True):
    """The alarm as it is after the event."""

    alarm: Annotated[str, msgspec.Meta(description="The alarm's id; empty for events of the whole site.")]
    kind: Annotated[str, msgspec.Meta(description="What happened: the part of `type` after `alarm.`.")]
    state: Annotated[str, msgspec.Meta(description="The alarm's state after it, after ISA-18.2 with latched states.")]
    level: Annotated[
        str, msgspec.Meta(description="`normal`, `warning`, `fault`, `low` or `high`; held while latched.")
    ]
    condition: Annotated[str, msgspec.Meta(description="What the rule says at this moment, whatever the alarm holds.")]
    priority: Annotated[
        int, msgspec.Meta(ge=0, le=4, description="1 red, 2 orange, 3 yellow, 4 blue; 0 for events of the site.")
    ]
    occurrence: Annotated[int, msgspec.Meta(ge=0, description="How often this alarm has been raised, this included.")]
    raised_at: Annotated[Time | None, msgspec.Meta(description="When this occurrence began.")]
    first: Annotated[bool, msgspec.Meta(description="The alarm was the first of its area.")]
    annunciate: Annotated[bool, msgspec.Meta(description="The event starts the sound.")]
    channel: Annotated[str, msgspec.Meta(description="Channel id; empty for system alarms.")]
    instrument: Annotated[str, msgspec.Meta(description="Instrument id, or empty.")]
    area: Annotated[str, msgspec.Meta(description="The area of the site, or empty.")]
    location: Annotated[str, msgspec.Meta(description="Where exactly the channel is measured, or empty.")]
    quantity: Annotated[str, msgspec.Meta(description="What is measured, or empty.")]
    unit: Annotated[str, msgspec.Meta(description="Unit of `value` and `limit`.")]
    value: Annotated[float | None, msgspec.Meta(description="The judged value; null where there is none.")]
    limit: Annotated[float | None, msgspec.Meta(description="What it was compared with; null where nothing.")]
    quality: Annotated[str, msgspec.Meta(description="The reading's quality by name, or the fault that was found.")]
    test: Annotated[bool, msgspec.Meta(description="Made under test: not a real alarm.")]
    who: Annotated[str, msgspec.Meta(description="Who acted; empty where the gateway itself did.")]
    why: Annotated[str, msgspec.Meta(description="The reason given, or what happened in a line.")]
    why_zh: Annotated[str, msgspec.Meta(description="The same in Chinese, or empty.")]
    until: Annotated[Time | None, msgspec.Meta(description="When a shelving ends by itself.")]
    acknowledged_by: Annotated[str, msgspec.Meta(description="Who acknowledged this occurrence, or empty.")]
    acknowledged_at: Annotated[Time | None, msgspec.Meta(description="When it was acknowledged.")]
    permit: Annotated[str, msgspec.Meta(description="The permit under which it is out of service, or empty.")]
    suppressed_by: Annotated[
        str, msgspec.Meta(description="What suppresses it: the site's logic by its id, or the alarm that is its cause.")
    ]
    case: Annotated[
        CaseData | None,
        msgspec.Meta(description="With kind `case`: the response, which names its alarm."),
    ]


_SAME = tuple(name for name in CaseData.__struct_fields__ if name in Case.__struct_fields__ and name != "actions")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm event of a Hazgate gateway, or its sign of life."""

    type: Annotated[str, msgspec.Meta(description="`alarm.` and what happened, e.g. `alarm.raised`; or `heartbeat`.")]
    timestamp: Annotated[Time, msgspec.Meta(description="The time of the reading or command, RFC 3339.")]
    key: Annotated[
        Text, msgspec.Meta(description="`gateway:epoch:sequence`: the same key is the same event, sent again.")
    ]
    site: Annotated[str, msgspec.Meta(description="The site's id.")]
    site_name: Annotated[str, msgspec.Meta(description="The site's name for people.")]
    gateway: Annotated[str, msgspec.Meta(description="The gateway's id.")]
    epoch: Annotated[str, msgspec.Meta(description="The journal's epoch: a restored gateway has a new one.")]
    sequence: Annotated[
        int, msgspec.Meta(ge=0, description="The event's number in the epoch, in the order that things happened.")
    ]
    data: Annotated[AlarmData | None, msgspec.Meta(description="The alarm; null in a heartbeat.")]


class Options(PluginOptions):
    """A platform that takes signed webhooks."""

    url: str = Field(
        description="Where events are posted.", examples=["https://platform.example/api/alerts"], max_length=2048
    )
    secret: str = Field(
        description="Name of the secret that signs: `whsec_` and at least 24 bytes in base64.",
        examples=["platform_webhook"],
    )
    token: str | None = Field(
        default=None,
        description="Name of the secret sent as bearer token, for platforms that want one beside the signature.",
        examples=["platform_token"],
    )
    timeout_s: float = Field(
        default=10.0, gt=0, le=30, description="Seconds that the platform may take to answer.", examples=[10.0]
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificate authority of the platform, where it is not one that the machine knows.",
        examples=["/etc/hazgate/ca.pem"],
    )
    proxy: str | None = Field(
        default=None, description="HTTP proxy on the way to the platform.", examples=["http://10.0.0.1:3128"]
    )

    _url = field_validator("url")(checked_url)


def create(options: Options, site: SiteInfo, clock: Clock) -> "WebhookUplink":
    """Return the uplink; connects with the first event.

    Raises:
        ConfigError: A secret does not exist or cannot sign.
    """
    for key, name in (("secret", options.secret), ("token", options.token)):
        if name is not None and not site.secrets.get(name):
            raise ConfigError((key,), f"there is no secret {name!r}; there are {sorted(site.secrets) or 'none'}")
    try:
        signing_key = key_of(site.secrets[options.secret])
    except ValueError as error:
        raise ConfigError(("secret",), f"secret {options.secret!r} {error}") from error
    return WebhookUplink(options, site, clock, signing_key)


class WebhookUplink:
    """A sink of alarm events: one request an event, one after the other, over one connection."""

    def __init__(self, options: Options, site: SiteInfo, clock: Clock, signing_key: bytes) -> None:
        self._options = options
        self._site = site
        self._clock = clock
        self._signing_key = signing_key
        self._zone = ZoneInfo(site.timezone)
        self._locations = {channel.id: channel.location for channel in site.channels}
        self._client: httpx.AsyncClient | None = None

    async def write(self, items: Sequence[AlarmEvent]) -> None:
        """Post events in order; stops at the first that the platform cannot take now.

        Raises:
            UnavailableError: The platform cannot be reached or asks to come back.
            RejectedError: The platform refuses those events for ever and has taken the others.
        """
        refused: dict[int, str] = {}
        for index, event in enumerate(items):
            reason = await self._post(self.message(event))
            if reason:
                refused[index] = reason
        if refused:
            raise RejectedError(refused)

    async def check(self) -> None:
        """Post a heartbeat, so that a dead platform is noticed before there is an alarm to tell it of.

        A platform that refuses heartbeats is there, which is all that was asked. Raises UnavailableError.
        """
        now_ns = self._clock.now_ns()
        await self._post(self._message("heartbeat", now_ns, f"heartbeat-{now_ns}", 0, None))

    async def close(self) -> None:
        """Let go of the connection; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def message(self, event: AlarmEvent) -> Message:
        """Return what is told of an event."""
        data = AlarmData(
            alarm=event.alarm,
            kind=event.kind.value,
            state=event.state.value,
            level=event.level,
            condition=event.condition,
            priority=event.priority,
            occurrence=event.occurrence,
            raised_at=self._time(event.raised_ns),
            first=event.first,
            annunciate=event.annunciate,
            channel=event.channel,
            instrument=event.instrument,
            area=event.area,
            location=self._locations.get(event.channel, ""),
            quantity=event.quantity,
            unit=event.unit,
            value=event.value,
            limit=event.limit,
            quality=event.quality,
            test=event.test,
            who=event.who,
            why=event.why,
            why_zh=event.why_zh,
            until=self._time(event.until_ns),
            acknowledged_by=event.acked_by,
            acknowledged_at=self._time(event.acked_ns),
            permit=event.permit,
            suppressed_by=event.suppressed_by,
            case=None if event.case is None else self._case(event.case),
        )
        return self._message(f"alarm.{event.kind.value}", event.time_ns, str(event.seq), event.seq, data)

    def _case(self, case: Case) -> CaseData:
        return CaseData(
            **{name: getattr(case, name) for name in _SAME},
            opened_at=self._time(case.opened_ns),
            received_at=self._time(case.received_ns),
            dispatched_at=self._time(case.dispatched_ns),
            arrived_at=self._time(case.arrived_ns),
            closed_at=self._time(case.closed_ns),
            actions=tuple(
                ActionData(at=rfc3339(each.at_ns, self._zone), by=each.by, text=each.text) for each in case.actions
            ),
        )

    def _message(self, type_: str, time_ns: int, last: str, sequence: int, data: AlarmData | None) -> Message:
        site = self._site
        return Message(
            type=type_,
            timestamp=rfc3339(time_ns, self._zone),
            key=f"{site.gateway}:{site.epoch}:{last}",
            site=site.id,
            site_name=site.name,
            gateway=site.gateway,
            epoch=site.epoch,
            sequence=sequence,
            data=data,
        )

    def _time(self, time_ns: int) -> str | None:
        return rfc3339(time_ns, self._zone) if time_ns else None

    async def _post(self, message: Message) -> str | None:
        """Post one message; return the platform's words where it refuses it for ever.

        Raises:
            UnavailableError: It was not taken, or nobody knows.
        """
        import httpx  # noqa: PLC0415 - loaded by sites that have such an uplink

        body = msgspec.json.encode(message)
        headers = self._signed(message.key, body)
        try:
            client = self._client = self._client or await self._connected()
            async with client.stream("POST", self._options.url, content=body, headers=headers) as response:
                said = words(response.status_code, await _start_of(response))
        except (httpx.TransportError, OSError) as error:
            # ssl.SSLError and an unreadable authority's file are OSErrors.
            raise UnavailableError(f"{self._options.url}: {str(error) or type(error).__name__}") from error
        status = response.status_code
        if 200 <= status < 300 or status == KNOWN_ALREADY:
            return None
        if 400 <= status < 500 and status not in NOT_NOW:
            return said
        wait_s = retry_after_s(response.headers.get("Retry-After"), self._clock.now_ns())
        raise UnavailableError(f"{self._options.url}: {said}", wait_s)

    def _signed(self, key: str, body: bytes) -> Mapping[str, str]:
        timestamp = self._clock.now_ns() // NS_PER_S
        return {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._signing_key, key, timestamp, body),
        }

    async def _connected(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 - loaded by sites that have such an uplink

        options = self._options
        headers = {"Accept-Encoding": "identity", "User-Agent": "hazgate"}
        if options.token:
            headers["Authorization"] = f"Bearer {self._site.secrets[options.token]}"
        # The machine's authorities are files that take 20 ms to load, and plain HTTP needs none.
        secure = options.url.startswith("https")
        authorities = await asyncio.to_thread(ssl.create_default_context, cafile=options.ca_file) if secure else False
        return httpx.AsyncClient(
            headers=headers,
            verify=authorities,
            timeout=httpx.Timeout(options.timeout_s, connect=min(5.0, options.timeout_s)),
            # Many servers drop a quiet connection after 5 s; one dropped under an alarm would cost a retry.
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=4.0),
            follow_redirects=False,
            trust_env=False,
            proxy=options.proxy,
        )


def key_of(secret: str) -> bytes:
    """Return the bytes that sign, of a secret as platforms hand it out.

    Raises:
        ValueError: It does not begin with `whsec_`, is not base64, or is shorter than 24 bytes; never says what it is.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"does not begin with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"is not base64 after {SECRET_PREFIX}") from None
    if len(key) < SECRET_BYTES_MIN:
        raise ValueError(f"has {len(key)} bytes; a secret has at least {SECRET_BYTES_MIN}")
    return key


def signature(key: bytes, id_: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` of a message after Standard Webhooks 1.0: HMAC-SHA256 over id, time and body."""
    signed = b".".join((id_.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def schema() -> bytes:
    """Return the JSON Schema of the body, as it is kept in `docs/reference/webhook.schema.json`."""
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hazgate webhook body",
        **msgspec.json.schema(Message),
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


async def _start_of(response: "httpx.Response") -> str:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= ANSWER_MAX:
            break
    return body[:ANSWER_MAX].decode(errors="replace")
