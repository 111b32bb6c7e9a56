"""The people of a gateway: who may sign in, who has, and who may change that."""

import asyncio
import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from gateway.core.alarm import AlarmEvent
from gateway.core.clock import Clock
from gateway.core.errors import StorageError
from gateway.core.model import Reason
from gateway.people import words
from gateway.people.audit import Audit
from gateway.people.names import UnfitError, checked_display_name, checked_name, key_of
from gateway.people.passwords import Passwords, check_password, prepared
from gateway.people.proving import Proving, WrongPasswordError
from gateway.people.setup_code import SetupCode
from gateway.store.ledger import TokenRow
from gateway.store.people import (
    TOUCH_NS,
    AccountRow,
    NameTakenError,
    NotFirstError,
    PeopleStore,
    SessionRow,
)

log = structlog.get_logger()

T = TypeVar("T")

ROLES: Final = ("viewer", "operator", "engineer", "administrator")
TOKEN_ROLES: Final = ROLES[:3]
"""Machines administer nobody."""
UNSAVED_MAX: Final = 50
LOOK_S: Final = 2.0
PRUNE_S: Final = 600.0


class Tokens(Protocol):
    """Where bearer tokens are kept: `gateway.store.ledger.Ledger`."""

    def add_token(self, name: str, role: str, digest: str, created_ns: int) -> None:
        """Keep a token's hash; ValueError where the name is taken."""
        ...

    def revoke_token(self, name: str) -> bool:
        """Forget a token."""
        ...

    def tokens(self) -> list[TokenRow]:
        """Return all tokens."""
        ...


class Signed(msgspec.Struct, frozen=True):
    """A person who has signed in.

    Attributes:
        digest: Names the session; SHA-256 of its secret in hex.
        key: The account's key.
        name: The account's name.
        display_name: For the screen.
        role: By name.
        must_change: No orders until the password is changed.
        until_ns: When the session ends if nobody uses it.
    """

    digest: str
    key: str
    name: str
    display_name: str
    role: str
    must_change: bool
    until_ns: int


class AccountView(NamedTuple):
    """An account as administrators see it.

    Attributes:
        row: The account.
        sessions: How many live.
        locked_ns: Until when the name is locked, 0 where it is not.
    """

    row: AccountRow
    sessions: int
    locked_ns: int


def digest_of(secret: str) -> str:
    """Return what is kept of a session's secret. No slow hash: 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_of(secret: str) -> str:
    """Return what a page must show beside the session's cookie; it is made from the secret and from nothing else."""
    digest = hashlib.sha256(b"hazgate csrf\0" + secret.encode("utf-8", "surrogatepass")).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


