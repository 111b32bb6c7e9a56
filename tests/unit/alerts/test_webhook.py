"""What the webhook says and how it signs, read by an independent verifier; no sockets."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook

from alerts.webhook import Options, WebhookUplink, create, key_of, schema, signature
from gateway.core.alarm import Action, AlarmEvent, AlarmState, Case, EventKind
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError
from gateway.core.model import Channel
from gateway.core.plugin import SiteInfo

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "webhook.schema.json"
CHANNEL = Channel(row=0, id="gd-01.co", instrument="gd-01", quantity="co", unit="ppm", location="pump house, east wall")
EVENT = AlarmEvent(
    seq=7, time_ns=1_700_000_000_123_000_000, kind=EventKind.RAISED, alarm="co:gd-01.co", state=AlarmState.UNACKED,
    level="high", condition="high", priority=1, occurrence=2, raised_ns=1_700_000_000_123_000_000, first=True,
    annunciate=True, channel="gd-01.co", instrument="gd-01", area="pump house", quantity="co", unit="ppm",
    value=61.5, limit=50.0, why="61.5 ppm above 50",
)  # fmt: skip


def uplink(**changes: object) -> WebhookUplink:
    site = SiteInfo(
        "park-1", "gw-1", "e1", [CHANNEL], timezone="Asia/Shanghai", name="化工园区", secrets={"hook": SECRET}
    )
    options = Options.model_validate({"url": "http://127.0.0.1:1/alerts", "secret": "hook", **changes})
    return create(options, site, ManualClock())


def test_a_message_says_everything_of_the_event() -> None:
    message = json.loads(msgspec.json.encode(uplink().message(EVENT)))
    assert message["type"] == "alarm.raised"
    assert message["key"] == "gw-1:e1:7"
    assert message["timestamp"] == "2023-11-15T06:13:20.123+08:00"
    data = message["data"]
    assert (data["value"], data["limit"], data["unit"], data["level"], data["state"]) == (
        61.5, 50.0, "ppm", "high", "unacked",
    )  # fmt: skip
    assert data["location"] == "pump house, east wall"
    assert data["until"] is None
    assert data["acknowledged_at"] is None


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_of_event_fits_the_published_schema(kind: EventKind) -> None:
    event = msgspec.structs.replace(EVENT, kind=kind, until_ns=EVENT.time_ns, acked_ns=EVENT.time_ns, value=None)
    message = json.loads(msgspec.json.encode(uplink().message(event)))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(message)
    broken = {**message, "key": 7}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, json.loads(SCHEMA.read_bytes()))


def test_a_site_event_without_alarm_fits_the_published_schema() -> None:
    event = AlarmEvent(seq=1, time_ns=0, kind=EventKind.NOTE, why="start")
    message = json.loads(msgspec.json.encode(uplink().message(event)))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(message)


def test_a_response_goes_up_whole() -> None:
    case = Case(
        id="co:gd-01.co#2",
        alarm="co:gd-01.co",
        occurrence=2,
        opened_ns=1_700_000_000_000_000_000,
        assignee="li",
        dispatched_ns=1_700_000_060_000_000_000,
        actions=(Action(at_ns=1_700_000_090_000_000_000, by="li", text="closed V3"),),
        overdue=("arrive",),
    )
    message = uplink().message(AlarmEvent(seq=9, time_ns=1, kind=EventKind.CASE, who="wang", case=case))
    told = json.loads(msgspec.json.encode(message))
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(told)
    assert (told["type"], told["data"]["alarm"]) == ("alarm.case", "")
    sent = told["data"]["case"]
    assert (sent["alarm"], sent["assignee"], sent["overdue"]) == ("co:gd-01.co", "li", ["arrive"])
    assert sent["dispatched_at"].startswith("2023-11-1")
    assert sent["closed_at"] is None
    assert [each["text"] for each in sent["actions"]] == ["closed V3"]


def test_the_published_schema_is_fresh() -> None:
    assert SCHEMA.read_bytes() == schema(), "write alerts.webhook.schema() to docs/reference/webhook.schema.json"


def test_the_documented_example_fits_the_published_schema() -> None:
    page = SCHEMA.with_name("webhook.md").read_text(encoding="utf-8")
    example = json.loads(page.split("```json")[1].split("```")[0])
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(example)


def test_an_independent_verifier_accepts_the_signature_and_no_changed_body() -> None:
    body = msgspec.json.encode(uplink().message(EVENT))
    timestamp = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "gw-1:e1:7",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(key_of(SECRET), "gw-1:e1:7", timestamp, body),
    }
    assert Webhook(SECRET).verify(body, headers)["key"] == "gw-1:e1:7"
    with pytest.raises(Exception, match="signature"):
        Webhook(SECRET).verify(body.replace(b"61.5", b"11.5"), headers)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("0123456789abcdef0123456789abcdef", "does not begin with whsec_"),
        ("whsec_***", "is not base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "has 5 bytes"),
    ],
)
def test_a_secret_that_cannot_sign_is_a_configuration_error_that_does_not_tell_it(secret: str, problem: str) -> None:
    site = SiteInfo("park-1", "gw-1", "e1", [], secrets={"hook": secret})
    with pytest.raises(ConfigError, match=problem) as caught:
        create(Options(url="http://127.0.0.1", secret="hook"), site, ManualClock())
    assert caught.value.path == ("secret",)
    assert secret not in str(caught.value)


def test_a_secret_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="there is no secret 'other'"):
        uplink(secret="other")
    with pytest.raises(ConfigError, match=r"token: there is no secret 'other'"):
        uplink(token="other")


@pytest.mark.parametrize("url", ["ftp://a", "platform.example", "http://", "https://user:word@platform.example"])
def test_an_address_that_cannot_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Options(url=url, secret="hook")


def test_every_option_has_a_description_and_an_example() -> None:
    for name, field in Options.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples, name


async def test_closing_twice_and_without_a_connection_is_fine() -> None:
    sink = uplink()
    await sink.close()
    await sink.close()
