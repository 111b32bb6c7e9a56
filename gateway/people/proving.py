"""Checking passwords: counted before their end is known, in threads that yield to everything else."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

import msgspec

from gateway.core.clock import Clock
from gateway.core.errors import HazgateError, StorageError
from gateway.people import words
from gateway.people.audit import Audit
from gateway.people.names import hinted, key_of
from gateway.people.passwords import Passwords
from gateway.store.people import FREE_FAILURES, AccountRow, Charge, PeopleStore, lock_s

T = TypeVar("T")

HASHINGS: Final = 2
"""Hashings at once: each takes 19 MiB and one core."""
WAITING_MAX: Final = 24
WAITING_EACH_MAX: Final = 4
"""Of these, from one address."""
WAITING_KNOWN: Final = 8
"""More places, for addresses where a password was right lately: a crowd of guessers keeps no operator out."""
KNOWN_MAX: Final = 100
NICE: Final = 10
NAMES_MAX: Final = 50
_TOLD: Final = (FREE_FAILURES, FREE_FAILURES + 9)
"""Failures in a row at which a lock is noted: when it begins, and when it has grown to its full length."""


class WrongPasswordError(HazgateError):
    """The name, the password, or the one-time code is wrong; which one is told to nobody."""


class LockedError(HazgateError):
    """The name was tried too often.

    Args:
        wait_s: Seconds until it may be tried again.
    """

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many wrong passwords for this name; try again in {wait_s:.0f} s")


class BusyError(HazgateError):
    """More people sign in at this moment than the machine bears."""


class Proving:
    """Checks passwords and hashes new ones; what waits for that is bounded.

    Args:
        store: The accounts and their failed attempts.
        passwords: How passwords are hashed.
        clock: Time.
        audit: Where failed attempts are noted.
    """

    def __init__(self, store: PeopleStore, passwords: Passwords, clock: Clock, audit: Audit) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._audit = audit
        self._threads = ThreadPoolExecutor(HASHINGS, "passwords", initializer=_yield_to_others)
        self._waiting: dict[str, int] = {}
        self._known: dict[str, None] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    def close(self) -> None:
        """Take no more; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def prove(self, name: str, password: str, address: str) -> AccountRow:
        """Return the account where the password is right, else note the attempt.

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
        with self._turn(address):
            charge, right = await self._checked(key_of(name), password, address)
        if right and charge.account is not None:
            self._known.pop(address, None)
            self._known[address] = None
            if len(self._known) > KNOWN_MAX:
                del self._known[next(iter(self._known))]
            return charge.account
        known = charge.account.name if charge.account else ""
        said = repr(known) if known else hinted(name)
        if charge.wait_s:
            self._audit.refused("", words.still_locked(said, address), address)
            raise LockedError(charge.wait_s)
        self._audit.refused("", words.wrong_password(said, address), address)
        if known and charge.failures in _TOLD:
            why = words.locked(known, charge.failures, lock_s(charge.failures), address)
            self._audit.account("", why, f"lock {key_of(name)}")
        raise WrongPasswordError("the name or the password is wrong")

    async def hashed(self, password: str) -> str:
        """Return what is kept of a password. Raises BusyError."""
        with self._turn(""):
            return await self._hashing(lambda: self._passwords.hash(password))

    async def _checked(self, key: str, password: str, address: str) -> tuple[Charge, bool]:
        """Count the attempt, then check the password: also against nothing, so that no name answers sooner."""
        try:
            charge = await asyncio.to_thread(self._store.charge, key, address, self._clock.now_ns())
        except StorageError:
            charge = await asyncio.to_thread(self._charge_in_memory, key)
        if charge.wait_s:
            return charge, False
        account = charge.account if charge.account and charge.account.enabled else None
        kept = account.password if account else ""
        right = await self._hashing(lambda: self._passwords.verify(kept, password))
        if right and account:
            self._failures.pop(key, None)
            if self._passwords.is_outdated(kept):
                fresh = await self._hashing(lambda: self._passwords.hash(password))
                with suppress(StorageError):
                    account = await asyncio.to_thread(self._store.rehash, account, fresh)
                    charge = msgspec.structs.replace(charge, account=account)
        return charge, right

    async def _hashing(self, call: Callable[[], T]) -> T:
        """Run what hashes, and nothing else, in a thread of low priority: one that held a lock would hold alarms up."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    @contextmanager
    def _turn(self, address: str) -> Iterator[None]:
        """Take a place among those who wait. Raises BusyError where there is none."""
        mine = self._waiting.get(address, 0)
        places = WAITING_MAX + (WAITING_KNOWN if address in self._known else 0)
        if mine >= WAITING_EACH_MAX or sum(self._waiting.values()) >= places:
            raise BusyError("too many people sign in at this moment; try again in a second")
        self._waiting[address] = mine + 1
        try:
            yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    def _charge_in_memory(self, key: str) -> Charge:
        """Count an attempt while the disk takes nothing."""
        now_s = self._clock.monotonic_s()
        failures, until_s = self._failures.pop(key, (0, now_s))
        locked = until_s > now_s
        if not locked:
            failures, until_s = failures + 1, now_s + lock_s(failures + 1)
        self._failures[key] = (failures, until_s)
        while len(self._failures) > NAMES_MAX:
            del self._failures[next(iter(self._failures))]
        return Charge(self._store.account(key), until_s - now_s if locked else 0.0, failures)


def _yield_to_others() -> None:
    """Let a thread that hashes run only where nothing else wants to: alarms come first."""
    with suppress(OSError, AttributeError):  # a system that knows no priorities of threads
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
