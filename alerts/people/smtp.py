"""The mail notifier: one message to all recipients over SMTP, by STARTTLS or TLS, the server's certificate checked.

Repeats carry the same `Message-ID`, so that a mail program shows one of them.
"""

import asyncio
import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

from pydantic import Field

from alerts.people.posting import secret_of
from gateway.core.clock import NS_PER_S, Clock
from gateway.core.errors import ConfigError, RejectedError, UnavailableError
from gateway.core.http import WORDS_MAX
from gateway.core.notice import Notice, NotifierOptions, body, cut, in_language
from gateway.core.plugin import SiteInfo

SUBJECT_BYTES_MAX = 400
LINES_MAX = 400
FOR_EVER = frozenset({552, 554, 555})
"""Refusals of the message itself: too large, content refused, parameters not understood. All others end some time."""
PORTS = {"tls": 465, "starttls": 587, "none": 25}
_NO_WORD = re.compile(r"[^A-Za-z0-9.]+")


class Options(NotifierOptions):
    """A mail server and who is written to."""

    host: str = Field(description="The mail server.", examples=["smtp.example.com"], min_length=1)
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port; 465 with `tls`, 587 with `starttls` and 25 with `none` where left out.",
        examples=[587],
    )
    security: Literal["tls", "starttls", "none"] = Field(
        default="starttls",
        description="How the connection is secured; `none` is for a relay on this machine, and allows no login.",
        examples=["tls"],
    )
    ca_file: str | None = Field(
        default=None,
        description="Certificate authority of the server, where it is not one that the machine knows.",
        examples=["/etc/hazgate/ca.pem"],
    )
    user: str = Field(default="", description="Login name; no login where left out.", examples=["gateway@example.com"])
    password: str | None = Field(
        default=None, description="Name of the secret with the password.", examples=["mail_password"]
    )
    sender: str = Field(
        description="Who it is from.", examples=["Hazgate <gateway@example.com>"], pattern=r"^[^\r\n]+@[^\r\n]+$"
    )
    to: tuple[str, ...] = Field(
        min_length=1, max_length=50, description="Who is written to.", examples=[["duty@example.com"]]
    )
    per_minute: int = Field(default=30, ge=1, le=600, description="Messages a minute.", examples=[30])


def create(options: Options, site: SiteInfo, _: Clock) -> "MailNotifier":
    """Return the notifier; connects with each message.

    Raises:
        ConfigError: A secret does not exist, an address is none, or a password would go over an open line.
    """
    if bool(options.user) != (options.password is not None):
        raise ConfigError(("options", "user"), "give both user and password, or neither")
    if options.user and options.security == "none":
        raise ConfigError(("options", "security"), "a password does not go over an open line; use tls or starttls")
    try:
        sender = address_of(options.sender)
    except ValueError as error:
        raise ConfigError(("options", "sender"), str(error)) from error
    recipients = []
    for index, one in enumerate(options.to):
        try:
            recipients.append(address_of(one))
        except ValueError as error:
            raise ConfigError(("options", "to", index), str(error)) from error
    password = secret_of(site, "password", options.password) if options.password else ""
    return MailNotifier(
        options, sender=sender, recipients=tuple(recipients), password=password, site=site.name or site.id
    )


def address_of(text: str) -> Address:
    """Return a mail address, with or without a name in front.

    Raises:
        ValueError: It is none.

    >>> address_of("Duty <duty@example.com>").addr_spec, address_of("duty@example.com").display_name
    ('duty@example.com', '')
    """
    name, bracket, rest = text.strip().rpartition("<")
    spec = rest.removesuffix(">") if bracket else text.strip()
    problem = f"{text!r} is no mail address; one is `name@host` or `Name <name@host>`"
    if not spec.isascii() or spec.count("@") != 1:
        raise ValueError(problem)
    try:
        return Address(name.strip().strip('"'), addr_spec=spec)
    except Exception as error:
        # The parser's own errors are of many kinds, some of them not meant to leave it.
        raise ValueError(problem) from error


