"""One transaction on one leased connection."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import trio

from photochanger.db.pool import Pool
from photochanger.errors import DatabaseUnavailable

OPERATION_TIMEOUT = 30.0


class Transaction:
    """The statements of one transaction; same methods as `Db`, same errors. For one task at a time."""

    def __init__(self, pool: Pool, connection: asyncpg.Connection, timeout: float) -> None:
        self._pool = pool
        self._connection = connection
        self._timeout = timeout

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """All rows."""
        with self._pool.bounded(self._timeout):
            return await self._pool.hop(self._connection, lambda: self._connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        with self._pool.bounded(self._timeout):
            return await self._pool.hop(self._connection, lambda: self._connection.fetchrow(sql, *args))

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first value of the first row, or None."""
        with self._pool.bounded(self._timeout):
            return await self._pool.hop(self._connection, lambda: self._connection.fetchval(sql, *args))

    async def execute(self, sql: str, *args: Any) -> str:
        """PostgreSQL's command tag, for example "UPDATE 1"."""
        with self._pool.bounded(self._timeout):
            return await self._pool.hop(self._connection, lambda: self._connection.execute(sql, *args))

    async def executemany(self, sql: str, args: Iterable[Sequence[Any]]) -> None:
        """The statement once per row of arguments."""
        with self._pool.bounded(self._timeout):
            await self._pool.hop(self._connection, lambda: self._connection.executemany(sql, args))


@asynccontextmanager
async def begin(pool: Pool, *, settling: bool, timeout: float) -> AsyncIterator[Transaction]:  # noqa: ASYNC109
    """Lease a connection and run the block inside BEGIN and COMMIT; any exception rolls back.

    `timeout` bounds each statement, not the block. A cancelled block does not wait for the rollback:
    the pool rolls back behind it.
    """
    clean = False
    with pool.bounded(timeout):
        connection = await pool.lease(settling=settling)
    try:
        transaction = connection.transaction()
        with pool.bounded(timeout):
            await pool.hop(connection, transaction.__aenter__)
        try:
            yield Transaction(pool, connection, timeout)
        except (trio.Cancelled, DatabaseUnavailable, GeneratorExit):
            raise  # nothing can be awaited, or nobody would answer
        except BaseException as error:
            with pool.bounded(timeout):
                await pool.hop(connection, partial(transaction.__aexit__, type(error), error, error.__traceback__))
            clean = True
            raise
        with pool.bounded(timeout):
            await pool.hop(connection, partial(transaction.__aexit__, None, None, None))
        clean = True
    finally:
        pool.release(connection, settling=settling, clean=clean)
