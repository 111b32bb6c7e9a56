"""Mail against a real SMTP server: login, STARTTLS and TLS with a certificate made here, refusals in its words."""

import email
import email.policy
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from alerts.people.smtp import MailNotifier, Options, create
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.notice import Notice, Text
from gateway.core.plugin import SiteInfo

SITE = SiteInfo("park-1", "gw-1", "e1", [], name="Park 1", secrets={"mail": "s3cret", "wrong": "nope"})
NOTICE = Notice(
    key="park-1:duty:7-raised-1",
    title=Text("【红】锅炉房 一氧化碳 高限报警", "[RED] HIGH alarm, Boiler room, CO"),
    lines=(Text("数值：61.5 ppm", "Value 61.5 ppm"),),
    priority=1,
    time_ns=1_700_000_000_000_000_000,
    link="http://10.0.0.5:8080/#/alarm/co",
)


class Postbox:
    """Takes mail, and says no to whom it is told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.refuses: dict[str, str] = {}
        self.says = "250 OK"

    async def handle_RCPT(self, _: Any, __: Any, envelope: Envelope, address: str, ___: Any) -> str:  # noqa: N802 - aiosmtpd's
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.says.startswith("250"):
            self.envelopes.append(envelope)
            assert isinstance(envelope.content, bytes)
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.says


def allowed(_: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"gw", b"s3cret")
    return AuthResult(success=known and mechanism in ("LOGIN", "PLAIN"), handled=False)


@contextmanager
def posting(postbox: Postbox, **more: Any) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    controller = Controller(postbox, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, its key beside it."""
    if shutil.which("openssl") is None:
        reason = "openssl is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("certificate")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*make, "-keyout", folder / "key.pem", "-out", folder / "ca.pem"], check=True, capture_output=True)
    return folder / "ca.pem"


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    return context


def notifier_at(port: int, **options: Any) -> MailNotifier:
    given = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "Gateway 网关 <gw@park.example>",
        "to": ("duty@park.example", "Li <li@park.example>"),
        "timeout_s": 5.0,
        **options,
    }
    return create(Options(**given), SITE, ManualClock())


async def test_a_mail_says_everything_in_a_subject_and_a_body(postbox: Postbox) -> None:
    with posting(postbox) as port:
        await notifier_at(port, language="both").send(NOTICE)
    mail = postbox.mails[0]
    assert mail["Subject"] == "【红】锅炉房 一氧化碳 高限报警 / [RED] HIGH alarm, Boiler room, CO"
    assert "Gateway 网关" in mail["From"]
    assert postbox.envelopes[0].rcpt_tos == ["duty@park.example", "li@park.example"]
    text = mail.get_content()
    assert "数值：61.5 ppm" in text
    assert "Value 61.5 ppm" in text
    assert NOTICE.link in text
    assert mail["X-Priority"] == "1"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"


async def test_a_repeat_has_the_same_message_id(postbox: Postbox) -> None:
    with posting(postbox) as port:
        notifier = notifier_at(port)
        await notifier.send(NOTICE)
        await notifier.send(NOTICE)
        await notifier.send(replace(NOTICE, key="another"))
    ids = [mail["Message-ID"] for mail in postbox.mails]
    assert ids[0] == ids[1] != ids[2]


async def test_nothing_that_people_wrote_becomes_a_header(postbox: Postbox) -> None:
    title = Text("标题\r\nBcc: evil@example.com", "title\nBcc: evil@example.com")
    with posting(postbox) as port:
        await notifier_at(port).send(replace(NOTICE, title=title))
    assert postbox.mails[0]["Bcc"] is None
    assert postbox.envelopes[0].rcpt_tos == ["duty@park.example", "li@park.example"]


async def test_starttls_and_login_with_a_certificate_that_is_known(
    postbox: Postbox, context: ssl.SSLContext, certificate: Path
) -> None:
    secured = {"tls_context": context, "require_starttls": True, "auth_required": True, "authenticator": allowed}
    with posting(postbox, **secured) as port:
        options = {"security": "starttls", "ca_file": str(certificate), "user": "gw"}
        await notifier_at(port, password="mail", **options).send(NOTICE)
        with pytest.raises(UnavailableError, match="535") as caught:
            await notifier_at(port, password="wrong", **options).send(NOTICE)
    assert "nope" not in str(caught.value)
    assert len(postbox.mails) == 1


async def test_tls_from_the_first_byte(postbox: Postbox, context: ssl.SSLContext, certificate: Path) -> None:
    with posting(postbox, ssl_context=context) as port:
        await notifier_at(port, security="tls", ca_file=str(certificate)).send(NOTICE)
    assert len(postbox.mails) == 1


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_that_nobody_knows_gets_no_mail(
    postbox: Postbox, context: ssl.SSLContext, security: str
) -> None:
    more: dict[str, Any] = {"ssl_context": context} if security == "tls" else {"tls_context": context}
    with posting(postbox, **more) as port, pytest.raises(UnavailableError, match="CERTIFICATE_VERIFY_FAILED"):
        await notifier_at(port, security=security).send(NOTICE)
    assert postbox.mails == []


async def test_a_server_that_offers_no_starttls_gets_no_mail(postbox: Postbox) -> None:
    with posting(postbox) as port, pytest.raises(UnavailableError, match="STARTTLS"):
        await notifier_at(port, security="starttls").send(NOTICE)
    assert postbox.mails == []


async def test_a_recipient_who_is_refused_keeps_nobody_else_from_the_mail(postbox: Postbox) -> None:
    postbox.refuses["li@park.example"] = "550 no such user"
    with posting(postbox) as port, pytest.raises(RejectedError, match=r"li@park\.example: 550 no such user"):
        await notifier_at(port).send(NOTICE)
    assert postbox.envelopes[0].rcpt_tos == ["duty@park.example"]


@pytest.mark.parametrize(
    ("says", "error"),
    [("451 try later", UnavailableError), ("552 too large", RejectedError), ("554 spam", RejectedError)],
)
async def test_what_the_server_says_of_the_mail_decides(postbox: Postbox, says: str, error: type[Exception]) -> None:
    postbox.says = says
    with posting(postbox) as port, pytest.raises(error, match=says):
        await notifier_at(port).send(NOTICE)


async def test_when_nobody_is_taken_the_mail_is_kept(postbox: Postbox) -> None:
    postbox.refuses = {"li@park.example": "450 greylisted", "duty@park.example": "450 greylisted"}
    with posting(postbox) as port, pytest.raises(UnavailableError, match="greylisted"):
        await notifier_at(port).send(NOTICE)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"user": "gw"}, ("user",)),
        ({"user": "gw", "password": "mail"}, ("security",)),
        ({"sender": "no mail@@park.example"}, ("sender",)),
        ({"to": ("duty@park.example", "nobody")}, ("to", 1)),
        ({"user": "gw", "password": "absent", "security": "tls"}, ("password",)),
    ],
)
def test_a_mistake_in_the_options_stops_the_start(options: dict[str, Any], path: tuple[str | int, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        notifier_at(25, **options)
    assert caught.value.path == ("options", *path)
