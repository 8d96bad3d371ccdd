"""What must hold after every operation, however it ended."""

import trio

from photochanger.db.facade import Db

HANG_GUARD = 30.0


async def at_rest(db: Db) -> None:
    """Wait until every connection is idle and every room is free; fails when that never comes."""
    with trio.move_on_after(HANG_GUARD):
        while True:
            state = db.pool_state
            assert state is not None
            if state.leased == state.mending == state.waiting == 0 and state.open == state.idle:
                return
            await trio.sleep(0.01)
    raise AssertionError(f"the pool does not come to rest: {db.pool_state}")


async def server_connections(db: Db) -> None:
    """Wait until PostgreSQL itself counts as many connections to this database as the pool knows of."""
    count = known = -1
    with trio.move_on_after(HANG_GUARD):
        while True:
            count = await db.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            state = db.pool_state
            assert state is not None
            known = state.open
            if count == known <= state.size:
                return
            await trio.sleep(0.02)
    raise AssertionError(f"PostgreSQL has {count} connections, the pool knows of {known}")


async def count_becomes(db: Db, expected: int, sql: str) -> None:
    """Ask `sql` (over a settling connection) until it answers `expected`."""
    count = None
    with trio.move_on_after(HANG_GUARD):
        while True:
            count = await db.fetchval(sql, settling=True)
            if count == expected:
                return
            await trio.sleep(0.02)
    raise AssertionError(f"{count} instead of {expected}: {sql}")
