"""`Db` in good weather, and what it says in bad."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import trio

from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.target import Target
from photochanger.errors import DatabaseUnavailable
from tests.db.rest import HANG_GUARD, at_rest, count_becomes, server_connections


async def test_values_go_in_and_come_out(db: Db) -> None:
    now, key = datetime.now(UTC), uuid4()
    document = {"ключ": [1, 2.5, None, True, "é"], "пусто": {}}
    row = await db.fetchrow(
        "SELECT $1::uuid AS a, $2::timestamptz AS b, $3::jsonb AS c, $4::bytea AS d", key, now, document, b"\0x"
    )
    assert row is not None
    assert (row["a"], row["b"], row["c"], row["d"]) == (key, now, document, b"\0x")
    assert row["b"].utcoffset() == timedelta(0)


async def test_every_kind_of_statement(db: Db) -> None:
    await db.execute("CREATE TABLE t (a int PRIMARY KEY)")
    assert await db.execute("INSERT INTO t VALUES ($1)", 1) == "INSERT 0 1"
    await db.executemany("INSERT INTO t VALUES ($1)", [(2,), (3,)])
    assert [row["a"] for row in await db.fetch("SELECT a FROM t ORDER BY a")] == [1, 2, 3]
    assert await db.fetchval("SELECT max(a) FROM t") == 3
    assert await db.fetchrow("SELECT a FROM t WHERE a = 9") is None
    async with db.transaction() as transaction:
        await transaction.executemany("INSERT INTO t VALUES ($1)", [(4,)])
        assert await transaction.execute("DELETE FROM t WHERE a = 1") == "DELETE 1"
        assert await transaction.fetchval("SELECT count(*) FROM t") == 3
        assert (await transaction.fetchrow("SELECT 1 AS one"))["one"] == 1  # type: ignore[index]
        assert len(await transaction.fetch("SELECT a FROM t")) == 3
    assert await db.fetchval("SELECT count(*) FROM t") == 3
    await at_rest(db)


async def test_a_real_answer_is_no_outage(db: Db) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await db.execute("INSERT INTO slot (id, provider, operation) VALUES ('slot-001', 'x', 'x')")
    with pytest.raises(asyncpg.UndefinedTableError):
        await db.fetch("SELECT * FROM no_such_table")
    with pytest.raises(asyncpg.InterfaceError):  # a wrong call: a bug must not look like an outage
        await db.fetch("SELECT $1::int", 1, 2)
    with pytest.raises(asyncpg.DataError):
        await db.fetch("SELECT $1::int", "x")
    await at_rest(db)
    state = db.pool_state
    assert state is not None
    assert state.open == 1  # the one connection survived all that


async def test_a_transaction_that_raises_leaves_nothing(db: Db) -> None:
    with pytest.raises(ValueError, match="mine"):  # noqa: PT012 - the block is what is tested
        async with db.transaction() as transaction:
            await transaction.execute("DELETE FROM slot")
            raise ValueError("mine")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as transaction:
            await transaction.execute("UPDATE slot SET id = 'slot-002' WHERE id = 'slot-001'")
    assert await db.fetchval("SELECT count(*) FROM slot") == 15
    await at_rest(db)


async def test_a_forgotten_begin_does_not_leak_into_the_next_user(db: Db) -> None:
    await db.execute("BEGIN")
    await at_rest(db)
    assert await db.execute("CREATE TABLE mine ()") == "CREATE TABLE"
    async with db.transaction(settling=True) as other, db.transaction(settling=True) as another:
        assert await other.fetchval("SELECT to_regclass('mine')"), "the table was made in a stranger's transaction"
        assert await another.fetchval("SELECT to_regclass('mine')")


async def test_not_connected_fails_at_once_and_says_why(postgres_url: str) -> None:
    async with open_loop() as loop:
        db = Db(loop)
        assert not Db(loop).state.available
        for ask in (db.fetch, db.fetchrow, db.fetchval, db.execute):
            with pytest.raises(DatabaseUnavailable, match="not connected yet"):
                await ask("SELECT 1")
        await db.connect(Target.of(postgres_url))
        assert db.state.available
        db.disconnect("gone fishing")
        state = db.state
        assert (state.available, state.reason) == (False, "gone fishing")
        with pytest.raises(DatabaseUnavailable, match="gone fishing"):
            async with db.transaction():
                raise AssertionError("must not be entered")
        with pytest.raises(DatabaseUnavailable, match="gone fishing"):
            async with db.listen("x"):
                raise AssertionError("must not be entered")


async def test_no_password_in_any_failure(postgres_url: str) -> None:
    target = Target.of("postgresql://user:geheim@127.0.0.1:1/nothing")
    async with open_loop() as loop:
        db = Db(loop)
        with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/nothing") as caught:
            await db.connect(target)
        assert "geheim" not in str(caught.value) + repr(target)
        assert not db.state.available


async def test_ordinary_users_never_take_the_reserved_connections(db: Db) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(db.execute, "SELECT pg_sleep(60)")
        await count_becomes(db, 8, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'")
        state = db.pool_state
        assert state is not None
        assert (state.leased, state.waiting) == (8, 12)
        async with db.transaction(settling=True) as one, db.transaction(settling=True) as two:
            assert await one.fetchval("SELECT 1") == await two.fetchval("SELECT 1") == 1
            with trio.move_on_after(0.1) as scope:
                await db.fetchval("SELECT 1", settling=True)  # an eleventh
            assert scope.cancelled_caught
        nursery.cancel_scope.cancel()
    await at_rest(db)
    await server_connections(db)


async def test_an_operation_is_bounded(db: Db) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"no answer within 0\.1 s"):
        await db.execute("SELECT pg_sleep(60)", timeout=0.1)
    async with db.transaction(timeout=2) as transaction:
        with pytest.raises(DatabaseUnavailable):
            await transaction.execute("SELECT pg_sleep(60)")
        with pytest.raises(asyncpg.InFailedSQLTransactionError):
            await transaction.execute("SELECT 1")
    await at_rest(db)


async def test_disconnecting_frees_everybody(db: Db, postgres_url: str) -> None:
    outcomes: list[str] = []

    async def operation() -> None:
        with pytest.raises(DatabaseUnavailable) as caught:
            await db.execute("SELECT pg_sleep(60)")
        outcomes.append(str(caught.value))

    async def inside_a_transaction() -> None:
        with pytest.raises(DatabaseUnavailable):
            async with db.transaction() as transaction:
                await transaction.execute("SELECT pg_sleep(60)")
        outcomes.append("transaction")

    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            for _ in range(12):
                nursery.start_soon(operation)
            nursery.start_soon(inside_a_transaction)
            await trio.sleep(0.2)
            db.disconnect("maintenance")
    assert outcomes.count("maintenance") == 12
    assert "transaction" in outcomes
    await db.connect(Target.of(postgres_url))
    await server_connections(db)


async def test_a_task_from_outside_the_loops_block_may_use_it(postgres_url: str) -> None:
    """The tree's tasks are not children of the block that opened the loop."""
    ready, done = trio.Event(), trio.Event()
    opened: list[Db] = []

    async def holder() -> None:
        async with open_loop() as loop:
            opened.append(Db(loop))
            ready.set()
            await done.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
        await ready.wait()
        (db,) = opened
        await db.connect(Target.of(postgres_url))
        async with db.transaction() as transaction:
            assert await transaction.fetchval("SELECT 1") == 1
        db.disconnect("done")
        done.set()


