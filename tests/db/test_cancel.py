"""Cancelling whatever is under way: prompt, and nothing of it is left."""

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.db.target import Target
from tests.db.rest import HANG_GUARD, at_rest, count_becomes, server_connections

STORM = 200


async def test_storm_on_sleeping_statements(db: Db) -> None:
    for number in range(STORM):
        with trio.move_on_after(random.uniform(0, 0.008)) as scope:
            await db.execute("SELECT pg_sleep(60)", settling=number % 4 == 0)
        assert scope.cancelled_caught
    await at_rest(db)
    await count_becomes(
        db, 0, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
    )
    await server_connections(db)


async def test_storm_on_acquiring(db: Db) -> None:
    """Many more users than connections, nine in ten giving up at a moment of their own."""
    finished = 0

    async def user(seed: int) -> None:
        nonlocal finished
        rng = random.Random(seed)
        with trio.move_on_after(rng.uniform(0, 0.15) if seed % 10 else HANG_GUARD):
            await db.fetchval("SELECT pg_sleep($1)", rng.uniform(0, 0.02))
            finished += 1

    async with trio.open_nursery() as nursery:
        for seed in range(STORM):
            nursery.start_soon(user, seed)
    assert STORM / 10 <= finished < STORM, "either nobody gave up or somebody did not get through"
    await at_rest(db)
    assert await db.fetchval("SELECT 1") == 1


async def test_storm_on_transactions(db: Db) -> None:
    """What was committed is there once, what was cancelled is not there, no row stays locked."""
    await db.execute("CREATE TABLE t (a int PRIMARY KEY)")
    committed: set[int] = set()
    unknown: set[int] = set()

    async def user(number: int) -> None:
        rng = random.Random(number)
        unknown.add(number)
        with trio.move_on_after(rng.uniform(0, 0.25) if number % 10 else HANG_GUARD):
            async with db.transaction() as transaction:
                await transaction.execute("INSERT INTO t VALUES ($1)", number)
                await transaction.execute("UPDATE slot SET permits = 2 WHERE id = 'slot-001'")  # all want this row
                await trio.sleep(rng.uniform(0, 0.005))
            committed.add(number)

    async with trio.open_nursery() as nursery:
        for number in range(STORM):
            nursery.start_soon(user, number)
    await at_rest(db)
    there = {row["a"] for row in await db.fetch("SELECT a FROM t")}
    assert STORM / 10 <= len(committed) < STORM
    # A cancellation that falls into COMMIT may find it done: then the row is there, whole.
    assert committed <= there <= unknown
    assert await db.execute("UPDATE slot SET permits = 2", timeout=5) == "UPDATE 15"
    await count_becomes(db, 0, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")


class CancelAtStep(trio.abc.Instrument):
    """Cancels `scope` after the k-th step of any task of the run, so also inside asyncpg and the loop."""

    def __init__(self, scope: trio.CancelScope, k: int) -> None:
        self._scope = scope
        self._left = k

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def _fetch(db: Db) -> None:
    assert await db.fetchval("SELECT a FROM t LIMIT 1") is None


async def _insert(db: Db) -> None:
    await db.execute("INSERT INTO u VALUES (1)")


async def _many(db: Db) -> None:
    await db.executemany("INSERT INTO u VALUES ($1)", [(n,) for n in range(50)])


async def _transaction(db: Db) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("INSERT INTO u VALUES (1)")
        await transaction.fetchval("SELECT count(*) FROM u")


async def _listen(db: Db) -> None:
    async with db.listen("news") as news:
        await db.execute("NOTIFY news, 'x'")
        await news.receive()


@pytest.mark.parametrize("fresh", [False, True], ids=["idle connection", "no connection yet"])
@pytest.mark.parametrize("operation", [_fetch, _insert, _many, _transaction, _listen])
async def test_cancel_at_every_step(
    db: Db,
    postgres_url: str,
    operation: Callable[[Db], Awaitable[Any]],
    fresh: bool,
    record_property: Callable[[str, object], None],
) -> None:
    await db.execute("CREATE TABLE t (a int); CREATE TABLE u (a int)")
    for k in itertools.count(1):
        if fresh:
            db.disconnect("again")
            await db.connect(Target.of(postgres_url))
            busy = db.transaction(settling=True)  # takes the one connection there is
            await busy.__aenter__()
        with trio.CancelScope() as scope, trio.fail_after(HANG_GUARD):
            instrument = CancelAtStep(scope, k)
            trio.lowlevel.add_instrument(instrument)
            try:
                await operation(db)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        if fresh:
            await busy.__aexit__(None, None, None)
        await at_rest(db)
        if not scope.cancel_called:
            break
    record_property("steps", k - 1)
    print(f"{operation.__name__}, fresh={fresh}: cancelled at each of {k - 1} steps")
    assert k > 3
    assert await db.execute("TRUNCATE u", timeout=5) == "TRUNCATE TABLE"
    await server_connections(db)


async def test_a_cancelled_statement_ends_on_the_server_too(db: Db) -> None:
    with trio.move_on_after(0.1):
        await db.execute("SELECT pg_sleep(60)")
    await count_becomes(
        db, 0, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"
    )
    assert (await db.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")) == 0