class People:
    """Accounts, sessions and tokens of one gateway, and the notes in its journal about them.

    Passwords are hashed in two threads of their own that yield to everything else; what waits for them is bounded.

    Args:
        store: The tables.
        tokens: Bearer tokens.
        clock: Time.
        tell: Journals an event that has no number yet; called in the event loop.
        announce: Shows the one-time code for the first administrator; None where nobody could use it.
        passwords: How passwords are hashed.
    """

    def __init__(
        self,
        store: PeopleStore,
        tokens: Tokens,
        clock: Clock,
        *,
        tell: Callable[[AlarmEvent], None],
        announce: Callable[[str], None] | None = None,
        passwords: Passwords | None = None,
    ) -> None:
        self.audit = Audit(tell, clock)
        self.setup = SetupCode(clock, announce or (lambda _code: None))
        self._announces = announce is not None
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._proving = Proving(store, passwords or Passwords(), clock, self.audit)
        self._unsaved: dict[str, tuple[SessionRow, AccountRow]] = {}
        self._noted = 0

    def protected(self) -> bool:
        """Return whether an account or a token exists; blocks. Raises StorageError."""
        return bool(self._tokens.tokens()) or self._store.has_accounts()

    # What goes on by itself

    async def run(self) -> None:
        """Announce the one-time code, journal what the command line changed, forget what has ended; for ever."""
        pruned_s = -PRUNE_S
        try:
            while True:
                with suppress(StorageError):  # said by the recorder's own alarm; tried again in a moment
                    await self._look()
                    if self._clock.monotonic_s() - pruned_s >= PRUNE_S:
                        pruned_s = self._clock.monotonic_s()
                        await asyncio.to_thread(self._store.prune, self._clock.now_ns())
                self.audit.sweep()
                await self._clock.sleep(LOOK_S)
        finally:
            self._proving.close()

    async def _look(self) -> None:
        if self._announces and not self.setup.alive and not await self.has_accounts():
            self.setup.renew()
        notes = await asyncio.to_thread(self._store.notes, self._noted)
        for note in notes:
            self.audit.account(note.who, Reason(note.why, note.why_zh), time_ns=note.time_ns)
            self._noted = note.id
        if notes:
            await asyncio.to_thread(self._store.forget_notes, self._noted)

    # Who is who

    async def has_accounts(self) -> bool:
        """Return whether any account exists. Raises StorageError."""
        return await asyncio.to_thread(self._store.has_accounts)

    async def session(self, digest: str) -> Signed | None:
        """Return who has signed in, by the hash of the session's secret; None where it has ended. Raises StorageError.

        It counts as a use of the session.
        """
        now_ns = self._clock.now_ns()
        found = self._unsaved.get(digest) or await asyncio.to_thread(self._session, digest, now_ns)
        return None if found is None or found[0].until_ns <= now_ns else _signed(*found)

    def _session(self, digest: str, now_ns: int) -> tuple[SessionRow, AccountRow] | None:
        found = self._store.session(digest, now_ns)
        if found and now_ns - found[0].seen_ns >= TOUCH_NS:
            with suppress(StorageError):  # the session lives on what was kept before
                self._store.touch(digest, now_ns)
        return found

    # Signing in and out

    async def sign_in(self, name: str, password: str, address: str) -> tuple[str, Signed]:
        """Begin a session and return its secret, which is kept nowhere, and whose it is.

        Args:
            name: As typed.
            password: As typed.
            address: Where from.

        Raises:
            WrongPasswordError: The name or the password is wrong, or the account is disabled.
            LockedError: The name was tried too often.
            BusyError: Too many sign in at this moment.
            StorageError: The accounts cannot be read.
        """
        account = await self._proving.prove(name, password, address)
        secret = secrets.token_urlsafe(32)
        now_ns = self._clock.now_ns()
        session = SessionRow(digest_of(secret), account.key, now_ns, now_ns, address)
        try:
            if not await asyncio.to_thread(self._store.sign_in, session, account.password):
                # Changed while it was checked: what was right is looked at again, and is most likely right no more.
                return await self.sign_in(name, password, address)
        except StorageError as error:
            # A broken card must not keep an operator from acknowledging; the session ends with the process.
            log.warning("session is not on disk", name=account.name, why=str(error))
            self._unsaved[session.digest] = (session, account)
            while len(self._unsaved) > UNSAVED_MAX:
                del self._unsaved[next(iter(self._unsaved))]
        self.audit.account(account.name, words.signed_in(address), f"session {account.name}")
        return secret, _signed(session, account)

    async def sign_out(self, signed: Signed) -> None:
        """End one session. Raises StorageError."""
        self._unsaved.pop(signed.digest, None)
        await asyncio.to_thread(self._store.end_session, signed.digest)
        self.audit.account(signed.name, words.signed_out(signed.name, signed.name, 1), f"session {signed.name}")

    async def end_session(self, digest: str) -> None:
        """End a session that another one takes the place of, whosever it is; nothing where there is none."""
        self._unsaved.pop(digest, None)
        with suppress(StorageError):
            await asyncio.to_thread(self._store.end_session, digest)

    async def change_password(self, signed: Signed, old: str, new: str, address: str) -> Signed:
        """Give a person another password; all other sessions of that person end.

        Raises:
            WrongPasswordError: The old password is wrong.
            UnfitError: The new one is not good enough.
            LockedError: It was tried too often.
            BusyError: Too many sign in at this moment.
            StorageError: The disk refuses.
        """
        proved = await self._proving.prove(signed.name, old, address)
        await asyncio.to_thread(self._store.settle, signed.key, address)
        check_password(new, signed.name, signed.display_name)
        if prepared(old) == prepared(new):
            raise UnfitError(Reason("the new password is the old one", "新密码与旧密码相同"))
        hashed = await self._proving.hashed(new)
        change = partial(
            self._store.change, password=hashed, must_change=False, keep=signed.digest, was=proved.password
        )
        if await asyncio.to_thread(change, signed.key) is None:
            raise WrongPasswordError("the password was changed by somebody else meanwhile")
        self._forget_unsaved(signed.key, keep=signed.digest)
        self.audit.account(signed.name, words.password_set(signed.name, by_self=True))
        return msgspec.structs.replace(signed, must_change=False)

    def _forget_unsaved(self, key: str, keep: str = "") -> None:
        for digest, (_, account) in list(self._unsaved.items()):
            if account.key == key and digest != keep:
                del self._unsaved[digest]

    # Accounts

    async def make_first(self, code: str, name: str, display_name: str, password: str, address: str) -> None:
        """Make the first administrator, who shows the one-time code.

        Raises:
            NotFirstError: An account exists.
            WrongPasswordError: The code is wrong or has run out.
            ValueError: The name or the password is not good enough; the code stays good.
            BusyError: Too many sign in at this moment.
            StorageError: The disk refuses.
        """
        if await self.has_accounts():
            raise NotFirstError("an account exists already; ask its administrator for one")
        if not self.setup.matches(code):
            self.audit.refused("", words.wrong_code(address), address)
            raise WrongPasswordError("the one-time code is wrong or has run out; the terminal shows the present one")
        account = await self._new(name, display_name, "administrator", password)
        self.setup.use_up()
        await asyncio.to_thread(partial(self._store.add, first=True), account)
        self.audit.account(account.name, words.first(account.name))

    async def make(self, by: str, name: str, display_name: str, role: str, password: str) -> AccountRow:
        """Make an account; its person has to change the password first of all.

        Raises:
            NameTakenError: An account or a token has the name.
            TooManyError: There is no room for more.
            ValueError: The name, the role or the password is none.
            BusyError: Too many sign in at this moment.
            StorageError: The disk refuses.
        """
        account = await self._new(name, display_name, role, password, must_change=True)
        await asyncio.to_thread(self._store.add, account)
        self.audit.account(by, words.made(account.name, role))
        return account

    async def _new(
        self, name: str, display_name: str, role: str, password: str, *, must_change: bool = False
    ) -> AccountRow:
        name = checked_name(name)
        shown = checked_display_name(display_name, name)
        if role not in ROLES:
            raise ValueError(f"role is one of {', '.join(ROLES)}, not {role!r}")
        check_password(password, name, shown)
        await asyncio.to_thread(check_not_a_token, self._tokens, name)
        return AccountRow(
            key=key_of(name),
            name=name,
            display_name=shown,
            role=role,
            password=await self._proving.hashed(password),
            must_change=must_change,
            created_ns=self._clock.now_ns(),
        )

    async def accounts(self) -> list[AccountView]:
        """Return all accounts with their sessions and locks. Raises StorageError."""
        now_ns = self._clock.now_ns()

        def read() -> list[AccountView]:
            rows, counts = self._store.accounts(), self._store.session_counts(now_ns)
            locks = self._store.locked_until([row.key for row in rows], now_ns)
            return [AccountView(row, counts.get(row.key, 0), locks.get(row.key, 0)) for row in rows]

        return await asyncio.to_thread(read)

    async def change(
        self,
        by: str,
        name: str,
        *,
        role: str | None = None,
        display_name: str | None = None,
        password: str | None = None,
        enabled: bool | None = None,
    ) -> bool:
        """Change what is not None of a person's account; returns whether there is one.

        A new password has to be changed by the person, and ends all sessions, as being disabled does.

        Raises:
            LastAdministratorError: No enabled administrator would be left.
            ValueError: The role, the display name or the password is none.
            BusyError: Too many sign in at this moment.
            StorageError: The disk refuses.
        """
        key = key_of(name)
        before = await asyncio.to_thread(self._store.account, key)
        if before is None:
            return False
        if role is not None and role not in ROLES:
            raise ValueError(f"role is one of {', '.join(ROLES)}, not {role!r}")
        if display_name is not None:
            display_name = checked_display_name(display_name, before.name)
        hashed = None
        if password is not None:
            check_password(password, before.name, before.display_name)
            hashed = await self._proving.hashed(password)
        change = partial(
            self._store.change,
            role=role,
            display_name=display_name,
            password=hashed,
            must_change=True if hashed else None,
            enabled=enabled,
        )
        after = await asyncio.to_thread(change, key)
        if after is None:
            return False
        if hashed or not after.enabled:
            self._forget_unsaved(key)
        for why in changes_between(before, after):
            self.audit.account(by, why)
        return True

    async def remove(self, by: str, name: str) -> bool:
        """Remove an account; returns whether there was one.

        Raises:
            LastAdministratorError: No enabled administrator would be left.
            StorageError: The disk refuses.
        """
        gone = await asyncio.to_thread(self._store.remove, key_of(name))
        if gone is not None:
            self._forget_unsaved(gone.key)
            self.audit.account(by, words.removed(gone.name))
        return gone is not None

    async def end_sessions(self, by: str, name: str) -> int | None:
        """End all sessions of a person and return how many there were; None where there is no such person."""
        account = await asyncio.to_thread(self._store.account, key_of(name))
        if account is None:
            return None
        count = await asyncio.to_thread(self._store.end_sessions, account.key)
        self._forget_unsaved(account.key)
        self.audit.account(by, words.signed_out(account.name, "", count))
        return count

    # Tokens

    async def tokens(self) -> list[TokenRow]:
        """Return all tokens of machines. Raises StorageError."""
        return await asyncio.to_thread(self._tokens.tokens)

    async def make_token(self, by: str, name: str, role: str, digest: str) -> TokenRow:
        """Keep a token's hash for a machine.

        Raises:
            NameTakenError: A token or an account has the name.
            ValueError: The name or the role is none.
            StorageError: The disk refuses.
        """
        name = checked_name(name)
        if role not in TOKEN_ROLES:
            raise ValueError(f"a token's role is one of {', '.join(TOKEN_ROLES)}, not {role!r}")
        if await asyncio.to_thread(self._store.account, key_of(name)) is not None:
            raise NameTakenError(f"an account named {name!r} is there already")
        await asyncio.to_thread(check_not_a_token, self._tokens, name)
        row = TokenRow(name, role, digest, self._clock.now_ns())
        await asyncio.to_thread(self._tokens.add_token, row.name, row.role, row.digest, row.created_ns)
        self.audit.account(by, words.token_made(name, role))
        return row

    async def revoke_token(self, by: str, name: str) -> bool:
        """Revoke a token; returns whether there was one. Raises StorageError."""
        done = await asyncio.to_thread(self._tokens.revoke_token, name)
        if done:
            self.audit.account(by, words.token_revoked(name))
        return done


def show_code(code: str) -> None:
    """Show the one-time code for the first administrator at the terminal, where only its owner sees it."""
    log.warning("no account exists: the console makes the first administrator by this code", code=code, good_for="1 h")


def changes_between(before: AccountRow, after: AccountRow) -> list[Reason]:
    """Return what was changed of an account, in words."""
    changes = []
    if after.role != before.role:
        changes.append(words.role_changed(after.name, after.role))
    if after.display_name != before.display_name:
        changes.append(words.renamed(after.name, after.display_name))
    if after.password != before.password:
        changes.append(words.password_set(after.name, by_self=False))
    if after.enabled != before.enabled:
        changes.append(words.enabled(after.name, now=after.enabled))
    return changes


def check_not_a_token(tokens: Tokens, name: str) -> None:
    """Refuse a name that a token has: the journal could not tell them apart. Raises NameTakenError."""
    if any(key_of(token.name) == key_of(name) for token in tokens.tokens()):
        raise NameTakenError(f"a token named {name!r} is there already")


def _signed(session: SessionRow, account: AccountRow) -> Signed:
    return Signed(
        session.digest,
        account.key,
        account.name,
        account.display_name,
        account.role,
        account.must_change,
        session.until_ns,
    )
