"""What every notifier owes whoever calls it, for each plugin found in the folder, with a channel that is not there."""

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.core.clock import SystemClock
from gateway.core.errors import UnavailableError
from gateway.core.notice import Language, Notice, Notifier, NotifierOptions, Text
from gateway.core.plugin import SiteInfo
from gateway.registry import Kind, load, names

# Ours alone: other tests put plugins of their own beside them.
NOTIFIERS = [name for name in names(Kind.NOTIFIER) if load(Kind.NOTIFIER, name).__name__.startswith("alerts.people.")]
SECRET = "s3cret-of-the-robot"
NOTICE = Notice(
    key="park-1:duty:7-raised-1",
    title=Text("【红】锅炉房 一氧化碳 高限报警", "[RED] HIGH alarm, Boiler room, CO"),
    lines=(Text("数值：61.5 ppm，限值：50 ppm", "Value 61.5 ppm, limit 50 ppm"),),
    priority=1,
    time_ns=1_700_000_000_000_000_000,
    link="http://10.0.0.5:8080/#/alarm/co",
)


class AnySecret(dict[str, str]):
    """Knows every secret."""

    def __missing__(self, key: str) -> str:
        return SECRET

    def get(self, key: str, default: Any = None) -> str:
        return self[key]


SITE = SiteInfo("park-1", "gw-1", "e1", [], secrets=AnySecret())


def options_at(module: ModuleType, port: int) -> BaseModel:
    """A plugin's options made from its own examples, with its channel at a port of this machine."""
    model: type[BaseModel] = module.Options
    values: dict[str, Any] = {
        name: field.examples[0] for name, field in model.model_fields.items() if field.is_required() and field.examples
    }
    here = f"http://127.0.0.1:{port}"
    places: Mapping[str, Any] = {"base_url": here, "url": here, "host": "127.0.0.1", "port": port, "timeout_s": 5.0}
    found = {name: value for name, value in places.items() if name in model.model_fields}
    assert {"base_url", "url", "host"} & set(found), f"{module.__name__} names its channel in a way of its own"
    if "security" in model.model_fields:
        found["security"] = "none"
    return model.model_validate({**values, **found})


def notifier_at(name: str, port: int) -> Notifier:
    module = load(Kind.NOTIFIER, name)
    notifier: Notifier = module.create(options_at(module, port), SITE, SystemClock())
    return notifier


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        yield int(listener.getsockname()[1])


def test_there_are_notifiers() -> None:
    assert {"wecom", "dingtalk", "feishu", "smtp", "sms"} <= set(NOTIFIERS)


@pytest.mark.parametrize("name", NOTIFIERS)
async def test_a_channel_that_is_not_there_is_unavailable_and_no_secret_is_told(name: str, closed_port: int) -> None:
    notifier = notifier_at(name, closed_port)
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1") as caught:
            await asyncio.wait_for(notifier.send(NOTICE), 15)
        assert SECRET not in str(caught.value)
    await notifier.close()


@pytest.mark.parametrize("name", NOTIFIERS)
async def test_closing_twice_and_without_a_message_is_harmless(name: str, closed_port: int) -> None:
    notifier = notifier_at(name, closed_port)
    await notifier.close()
    await notifier.close()


@pytest.mark.parametrize("name", NOTIFIERS)
async def test_a_channel_that_says_nothing_is_prompt_to_cancel(name: str, silent_port: int) -> None:
    notifier = notifier_at(name, silent_port)
    task = asyncio.create_task(notifier.send(NOTICE))
    await asyncio.sleep(0.3)
    assert not task.done(), "nothing was taken"
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await notifier.close()
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("name", NOTIFIERS)
def test_every_option_is_described_and_has_an_example(name: str) -> None:
    model = load(Kind.NOTIFIER, name).Options
    assert issubclass(model, NotifierOptions)
    for option, field in model.model_fields.items():
        assert field.description, f"{name}.{option}"
        assert field.description.endswith("."), f"{name}.{option}"
        assert field.examples, f"{name}.{option}"


@pytest.mark.parametrize("name", NOTIFIERS)
def test_a_notifier_says_how_many_messages_its_channel_takes(name: str, closed_port: int) -> None:
    assert notifier_at(name, closed_port).per_minute >= 1


@pytest.mark.parametrize("name", NOTIFIERS)
@pytest.mark.parametrize("language", list(Language))
def test_a_notifier_speaks_every_language(name: str, language: Language, closed_port: int) -> None:
    module = load(Kind.NOTIFIER, name)
    options = options_at(module, closed_port).model_copy(update={"language": language})
    notifier = module.create(options, SITE, SystemClock())
    said = str(notifier.request(NOTICE, "1").body if name == "sms" else notifier.message(NOTICE))
    if name == "smtp":
        said = notifier.message(NOTICE).get_content()
    elif name == "sms":
        said = said.encode().decode("unicode_escape")
    assert ("一氧化碳" in said) == (language is not Language.EN)
    assert ("HIGH alarm" in said) == (language is not Language.ZH)
