"""A server that is killed, restarted or frozen under `Db`: DatabaseUnavailable or cancellation, never a hang."""

import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.pool import MEND_TIMEOUT
from photochanger.db.target import Target
from photochanger.errors import DatabaseUnavailable
from tests.db.conftest import Server
from tests.db.rest import HANG_GUARD, at_rest, count_becomes, server_connections

KILL_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
async def own(server: Server) -> AsyncIterator[Db]:
    """A `Db` on a server that may be ill-treated."""
    async with open_loop() as loop:
        db = Db(loop)
        await db.connect(Target.of(server.url))
        try:
            yield db
        finally:
            db.disconnect("the test is over")


async def _fill(db: Db) -> None:
    """Open every connection that ordinary users can have."""
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(db.execute, "SELECT pg_sleep(0.05)")
    await at_rest(db)


async def test_backends_killed_while_idle_are_not_noticed_by_readers(db: Db, postgres_url: str) -> None:
    await _fill(db)
    for _ in range(5):
        assert await db.fetchval(KILL_OTHERS) > 0
        for _ in range(10):
            assert await db.fetchval("SELECT 1") == 1
        await _fill(db)
    await server_connections(db)


async def test_a_connection_known_to_be_dead_is_never_handed_out(db: Db) -> None:
    """Then a write, which is never repeated, does not meet it either."""
    await _fill(db)
    assert await db.fetchval(KILL_OTHERS, settling=True) == 7
    with trio.fail_after(HANG_GUARD):
        while (state := db.pool_state) is None or state.open > 1:  # noqa: ASYNC110 - until the loop has noticed
            await trio.sleep(0.01)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(db.execute, "INSERT INTO settings (key, value) VALUES (gen_random_uuid(), '1')")
    assert await db.fetchval("SELECT count(*) FROM settings") == 8


async def test_a_read_on_a_connection_that_dies_unseen_is_asked_again(db: Db) -> None:
    """The backend dies when the statement arrives: the connection looked well when it was taken."""
    sequence = "SELECT pg_terminate_backend(pg_backend_pid()) FROM nextval('s') AS n WHERE n = 1"
    await db.execute("CREATE SEQUENCE s")
    assert await db.fetch(sequence) == []  # the second asking finds n = 2
    with pytest.raises(DatabaseUnavailable):  # a statement that may have written is not repeated
        await db.execute(
            "DO $$ BEGIN IF nextval('s') = 3 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; END $$"
        )
    assert await db.fetchval("SELECT nextval('s')") == 4
    await at_rest(db)
    assert await db.fetchval("SELECT 1") == 1


async def test_storm_of_killed_backends(db: Db) -> None:
    """Nothing but DatabaseUnavailable comes out, and the pool is whole afterwards."""
    outcomes = {"done": 0, "unavailable": 0}
    await db.execute("CREATE TABLE t (a int)")

    async def user(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(20):
            try:
                if rng.random() < 0.5:
                    await db.execute("INSERT INTO t SELECT 1 FROM pg_sleep($1)", rng.uniform(0, 0.01))
                else:
                    async with db.transaction() as transaction:
                        await transaction.execute("INSERT INTO t VALUES (2)")
                        await transaction.execute("SELECT pg_sleep($1)", rng.uniform(0, 0.01))
                outcomes["done"] += 1
            except DatabaseUnavailable:
                outcomes["unavailable"] += 1

    async def killer() -> None:
        while True:
            await trio.sleep(0.03)
            await db.fetchval(KILL_OTHERS, settling=True)

    async with trio.open_nursery() as outer:
        outer.start_soon(killer)
        async with trio.open_nursery() as users:
            for seed in range(20):
                users.start_soon(user, seed)
        outer.cancel_scope.cancel()
    print(outcomes)
    assert sum(outcomes.values()) == 400
    assert outcomes["done"]
    assert outcomes["unavailable"]
    await at_rest(db)
    assert await db.fetchval("SELECT count(*) FROM t") >= outcomes["done"]
    await server_connections(db)


async def _in_transaction(db: Db, frozen: Callable[[], None]) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (1)")
        frozen()
        await transaction.fetchval("SELECT 1")


async def _commit(db: Db, frozen: Callable[[], None]) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (1)")
        frozen()


async def _roll_back(db: Db, frozen: Callable[[], None]) -> None:
    async with db.transaction() as transaction:
        await transaction.execute("INSERT INTO t VALUES (1)")
        frozen()
        raise ValueError("rolls back on a frozen server")


async def _statement(db: Db, frozen: Callable[[], None]) -> None:
    frozen()
    await db.fetchval("SELECT 1")


async def _many(db: Db, frozen: Callable[[], None]) -> None:
    frozen()
    await db.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(10_000)])


async def _listen(db: Db, frozen: Callable[[], None]) -> None:
    frozen()
    async with db.listen("x"):
        raise AssertionError("must not be entered")


