"""Nonces: good once, in every process and over restarts, with PostgreSQL there, slow, or away."""

from datetime import UTC, datetime

import pytest
import trio
from trio.testing import MockClock

from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, Refusal
from photochanger.ingest import nonces as module
from photochanger.ingest.nonces import LIFE, SWEEP, Nonces

NOW = 1_763_000_000.0


class Clock:
    """Unix time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def stored(db: Db) -> list[str]:
    return [row["nonce"] for row in await db.fetch("SELECT nonce FROM nonce ORDER BY nonce")]


async def unavailable(nonces: Nonces, nonce: str, expires_at: float) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await nonces.use("slot-001", nonce, expires_at)
    return caught.value


async def test_a_nonce_is_good_once_per_slot(db: Db, clock: Clock) -> None:
    nonces = Nonces(db, clock=clock)
    assert not nonces.seen("slot-001", "a")
    assert await nonces.use("slot-001", "a", NOW + 420)
    assert nonces.seen("slot-001", "a")
    assert not await nonces.use("slot-001", "a", NOW + 420)
    assert await nonces.use("slot-002", "a", NOW + 420)
    [row] = await db.fetch("SELECT * FROM nonce WHERE slot_id = 'slot-001'")
    assert tuple(row) == ("slot-001", "a", datetime.fromtimestamp(NOW + 420, UTC))


async def test_other_processes_and_the_next_start_know_it_too(db: Db, clock: Clock) -> None:
    assert await Nonces(db, clock=clock).use("slot-001", "a", NOW + 420)
    assert not await Nonces(db, clock=clock).use("slot-001", "a", NOW + 420)


async def test_of_many_at_once_one_is_first(db: Db, clock: Clock) -> None:
    processes = [Nonces(db, clock=clock) for _ in range(4)]
    outcomes: list[bool] = []

    async def use(nonces: Nonces) -> None:
        outcomes.append(await nonces.use("slot-001", "a", NOW + 420))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(use, processes[number % 4])
    assert sorted(outcomes) == [False] * 19 + [True]


async def test_without_postgresql_a_young_process_lets_nobody_in(clock: Clock) -> None:
    nonces = Nonces(Db(None), clock=clock)
    clock.now += LIFE - 1
    refusal = await unavailable(nonces, "a", clock.now + 420)
    assert (refusal.reason, refusal.retry_after) == (Reason.DATABASE_UNAVAILABLE, 5)
    clock.now += 1
    assert await nonces.use("slot-001", "b", clock.now + 420)
    assert not await nonces.use("slot-001", "b", clock.now + 420)


async def test_what_was_let_in_meanwhile_is_written_later(db: Db, postgres_url: str, clock: Clock) -> None:
    nonces = Nonces(db, clock=clock)
    clock.now += LIFE
    db.disconnect("gone")
    assert await nonces.use("slot-001", "a", clock.now + 420)
    with pytest.raises(DatabaseUnavailable):
        await nonces.sweep()
    await db.connect(Target.of(postgres_url))
    await nonces.sweep()
    assert await stored(db) == ["a"]
    assert not await Nonces(db, clock=clock).use("slot-001", "a", clock.now + 420)
    await db.execute("DELETE FROM nonce")
    await nonces.sweep()
    assert await stored(db) == []  # written once, not with every round


async def test_a_postgresql_that_does_not_answer_holds_a_booth_up_for_half_a_second(db: Db, clock: Clock) -> None:
    nonces = Nonces(db, clock=clock)
    clock.now += LIFE
    async with db.transaction() as transaction:
        await transaction.execute("LOCK TABLE nonce IN ACCESS EXCLUSIVE MODE")
        with trio.fail_after(20):
            assert await nonces.use("slot-001", "a", clock.now + 420)
        assert not await nonces.use("slot-001", "a", clock.now + 420)
    await nonces.sweep()
    assert await stored(db) == ["a"]


async def test_memory_that_had_to_forget_cannot_vouch_for_anything(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CAPACITY", 3)
    nonces = Nonces(Db(None), clock=clock)
    clock.now += LIFE
    for number in range(3):
        assert await nonces.use("slot-001", str(number), clock.now + 100 + number)
    assert (await unavailable(nonces, "3", clock.now + 420)).reason is Reason.DATABASE_UNAVAILABLE
    assert not nonces.seen("slot-001", "0")
    await unavailable(nonces, "0", clock.now + 420)  # it was used, and only a PostgreSQL could have told
    clock.now += 420
    with pytest.raises(DatabaseUnavailable):
        await nonces.sweep()
    assert await nonces.use("slot-001", "4", clock.now + 420)


async def test_what_has_expired_is_forgotten_and_nothing_else(db: Db, clock: Clock) -> None:
    nonces = Nonces(db, clock=clock)
    await nonces.use("slot-001", "old", NOW + 10)
    await nonces.use("slot-001", "young", NOW + 420)
    clock.now += 11
    await nonces.sweep()
    assert await stored(db) == ["young"]
    assert not nonces.seen("slot-001", "old")
    assert nonces.seen("slot-001", "young")


async def test_the_child_sweeps(db: Db, clock: Clock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP", 0.01)
    nonces = Nonces(db, clock=clock)
    await nonces.use("slot-001", "old", NOW - 1)
    await nursery.start(nonces.run)
    with trio.fail_after(60):
        while await stored(db):  # noqa: ASYNC110 # a row has no event
            await trio.sleep(0.01)
    nursery.cancel_scope.cancel()


async def test_the_child_lives_on_while_postgresql_is_away(clock: Clock, autojump_clock: MockClock) -> None:
    nonces = Nonces(Db(None), clock=clock)
    clock.now += LIFE
    assert await nonces.use("slot-001", "a", clock.now + 420)
    clock.now += 421
    async with trio.open_nursery() as nursery:
        await nursery.start(nonces.run)
        await trio.sleep(SWEEP * 3 + 1)
        assert not nonces.seen("slot-001", "a")
        nursery.cancel_scope.cancel()


async def test_who_leaves_while_waiting_has_used_the_nonce_up_and_left_nothing_open(db: Db, clock: Clock) -> None:
    nonces = Nonces(db, clock=clock)
    with trio.CancelScope() as scope:
        scope.cancel()
        await nonces.use("slot-001", "a", NOW + 420)
    assert scope.cancelled_caught
    assert not await nonces.use("slot-001", "a", NOW + 420)
