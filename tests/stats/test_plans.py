"""How PostgreSQL goes about it: never through history, whatever it believes of the tables."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from photochanger.db.facade import Db
from photochanger.domain.histogram import BOUNDS
from photochanger.stats import queries
from photochanger.stats.counting import count_calls, count_photos, count_told
from photochanger.stats.rollup import Rollup
from tests.lab.bench_stats.fill import add_backlog, fill

NOW = datetime.now(UTC)
SINCE, UNTIL = NOW - timedelta(days=99), NOW
READS: dict[str, tuple[Any, ...]] = {
    queries._LAST_JOBS: (["slot-001", "slot-002"],),
    queries._LAST_ERRORS: (["slot-001", "slot-002"],),
    queries._RECENT: ("slot-001", NOW, NOW - timedelta(hours=72)),
    queries._CELLS: (["slot-001"], "day", SINCE, UNTIL),
    queries._RANGE: ("", "day", SINCE, UNTIL, True),
    queries._TALLY: (["slot-001"], "day", SINCE, UNTIL),
    queries._PROVIDERS: ("", SINCE, UNTIL),
    queries._TESTS: ("", SINCE, UNTIL),
    queries._WORDS: ("", SINCE, UNTIL),
    queries._NAME: ("slot-001",),
    queries._STATE: (),
}


@pytest.fixture
async def filled(db: Db) -> Db:
    """Ninety days of fifteen booths, all counted and analysed, and then some photos of the last hour.

    PostgreSQL still believes that nothing is uncounted: as in a backlog after an outage.
    """

    async def count() -> None:
        await Rollup(db, ready=lambda: False, batch=5_000).catch_up()

    await fill(db, 5_000, count, lambda _text: None)
    await add_backlog(db, 1_000)
    return db


async def plan(db: Db, sql: str, *args: Any, small: bool = False) -> str:
    """How PostgreSQL goes about it. `small`: these tables are so small that it would rather read them whole."""
    async with db.transaction() as transaction:
        if small:
            await transaction.execute("SET LOCAL enable_seqscan = off")
        return "\n".join(row[0] for row in await transaction.fetch(f"EXPLAIN {sql}", *args))


def reads(text: str, table: str) -> list[str]:
    """How a table is read, each time that it is."""
    return re.findall(rf"->\s+(\w[\w ]*Scan)[^\n]* on {table}\b", text)


async def test_nothing_looks_through_history(filled: Db) -> None:
    for sql, args in READS.items():
        text = await plan(filled, sql, *args, small=True)
        for table in ("job", "attempt", "result"):
            assert "Seq Scan" not in reads(text, table), text
    for statement in (count_photos(250), count_calls(250)):
        text = await plan(filled, statement, SINCE, UNTIL, BOUNDS)
        for table in ("job", "attempt"):
            assert reads(text, table)
            assert "Seq Scan" not in reads(text, table), text
    for sql, args, index in (
        (queries._LAST_ERRORS, READS[queries._LAST_ERRORS], "ix_job_failed_live"),
        (count_told(25), (UNTIL,), "ix_job_unfinished"),
    ):
        assert index in await plan(filled, sql, *args, small=True)
    text = await plan(filled, count_photos(250), SINCE, UNTIL, BOUNDS)
    assert "ix_job_unrolled" in text
    assert "ix_attempt_unrolled" not in text, text