@pytest.mark.parametrize(
    ("operation", "waves", "rows"),
    [
        (_statement, 3, [0]),  # by the third wave, mending has given up and users connect anew
        (_many, 1, range(0, 80_001, 10_000)),  # what had reached the server may happen afterwards, but whole
        (_in_transaction, 1, [0]),
        (_commit, 1, range(9)),
        (_roll_back, 1, [0]),
        (_listen, 1, [0]),
    ],
)
async def test_frozen_server_a_cancelled_operation_returns_at_once(
    own: Db,
    server: Server,
    operation: Callable[[Db, Callable[[], None]], Awaitable[Any]],
    waves: int,
    rows: Sequence[int],
) -> None:
    """Twenty at a time on ten connections, so some wait for a connection and some for an answer."""
    await own.execute("CREATE TABLE t (a int)")
    await _fill(own)
    overruns: list[float] = []
    frozen = False

    def freeze() -> None:
        nonlocal frozen
        if not frozen:
            server.signal_all(signal.SIGSTOP)
            frozen = True

    async def user() -> None:
        begun = trio.current_time()
        with trio.move_on_at(begun + 0.5) as scope:
            await operation(own, freeze)
        overruns.append(trio.current_time() - begun - 0.5)
        assert scope.cancelled_caught

    with trio.fail_after(HANG_GUARD):
        for wave in range(waves):
            if wave:
                await trio.sleep(MEND_TIMEOUT / 2)
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(user)
    print(f"{operation.__name__}: {len(overruns)} operations, worst overrun {max(overruns) * 1000:.1f} ms")
    assert max(overruns) < 1.0  # a hang would be the 2 s of mending, or for ever

    server.signal_all(signal.SIGCONT)
    await at_rest(own)
    await count_becomes(own, 0, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
    await server_connections(own)
    assert await own.fetchval("SELECT count(*) FROM t") in rows
    assert await own.execute("DROP TABLE t", timeout=5) == "DROP TABLE"  # nobody holds a lock on it


async def test_frozen_server_disconnecting_frees_everybody_and_connecting_gives_up(own: Db, server: Server) -> None:
    await _fill(own)
    freed = 0

    async def user() -> None:
        nonlocal freed
        with pytest.raises(DatabaseUnavailable, match="frozen"):
            await own.fetchval("SELECT 1")
        freed += 1

    server.signal_all(signal.SIGSTOP)
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(user)
            await trio.sleep(0.1)
            own.disconnect("frozen")
        assert freed == 20
        with trio.move_on_after(0.5) as scope:
            await own.connect(Target.of(server.url))
        assert scope.cancelled_caught
    server.signal_all(signal.SIGCONT)
    await own.connect(Target.of(server.url))
    await server_connections(own)


async def test_a_probe_is_not_fooled_by_a_busy_pool_nor_by_one_lost_connection(db: Db) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(_sleep, db, number >= 8)
        await count_becomes_busy(db)
        await db.probe(5)
        await db.probe(5)
        nursery.cancel_scope.cancel()
    await at_rest_but_probe(db)
    await db.fetchval(KILL_OTHERS)
    await db.probe(5)


async def _sleep(db: Db, settling: bool) -> None:
    await db.execute("SELECT pg_sleep(60)", settling=settling)


async def count_becomes_busy(db: Db) -> None:
    with trio.fail_after(HANG_GUARD):
        while True:
            state = db.pool_state
            assert state is not None
            if state.leased == state.size:
                return
            await trio.sleep(0.01)


async def at_rest_but_probe(db: Db) -> None:
    with trio.fail_after(HANG_GUARD):
        while True:
            state = db.pool_state
            assert state is not None
            if state.leased == 0:
                return
            await trio.sleep(0.01)


async def test_a_frozen_server_fails_the_probe(own: Db, server: Server) -> None:
    await own.probe(5)
    server.signal_all(signal.SIGSTOP)
    with trio.fail_after(HANG_GUARD), pytest.raises(DatabaseUnavailable, match=r"no answer within 0\.3 s"):
        await own.probe(0.3)


async def test_the_server_process_is_killed(own: Db, server: Server) -> None:
    """kill -9 of one backend makes PostgreSQL restart all of them: everybody is told, nobody hangs."""
    await _fill(own)
    pid = await own.fetchval("SELECT pg_backend_pid()")
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(_told, own)
        await count_becomes(
            own, 4, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"
        )
        os.kill(pid, signal.SIGKILL)
    with trio.fail_after(HANG_GUARD):
        while True:
            try:
                assert await own.fetchval("SELECT 1") == 1
                break
            except DatabaseUnavailable:
                await trio.sleep(0.05)
    await at_rest(own)


async def _told(db: Db) -> None:
    with pytest.raises(DatabaseUnavailable):
        await db.execute("DO $$ BEGIN PERFORM pg_sleep(60); END $$")
