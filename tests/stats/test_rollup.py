"""Everything that ended is counted exactly once, whatever the order in which it came and whoever counts."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from photochanger.db.facade import Db
from photochanger.domain.records import Change
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.stats.rollup import Rollup
from tests.stats.cells import assert_exact
from tests.stats.histories import at_random

LATER = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def rollup(db: Db, *, batch: int = 250, now: datetime = LATER, waiting: int = 0) -> Rollup:
    return Rollup(db, ready=lambda: True, waiting=lambda: waiting, batch=batch, now=lambda: now)


@pytest.fixture
def store(db: Db, tmp_path: Path) -> JobStore:
    return JobStore(db, Journal(tmp_path / "journal"))


async def write(store: JobStore, lives: list[list[Change]]) -> None:
    for life in lives:
        for change in life:
            await store.save(change)


async def test_photos_and_calls_are_counted_once(db: Db, store: JobStore) -> None:
    dice = random.Random(1)
    await write(store, [at_random(dice) for _ in range(60)])
    assert await rollup(db, batch=7).catch_up() == 60
    assert await assert_exact(db) == 60
    assert await rollup(db).catch_up() == 0
    await assert_exact(db)
