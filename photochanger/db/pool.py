"""Connections shared by tasks: leased and given back without waiting, so that an operation is one hop to asyncio.

A connection comes back in one of three ways: clean, it is idle again; closed, it is forgotten; in doubt (its
user was cancelled or failed inside a transaction), it is mended in the background, bounded, or terminated.
Nobody's cancellation waits for any of that, also while the server is frozen.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import asyncpg
import trio

from photochanger.db.faults import lost, name
from photochanger.db.target import Target
from photochanger.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

SIZE = 10
RESERVED = 2
MEND_TIMEOUT = 2.0

T = TypeVar("T")
Coro = Coroutine[Any, Any, T]


@dataclass(frozen=True, slots=True)
class PoolState:
    """The pool in numbers. `leased` has the connections that are being made or mended in it."""

    size: int
    reserved: int
    open: int
    idle: int
    leased: int
    mending: int
    waiting: int


class Pool:
    """At most `size` connections, of which ordinary users never take more than `size - reserved`."""

    def __init__(self, loop: Any, target: Target, *, size: int = SIZE, reserved: int = RESERVED) -> None:
        self._loop = loop
        self._target = target
        self._size = size
        self._reserved = reserved
        self._rooms = trio.Semaphore(size)
        self._ordinary_rooms = trio.Semaphore(size - reserved)
        self._idle: list[asyncpg.Connection] = []  # the last one used is the first one taken: it is the warmest
        self._all: set[asyncpg.Connection] = set()
        self._mending: set[asyncio.Task[None]] = set()
        self._scopes: set[trio.CancelScope] = set()
        self._probe: asyncpg.Connection | None = None
        self._closed: str | None = None

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Bound a wait: DatabaseUnavailable after `seconds`, or at once when the pool closes."""
        if self._closed is not None:
            raise DatabaseUnavailable(self._closed)
        scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._scopes.add(scope)
        try:
            with scope:
                yield
        finally:
            self._scopes.discard(scope)
        if scope.cancelled_caught:
            raise DatabaseUnavailable(self._closed or f"no answer within {seconds:g} s")

    async def hop(self, connection: asyncpg.Connection, work: Callable[[], Coro[T]]) -> T:
        """Run asyncio-flavoured `work` on `connection`; the loss of the connection becomes DatabaseUnavailable."""
        if self._closed is not None:
            raise DatabaseUnavailable(self._closed)
        try:
            result: T = await self._loop.run_aio_coroutine(work())
        except BaseException as error:
            unavailable = lost(error, connection)
            if unavailable is None:
                raise
            raise unavailable from error
        return result

    async def lease(self, *, settling: bool) -> asyncpg.Connection:
        """A connection for one user, idle or new. Give it back by `release` with the same `settling`."""
        if not settling:
            await _take(self._ordinary_rooms)
        try:
            await _take(self._rooms)
            try:
                while self._idle:
                    connection = self._idle.pop()
                    if not connection.is_closed():
                        return connection
                    self._forget(connection)
                return await self.connect()
            except BaseException:
                self._rooms.release()
                raise
        except BaseException:
            if not settling:
                self._ordinary_rooms.release()
            raise

    def release(self, connection: asyncpg.Connection, *, settling: bool, clean: bool) -> None:
        """Give a leased connection back; never waits. `clean` is False after a failure of whatever kind."""
        if not settling:
            self._ordinary_rooms.release()
        if self._closed is not None or connection.is_closed():
            self._forget(connection)
            self._rooms.release()
        elif clean and not connection.is_in_transaction():
            self._idle.append(connection)
            self._rooms.release()
        else:
            # A task of the loop, not of a nursery: it is asyncio all through, bounded, and must be startable
            # from a cancelled task. It ends with the connection, so closing the pool ends it.
            task = self._loop.create_task(self._mend(connection))
            self._mending.add(task)
            task.add_done_callback(self._mending.discard)

    async def connect(self) -> asyncpg.Connection:
        """A connection that is closed with the pool, beyond its size: for `lease` and for listening."""
        try:
            connection = await self._loop.run_aio_coroutine(self._target.connect())
        except Exception as error:
            raise DatabaseUnavailable(f"no connection to {self._target.where} ({name(error)})") from error
        if self._closed is not None:
            connection.terminate()
            raise DatabaseUnavailable(self._closed)
        self._all.add(connection)
        return connection

    def drop(self, connection: asyncpg.Connection) -> None:
        """End a connection made by `connect`; the server notices at once. Never waits."""
        self._forget(connection)

    def state(self) -> PoolState:
        """What the pool is doing, for metrics and tests."""
        return PoolState(
            size=self._size,
            reserved=self._reserved,
            open=sum(not connection.is_closed() for connection in self._all),
            idle=sum(not connection.is_closed() for connection in self._idle),
            leased=self._size - self._rooms.value,
            mending=len(self._mending),
            waiting=self._rooms.statistics().tasks_waiting + self._ordinary_rooms.statistics().tasks_waiting,
        )

    async def probe(self) -> None:
        """One round trip on a connection kept for that. A lost one is replaced once before it counts."""
        for last_try in (False, True):
            if self._probe is None or self._probe.is_closed():
                self._probe = await self.connect()
            connection = self._probe
            try:
                await self.hop(connection, partial(connection.execute, "SELECT 1"))
            except DatabaseUnavailable:
                self._forget(connection)
                if last_try:
                    raise
            else:
                return

    def close(self, reason: str) -> None:
        """Fail everybody who waits, now and from now on, with DatabaseUnavailable(reason). Never waits."""
        if self._closed is None:
            self._closed = reason
        for scope in list(self._scopes):
            scope.cancel()
        for connection in list(self._all):
            self._forget(connection)
        self._idle.clear()

    def _forget(self, connection: asyncpg.Connection) -> None:
        self._all.discard(connection)
        connection.terminate()

    async def _mend(self, connection: asyncpg.Connection) -> None:
        """Bring a connection in doubt back to rest: its statement cancelled, its transaction rolled back."""
        mended = False
        try:
            async with asyncio.timeout(MEND_TIMEOUT):
                # asyncpg has begun to cancel the statement; this waits for that first.
                await connection.reset()
                mended = True
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is to drop the connection
            if self._closed is None:
                log.info("a connection could not be mended: %s", name(error))
        finally:
            if mended and self._closed is None and not connection.is_closed():
                self._idle.append(connection)
            else:
                self._forget(connection)
            self._rooms.release()


async def _take(rooms: trio.Semaphore) -> None:
    try:
        rooms.acquire_nowait()
    except trio.WouldBlock:
        await rooms.acquire()
