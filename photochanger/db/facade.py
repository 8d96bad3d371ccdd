"""`Db`: what every part of the service sees of PostgreSQL. It stays; the pool under it comes and goes.

The `database` child of the tree (`service.py`) gives it a pool and takes it away again. While there is none,
every operation fails at once with DatabaseUnavailable: a lost database is a state, never a crash.
"""

import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import trio

from photochanger.db.pool import RESERVED, SIZE, Pool, PoolState
from photochanger.db.target import CONNECT_TIMEOUT, Target
from photochanger.db.transaction import OPERATION_TIMEOUT, Transaction, begin
from photochanger.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DbState:
    """Whether the database can be asked. `reason` is a sentence for people; empty while available."""

    available: bool
    since: datetime
    reason: str = ""


class Db:
    """PostgreSQL for Trio.

    Every operation raises DatabaseUnavailable when PostgreSQL cannot be asked, does not answer within
    `timeout` seconds, or is lost on the way (a write may then have happened or not). What PostgreSQL answers,
    a violated constraint for one, comes as asyncpg's own exception. A cancelled operation returns at once,
    also while the server is frozen.

    `settling=True` is for the few writes that decide what becomes of a photo: they may use the connections
    that ordinary users never get.

    A single read (SELECT) whose connection turns out to be dead is asked once more on another one.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._pool: Pool | None = None
        self._state = DbState(False, datetime.now(UTC), "not connected yet")
        self._doubt = trio.Event()

    @property
    def state(self) -> DbState:
        """The present state, as a value."""
        return self._state

    @property
    def pool_state(self) -> PoolState | None:
        """The pool in numbers; None while there is none."""
        return self._pool.state() if self._pool else None

    async def connect(self, target: Target, *, size: int = SIZE, reserved: int = RESERVED) -> None:
        """Become available. For the database child and for tools; pair it with `disconnect`.

        Raises DatabaseUnavailable when the first connection fails; the state stays as it was then.
        """
        if self._pool is not None:
            raise RuntimeError("the database is connected already")
        pool = Pool(self._loop, target, size=size, reserved=reserved)
        try:
            with pool.bounded(CONNECT_TIMEOUT):
                pool.release(await pool.lease(settling=True), settling=True, clean=True)
        except BaseException:
            pool.close("not connected")
            raise
        self._pool = pool
        self._set_state(True, "")

    def disconnect(self, reason: str) -> None:
        """Become unavailable: operations under way and to come fail with `reason`, connections end. Never waits."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(reason)
        self._set_state(False, reason)

    async def doubted(self) -> None:
        """Wait until an operation has failed in a way that makes the database's health doubtful."""
        self._doubt = trio.Event()
        await self._doubt.wait()

    async def probe(self, seconds: float) -> None:
        """Ask the server for a sign of life, on a connection of its own, so that a busy pool is no bad sign.

        Raises DatabaseUnavailable when none comes within `seconds`. For one task: the database child.
        """
        pool = self._require()
        with pool.bounded(seconds):
            await pool.probe()

    async def fetch(
        self,
        sql: str,
        *args: Any,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> list[asyncpg.Record]:
        """All rows."""
        return await self._run(sql, lambda connection: connection.fetch(sql, *args), settling, timeout)

    async def fetchrow(
        self,
        sql: str,
        *args: Any,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> asyncpg.Record | None:
        """The first row, or None."""
        return await self._run(sql, lambda connection: connection.fetchrow(sql, *args), settling, timeout)

    async def fetchval(
        self,
        sql: str,
        *args: Any,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> Any:
        """The first value of the first row, or None."""
        return await self._run(sql, lambda connection: connection.fetchval(sql, *args), settling, timeout)

    async def execute(
        self,
        sql: str,
        *args: Any,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> str:
        """PostgreSQL's command tag, for example "UPDATE 1"."""
        return await self._run(sql, lambda connection: connection.execute(sql, *args), settling, timeout)

    async def executemany(
        self,
        sql: str,
        args: Iterable[Sequence[Any]],
        *,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> None:
        """The statement once per row of arguments, all or nothing."""
        await self._run(sql, lambda connection: connection.executemany(sql, args), settling, timeout)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        settling: bool = False,
        timeout: float = OPERATION_TIMEOUT,  # noqa: ASYNC109
    ) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, rolled back when it raises. `timeout` is per statement.

        DatabaseUnavailable out of the end of the block means that the commit may have happened or not.
        """
        try:
            async with begin(self._require(), settling=settling, timeout=timeout) as transaction:
                yield transaction
        except DatabaseUnavailable:
            self._doubt.set()
            raise

    @asynccontextmanager
    async def listen(self, channel: str, *, buffer: int = 16) -> AsyncIterator[trio.MemoryReceiveChannel[str]]:
        """The payloads notified on `channel`, over a connection of its own.

        The channel ends when the connection is lost: then something may have been missed, so look for
        yourself and listen again. A notification that finds `buffer` others unread is dropped.
        """
        pool = self._require()
        send, receive = trio.open_memory_channel[str](buffer)

        def notified(_connection: object, _pid: int, _channel: str, payload: str) -> None:
            try:
                send.send_nowait(payload)
            except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
                log.debug("a notification on %s found no room", channel)

        with pool.bounded(OPERATION_TIMEOUT):
            connection = await pool.connect()
        try:
            connection.add_termination_listener(lambda _connection: send.close())
            with pool.bounded(OPERATION_TIMEOUT):
                await pool.hop(connection, lambda: connection.add_listener(channel, notified))
            yield receive
        finally:
            pool.drop(connection)
            send.close()
            receive.close()

    async def _run(
        self,
        sql: str,
        work: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]],
        settling: bool,
        seconds: float,
    ) -> T:
        pool = self._require()
        try:
            with pool.bounded(seconds):
                try:
                    return await _once(pool, work, settling)
                except _ConnectionWasDead:
                    if not sql.lstrip().upper().startswith("SELECT"):
                        raise
                return await _once(pool, work, settling)
        except DatabaseUnavailable:
            self._doubt.set()
            raise
        raise AssertionError("unreachable")

    def _require(self) -> Pool:
        if self._pool is None:
            raise DatabaseUnavailable(self._state.reason)
        return self._pool

    def _set_state(self, available: bool, reason: str) -> None:
        if available != self._state.available:
            self._state = DbState(available, datetime.now(UTC), reason)
        elif reason != self._state.reason:
            self._state = DbState(available, self._state.since, reason)


class _ConnectionWasDead(DatabaseUnavailable):
    """The connection, not the pool, is what failed."""


async def _once(pool: Pool, work: Callable[[asyncpg.Connection], Coroutine[Any, Any, T]], settling: bool) -> T:
    connection = await pool.lease(settling=settling)
    clean = False
    try:
        result = await pool.hop(connection, lambda: work(connection))
        clean = True
        return result
    except DatabaseUnavailable as error:
        raise _ConnectionWasDead(*error.args) from error
    except Exception:
        clean = True  # an answer of PostgreSQL, or a wrong call: the connection is at rest
        raise
    finally:
        pool.release(connection, settling=settling, clean=clean)
