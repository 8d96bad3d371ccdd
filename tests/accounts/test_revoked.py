"""Tokens that were given back: known at once here, soon elsewhere, and as long as they could be used."""

from uuid import uuid4

import trio

from photochanger.accounts.revoked import RevokedTokens
from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.web.guard import Identity
from tests.lab.waiting import until

NOW = 1_800_000_000


def somebody(expires_at: int = NOW + 60) -> Identity:
    return Identity("serg", frozenset(), uuid4(), expires_at)


def book(db: Db, now: float = NOW) -> RevokedTokens:
    return RevokedTokens(db, clock=lambda: now)


async def test_known_here_at_once_and_elsewhere_after_a_look(db: Db) -> None:
    here, elsewhere, who = book(db), book(db), somebody()
    await here.revoke(who)
    await here.revoke(who)
    assert who.token_id in here
    assert somebody().token_id not in here
    assert who.token_id not in elsewhere
    await elsewhere.refresh()
    assert who.token_id in elsewhere
    assert await db.fetchval("SELECT count(*) FROM revoked_token") == 1


async def test_another_process_hears_of_it(db: Db) -> None:
    here, elsewhere, who = book(db), book(db), somebody()
    async with trio.open_nursery() as nursery:
        await nursery.start(elsewhere.run)
        await here.revoke(who)
        await until(lambda: who.token_id in elsewhere)
        nursery.cancel_scope.cancel()


async def test_an_expired_one_is_forgotten(db: Db) -> None:
    short, long = somebody(NOW + 10), somebody(NOW + 100)
    before = book(db)
    await before.revoke(short)
    await before.revoke(long)
    after = book(db, NOW + 11)
    await after.refresh()
    assert (short.token_id in after, long.token_id in after, len(after)) == (False, True, 1)
    await after.sweep()
    assert [row["jti"] for row in await db.fetch("SELECT jti FROM revoked_token")] == [long.token_id]


async def test_memory_forgets_too(db: Db) -> None:
    now = [float(NOW)]
    here = RevokedTokens(db, clock=lambda: now[0])
    await here.revoke(somebody())
    now[0] += 61
    await here.refresh()
    assert len(here) == 0


async def test_an_older_look_takes_nothing_back(db: Db) -> None:
    """What was revoked while the rows were being read stays revoked."""
    here, who = book(db), somebody()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(here.refresh)
        await trio.lowlevel.checkpoint()
        await here.revoke(who)
        assert who.token_id in here
    assert who.token_id in here


async def test_while_the_database_is_away(db: Db, postgres_url: str) -> None:
    here, who = book(db), somebody()
    db.disconnect("pulled")
    await here.revoke(who)
    assert who.token_id in here
    await db.connect(Target.of(postgres_url))
    elsewhere = book(db)
    await elsewhere.refresh()
    assert who.token_id not in elsewhere
    await here.refresh()
    await elsewhere.refresh()
    assert who.token_id in elsewhere
