"""A name and a password into an account: throttled, at the same cost for whoever is asked for."""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import trio

from photochanger.accounts import audit
from photochanger.accounts.audit import Audit
from photochanger.accounts.credentials import USUAL_COST, Account, AccountBook, cost_of
from photochanger.accounts.throttle import Throttle, Try
from photochanger.domain.passwords import check_password
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, Refusal

THREADS: Final = 2
"""Passwords that are looked at at once."""
MOST_WAITING: Final = 32
"""Logins under way; one more is turned away before it costs anything."""
FLOODED: Final = 5
"""Seconds after which whoever was turned away may come again."""
GIVING_BACK: Final = 2.0
"""Seconds that PostgreSQL has to forget the failures before a right one."""


class Logins:
    """Checks passwords against the accounts."""

    def __init__(self, accounts: AccountBook, throttle: Throttle, audit: Audit) -> None:
        self._accounts = accounts
        self._throttle = throttle
        self._audit = audit
        self._threads = trio.CapacityLimiter(THREADS)
        self._turns: dict[str, trio.Lock] = {}
        self._under_way = 0

    async def log_in(self, username: str, password: str, address: str) -> Account:
        """The account whose name and password these are.

        Raises Refusal: `unauthenticated` with the same words and after the same work for an unknown name and for a
        wrong password, `login_locked`; DatabaseUnavailable, because without counting nobody is let in.
        """
        if self._under_way >= MOST_WAITING:
            raise Refusal(Reason.LOGIN_LOCKED, "Too many logins are under way at once.", retry_after=FLOODED)
        self._under_way += 1
        try:
            async with self._turn(username):
                held = await self._throttle.reserve(username, address)
                account = self._accounts.find(username)
                stored = account.password_hash if account else self._nobodys_hash(username)
                right = await trio.to_thread.run_sync(check_password, password, stored, limiter=self._threads)
                if account is None or not right:
                    await self._failed(account, held, address)
                    raise Refusal(Reason.UNAUTHENTICATED, "The user name or the password is wrong.")
                await self._succeeded(account, held, address)
                return account
        finally:
            self._under_way -= 1

    async def _failed(self, account: Account | None, held: Try, address: str) -> None:
        name = account.username if account else None
        await self._audit.record(audit.LOGIN_FAILED, subject=name, address=address)
        # Told once, when it begins: what a lock turns away costs nothing, no row either.
        if held.account_locked:
            await self._audit.record(audit.ACCOUNT_LOCKED, subject=name, address=address)
        if held.address_locked:
            await self._audit.record(audit.ADDRESS_LOCKED, subject=held.address, address=address)

    async def _succeeded(self, account: Account, held: Try, address: str) -> None:
        with trio.move_on_after(GIVING_BACK, shield=True):  # a page that was closed meanwhile is no failed login
            # Where that fails it counts as a failure, and locks nobody out for longer than the window.
            with suppress(DatabaseUnavailable):
                await self._throttle.give_back(held)
        await self._audit.record(audit.LOGIN, actor=account.username, subject=account.username, address=address)

    @asynccontextmanager
    async def _turn(self, username: str) -> AsyncIterator[None]:
        """One login per name at a time: several right ones at once do not lock each other out."""
        lock = self._turns.setdefault(username, trio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._turns.pop(username, None)

    def _nobodys_hash(self, username: str) -> str:
        """A hash of no password, as costly as some account's; always the same account's for the same name."""
        costs = sorted(cost_of(account) for account in self._accounts.all()) or [USUAL_COST]
        place = hmac.digest(b"cost", self._throttle.counted_name(username).encode(), "sha256")
        return f"$2b${costs[int.from_bytes(place[:4]) % len(costs)]:02d}$" + 53 * "."