class MailNotifier:
    """Writes to some people; smtplib blocks, so each message has a thread for as long as it takes."""

    def __init__(
        self, options: Options, *, sender: Address, recipients: tuple[Address, ...], password: str, site: str
    ) -> None:
        self.per_minute = options.per_minute
        self._options = options
        self._sender = sender
        self._recipients = recipients
        self._password = password
        self._site = site
        self._link: smtplib.SMTP | None = None
        self._port = options.port or PORTS[options.security]

    async def send(self, notice: Notice) -> None:
        """Send one message. Raises UnavailableError and RejectedError."""
        try:
            await asyncio.to_thread(self._deliver, self.message(notice))
        except asyncio.CancelledError:
            self._hang_up()
            raise

    async def close(self) -> None:
        """End what is under way; may be called twice."""
        self._hang_up()

    def message(self, notice: Notice) -> EmailMessage:
        """Return the mail."""
        language = self._options.language
        mail = EmailMessage()
        mail["Subject"] = cut(" ".join(in_language(notice.title, language).split()), SUBJECT_BYTES_MAX)
        mail["From"] = self._sender
        mail["To"] = self._recipients
        mail["Date"] = format_datetime(datetime.fromtimestamp(notice.time_ns / NS_PER_S, UTC))
        mail["Message-ID"] = f"<{_NO_WORD.sub('-', notice.key)}@{self._sender.domain}>"
        # RFC 3834: nobody's absence note comes back.
        mail["Auto-Submitted"] = "auto-generated"
        if notice.priority == 1 and not notice.test:
            mail["X-Priority"] = "1"
            mail["Importance"] = "high"
        lines = [in_language(notice.title, language, "\n"), "", *body(notice, language)[:LINES_MAX]]
        mail.set_content("\n".join([*lines, *(("", notice.link) if notice.link else ()), "", "-- ", self._site]) + "\n")
        return mail

    def _deliver(self, mail: EmailMessage) -> None:
        where = f"{self._options.host}:{self._port}"
        try:
            with self._connected() as link:
                refused = link.send_message(mail)
        except smtplib.SMTPResponseException as error:
            said = f"{where}: {error.smtp_code} {_words(error.smtp_error)}"
            if error.smtp_code in FOR_EVER and isinstance(error, smtplib.SMTPDataError):
                raise RejectedError({0: said}) from error
            raise UnavailableError(said) from error
        except smtplib.SMTPRecipientsRefused as error:
            said = "; ".join(f"{who}: {code} {_words(text)}" for who, (code, text) in error.recipients.items())
            raise UnavailableError(f"{where}: {said[:WORDS_MAX]}") from error
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # ssl.SSLError and a refused certificate are OSErrors; ValueError: a host name that cannot be encoded.
            raise UnavailableError(f"{where}: {str(error) or type(error).__name__}") from error
        finally:
            self._link = None
        if refused:
            # The others have it: sent again, they would have it twice. Who acts is whoever reads the notifier's state.
            who, (code, text) = next(iter(refused.items()))
            raise RejectedError({0: f"{where}: {len(refused)} of {len(self._recipients)} refused, "
                                    f"{who}: {code} {_words(text)}"})  # fmt: skip

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Yield a connection that is secured and logged in, and end it."""
        options = self._options
        context = None if options.security == "none" else ssl.create_default_context(cafile=options.ca_file)
        # Left to itself, smtplib asks the name server who this machine is, which can take longer than the mail.
        here = socket.gethostname()
        if options.security == "tls":
            link: smtplib.SMTP = smtplib.SMTP_SSL(local_hostname=here, timeout=options.timeout_s, context=context)
        else:
            link = smtplib.SMTP(local_hostname=here, timeout=options.timeout_s)
        # A certificate is checked against this name; made without a host, the link does not know it.
        link._host = options.host  # type: ignore[attr-defined]  # noqa: SLF001 - smtplib's own way is its constructor
        self._link = link
        try:
            link.connect(options.host, self._port)
            if options.security == "starttls":
                link.starttls(context=context)
            if options.user:
                link.login(options.user, self._password)
            yield link
            with contextlib.suppress(smtplib.SMTPException, OSError):
                link.quit()
        finally:
            link.close()

    def _hang_up(self) -> None:
        """End the connection under a thread that waits for its peer."""
        link = self._link
        if link is not None and link.sock is not None:
            with contextlib.suppress(OSError):
                link.sock.shutdown(socket.SHUT_RDWR)


def _words(text: bytes | str) -> str:
    return " ".join((text.decode(errors="replace") if isinstance(text, bytes) else text).split())[:WORDS_MAX]
