"""The statistics' bench measures what it says: its history fits the tables, and its bounds can be missed."""

import math
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from photochanger.db.facade import Db
from photochanger.stats.counting import HOUSE
from tests.lab.bench_stats.ask import Times
from tests.lab.bench_stats.bounds import FLAT, FLAT_TO_BARE, TO_BARE, Verdict, growth, ratios
from tests.lab.bench_stats.counting import count_all
from tests.lab.bench_stats.fill import DAYS, REFUSALS, add_backlog, fill

CALLS = 3_000
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
"""Yesterday's: history that ends there is the same at any time of the day."""


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([5.0], 1.0),
        ([5.0, 5.0], 1.0),
        ([4.0, 6.0], 1.5),
        ([9.0, 4.0, 3.0], 1.0),
        ([9.0, 4.0, 8.0], 2.0),  # a slow first one hides nothing
        ([4.0, 8.0, 3.0, 5.0], 2.0),
    ],
)
def test_what_grows_is_seen_against_the_best_before_it(values: list[float], wanted: float) -> None:
    assert math.isclose(growth(values), wanted)


def test_ratios_are_of_p95_and_of_the_bare_route_beside_it() -> None:
    found = ratios([Times(1.0, 10.0, 5.0), Times(1.0, 12.0, 3.0)])
    assert {name: round(ratio, 6) for name, ratio in found.items()} == {FLAT: 1.2, FLAT_TO_BARE: 2.0, TO_BARE: 4.0}


@pytest.mark.parametrize(
    ("figure", "at_least", "holds"),
    [(9.9, False, True), (10.0, False, True), (10.01, False, False), (9.9, True, False), (10.0, True, True)],
)
def test_a_bound_can_be_missed(figure: float, at_least: bool, holds: bool) -> None:
    verdict = Verdict("it", figure, 10.0, "here", at_least=at_least)
    assert verdict.holds is holds
    assert ("MISSED" in str(verdict)) is not holds


async def test_the_history_is_counted_whole_and_has_all_that_answers_read(db: Db) -> None:
    said: list[str] = []
    await fill(db, CALLS, partial(count_all, db, said.append), said.append, NOON)

    calls = await db.fetchval("SELECT count(*) FROM attempt")
    assert abs(calls - CALLS) < CALLS / 20
    photos = await db.fetchval("SELECT count(*) FROM job WHERE source = 'ingest'")
    counted = "SELECT coalesce(sum(jobs), 0)::bigint FROM stats_slot WHERE span = 'day' AND source = 'ingest' AND "
    assert await db.fetchval(counted + "slot_id = $1", HOUSE) == photos
    assert await db.fetchval(counted + "slot_id <> $1", HOUSE) == photos
    assert await db.fetchval("SELECT count(*) FROM job WHERE rolled_at IS NULL") == 0

    days = "SELECT count(DISTINCT at) FROM stats_slot WHERE slot_id = $1 AND span = 'day'"
    assert await db.fetchval(days, HOUSE) == DAYS
    today = "SELECT count(*) FROM stats_slot WHERE span = 'day' AND at = date_trunc('day', $1::timestamptz, 'UTC')"
    assert await db.fetchval(today, NOON) > 1, "slots would be asked for an empty day"
    refused = await db.fetch("SELECT DISTINCT name FROM stats_tally WHERE subject = 'refusal' AND slot_id = $1", HOUSE)
    assert {row["name"] for row in refused} >= set(REFUSALS)
    failed = "SELECT count(DISTINCT provider_error_code) FROM attempt"
    assert await db.fetchval(failed) >= 3
    assert await db.fetchval("SELECT count(*) FROM result WHERE expires_at > now()") > 0


async def test_a_backlog_waits_to_be_counted(db: Db) -> None:
    await add_backlog(db, 50)
    assert await db.fetchval("SELECT count(*) FROM job WHERE rolled_at IS NULL AND finished_at IS NOT NULL") == 50
