"""The counts of failed logins, in PostgreSQL."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from photochanger.accounts.audit import Audit
from photochanger.accounts.credentials import AccountBook
from photochanger.accounts.login import Logins
from photochanger.accounts.throttle import ACCOUNT_TRIES, ADDRESS_TRIES, Throttle, Try
from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, Refusal

KEY = 32 * b"k"
HOME = "203.0.113.7"


@pytest.fixture
async def throttle(db: Db) -> Throttle:
    return Throttle(db, KEY)


async def locked(reserve: Callable[[], Awaitable[Try]]) -> int:
    """The seconds that are left of a lock."""
    with pytest.raises(Refusal) as raised:
        await reserve()
    assert raised.value.reason is Reason.LOGIN_LOCKED
    assert raised.value.retry_after is not None
    return raised.value.retry_after


async def later(db: Db, seconds: float) -> None:
    """As if so much time had passed."""
    await db.execute(
        "UPDATE login_throttle SET last_at = last_at - make_interval(secs => $1), "
        "locked_until = locked_until - make_interval(secs => $1), "
        "tries = ARRAY(SELECT at - make_interval(secs => $1) FROM unnest(tries) AS at)",
        seconds,
    )


async def test_five_within_a_quarter_of_an_hour(db: Db, throttle: Throttle) -> None:
    async def reserve() -> Try:
        return await throttle.reserve("serg", HOME)

    for number in range(1, ACCOUNT_TRIES + 1):
        assert (await reserve()).account_locked is (number == ACCOUNT_TRIES)
    assert await locked(reserve) == 900
    await later(db, 899.0)
    assert await locked(reserve) == 1
    await later(db, 1.0)
    assert not (await reserve()).account_locked


async def test_a_sliding_quarter(db: Db, throttle: Throttle) -> None:
    """Any five within 15 minutes lock; failures that are older do not count, however many there were."""
    for _ in range(8):
        await throttle.reserve("serg", HOME)
        await later(db, 226.0)  # four times in a quarter of an hour, for half an hour
    await later(db, 674.0)
    for number in range(4):
        assert not (await throttle.reserve("serg", HOME)).account_locked, number
    await later(db, 899.0)
    # Four at the end of one quarter and one at the beginning of the next are five within 15 minutes.
    assert (await throttle.reserve("serg", HOME)).account_locked


async def test_names_are_counted_apart_and_exactly(throttle: Throttle) -> None:
    for _ in range(ACCOUNT_TRIES):
        await throttle.reserve("serg", HOME)
    for other in ("Serg", "serg ", "igor", "\udcff", "ё" * 64):
        await throttle.reserve(other, HOME)
    assert await locked(lambda: throttle.reserve("serg", "203.0.113.8")) == 900


async def test_a_table_that_is_read_tells_no_names(db: Db, throttle: Throttle) -> None:
    await throttle.reserve("hunter2", HOME)
    rows = await db.fetch("SELECT to_jsonb(login_throttle)::text AS row FROM login_throttle")
    assert not any("hunter2" in row["row"] for row in rows)
    assert throttle.counted_name("hunter2") != Throttle(db, 32 * b"o").counted_name("hunter2")


async def test_parallel_tries_of_many_processes(db: Db, throttle: Throttle) -> None:
    results: list[bool] = []

    async def one(number: int) -> None:
        try:
            await Throttle(db, KEY).reserve("serg", f"203.0.113.{number}")
            results.append(True)
        except Refusal:
            results.append(False)

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(one, number)
    assert results.count(True) == ACCOUNT_TRIES


async def test_success_gives_back_its_own_try_only(db: Db, throttle: Throttle) -> None:
    for number in range(ADDRESS_TRIES - 1):
        await throttle.reserve(f"name-{number}", HOME)
    # The thirtieth locks for the moment, and is right: the lock goes with it.
    held = await throttle.reserve("serg", HOME)
    assert held.address_locked
    await throttle.give_back(held)
    held = await throttle.reserve("serg", HOME)
    # Meanwhile somebody else at this address has locked it: that lock stays.
    await db.execute("UPDATE login_throttle SET locked_until = now() + interval '1 min' WHERE scope = 'address'")
    await throttle.give_back(held)
    assert await locked(lambda: throttle.reserve("serg", HOME)) == 60
    assert await db.fetchval("SELECT cardinality(tries) FROM login_throttle WHERE scope = 'address'") == 29


async def test_a_locked_address_counts_no_account(db: Db, throttle: Throttle) -> None:
    for number in range(ADDRESS_TRIES):
        await throttle.reserve(f"name-{number}", HOME)
    for _ in range(ACCOUNT_TRIES):
        await locked(lambda: throttle.reserve("serg", HOME))
    assert not (await throttle.reserve("serg", "203.0.113.8")).account_locked
    name = throttle.counted_name("serg")
    assert await db.fetchval("SELECT cardinality(tries) FROM login_throttle WHERE name = $1", name) == 1


async def test_a_row_stays_small(db: Db, throttle: Throttle) -> None:
    for _ in range(12):
        await throttle.reserve("serg", HOME)
        await later(db, 901.0)
    assert await db.fetchval("SELECT max(cardinality(tries)) FROM login_throttle") == 1


async def test_without_the_database_nobody_is_let_in(db: Db, throttle: Throttle, tmp_path: Path) -> None:
    logins = Logins(AccountBook(tmp_path), throttle, Audit(db))
    db.disconnect("pulled")
    with pytest.raises(DatabaseUnavailable):
        await logins.log_in("serg", "x", HOME)
    assert logins._turns == {}
    assert logins._under_way == 0