async def test_listening(db: Db) -> None:
    async with db.listen("news") as news:
        await db.execute("NOTIFY news, 'one'")
        await db.execute("NOTIFY other, 'not ours'")
        await db.execute("SELECT pg_notify('news', 'two')")
        with trio.fail_after(HANG_GUARD):
            assert [await news.receive(), await news.receive()] == ["one", "two"]
    await server_connections(db)


async def test_a_listener_that_does_not_read_loses_hints_not_memory(db: Db) -> None:
    async with db.listen("news", buffer=2) as news:
        for number in range(5):
            await db.execute("SELECT pg_notify('news', $1)", str(number))
        with trio.fail_after(HANG_GUARD):
            assert [await news.receive(), await news.receive()] == ["0", "1"]
            await db.execute("SELECT pg_notify('news', 'late')")
            assert await news.receive() == "late"


@pytest.mark.parametrize("end", ["backend", "disconnect"])
async def test_a_lost_listening_connection_closes_the_channel(db: Db, end: str) -> None:
    async with db.listen("news") as news:
        if end == "backend":
            await db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        else:
            db.disconnect("over")
        with trio.fail_after(HANG_GUARD), pytest.raises(trio.EndOfChannel):
            await news.receive()


async def test_a_change_of_slots_or_settings_is_notified(db: Db) -> None:
    statements: list[tuple[str, tuple[Any, ...]]] = [
        ("UPDATE slot SET permits = 3 WHERE id = 'slot-001'", ()),
        ("INSERT INTO settings (key, value) VALUES ('t', $1)", (1,)),
        ("DELETE FROM settings", ()),
    ]
    async with db.listen("photochanger_settings") as changes:
        for statement, args in statements:
            await db.execute(statement, *args)
        with trio.fail_after(HANG_GUARD):
            heard = [await changes.receive() for _ in statements]
    assert heard == ["public.slot", "public.settings", "public.settings"]


async def test_an_error_that_belongs_to_nobody_does_not_end_the_loop(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise RuntimeError("a callback of a lost connection")

    db._loop.call_soon(broken)
    for _ in range(3):
        assert await db.fetchval("SELECT 1") == 1
    assert "a callback of a lost connection" in caplog.text
