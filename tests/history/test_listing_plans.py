"""What a page of the list costs: never more than the rows that one page may look at, whatever is asked for."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, Source
from photochanger.domain.reasons import Reason
from photochanger.history import listing
from photochanger.history.listing import FEW, SCAN, JobsQuery, list_jobs

ROWS = 30_000
"""Several times what a page may look at."""
START = datetime(2026, 1, 1, tzinfo=UTC)
WIDTH = 20
"""Rows of an index page and more: what is read to find where to begin."""

# One job in a hundred fails, one in a thousand is a test; every photo has a name of its own, one in three begins alike.
_FILL = """
INSERT INTO job (id, slot_id, slot_version, source, status, failure_reason, provider, deadline, settle_by,
                 request_bytes, request_sha256, photo_name, created_at, finished_at)
SELECT gen_random_uuid(), 'slot-' || lpad((1 + n % 15)::text, 3, '0'), 1,
       CASE WHEN n % 1000 = 7 THEN 'ui_test' ELSE 'ingest' END,
       CASE WHEN n % 100 = 3 THEN 'failed' ELSE 'done' END,
       CASE WHEN n % 100 = 3 THEN 'provider_refused' END,
       CASE WHEN n % 10 = 1 THEN 'turbotext' ELSE 'gemini' END, at, at, 1, '\\x00',
       CASE WHEN n % 3 = 0 THEN 'IMG_' ELSE 'DSC' END || n || '.JPG', at, at
FROM (SELECT n, $2::timestamptz + n * interval '1 minute' AS at FROM generate_series(1, $1) AS n) AS made
"""


class Watched(Db):
    """Explains what it fetches: `read` are the rows of `job` that were looked at, `seen` the nodes that did it."""

    def __init__(self, db: Db) -> None:
        self.__dict__ = db.__dict__
        self.read = 0
        self.seen: set[str] = set()

    async def fetch(self, sql: str, *args: Any, **options: Any) -> list[Any]:
        await self._explain(sql, args)
        return await super().fetch(sql, *args, **options)

    async def fetchval(self, sql: str, *args: Any, **options: Any) -> Any:
        await self._explain(sql, args)
        return await super().fetchval(sql, *args, **options)

    async def _explain(self, sql: str, args: tuple[Any, ...]) -> None:
        plan = await super().fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args)
        for node in nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]):
            if node.get("Relation Name") == "job" or node.get("Index Name", "").startswith("ix_job"):
                self.seen.add(node["Node Type"])
                removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
                self.read = max(self.read, (node["Actual Rows"] + removed) * node["Actual Loops"])


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


@pytest.fixture
async def filled(db: Db) -> Watched:
    await db.execute(_FILL, ROWS, START, timeout=120)
    await db.execute("ANALYZE job", timeout=120)
    return Watched(db)


def questions() -> list[JobsQuery]:
    """Combinations of filters, with values that are common, rare and not there at all: every value, and then some."""
    middle = START + timedelta(minutes=ROWS // 2)
    values: dict[str, list[Any]] = {
        "slot": ["slot-001", "slot-404"],
        "status": [JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PROCESSING],
        "reason": [Reason.PROVIDER_REFUSED, Reason.CANCELLED],
        "source": [Source.UI_TEST, Source.CANARY],
        "provider": ["turbotext", "nobody"],
        "photo": ["img_4200", "img", "nobody"],
        "since": [middle],
        "until": [middle],
    }
    single = [{name: value} for name, found in values.items() for value in found]
    pairs = [one | other for one, other in itertools.combinations(single, 2) if not one.keys() & other.keys()]
    triples = [pair | one for pair in pairs for one in single if not pair.keys() & one.keys()]
    chosen = random.Random(7).sample(pairs, 60) + random.Random(7).sample(triples, 60)
    return [JobsQuery(**each) for each in [{}, *single, *chosen]]


async def test_no_combination_reads_more_than_a_page_may(filled: Watched) -> None:
    for query in questions():
        filled.read, filled.seen = 0, set()
        page = await list_jobs(filled, query)
        assert filled.read <= max(SCAN, FEW) + WIDTH, (query, filled.read, filled.seen)
        assert "Seq Scan" not in filled.seen, (query, filled.seen)
        assert len(page.rows) <= query.limit


async def test_pages_lead_through_all_that_fits_and_nothing_else(filled: Watched) -> None:
    """Sparse, so that many pages are short; and with equal times, where the ids decide."""
    await filled.execute("UPDATE job SET created_at = date_trunc('day', created_at) WHERE source = 'ui_test'")
    query = JobsQuery(source=Source.UI_TEST, limit=7)
    found, pages = [], 0
    while True:
        page = await list_jobs(filled, query)
        found += [row["id"] for row in page.rows]
        pages += 1
        if page.next is None:
            break
        query.cursor = page.next
    wanted = await filled.fetch("SELECT id FROM job WHERE source = 'ui_test' ORDER BY created_at DESC, id DESC")
    assert found == [row["id"] for row in wanted]
    assert len(found) == ROWS // 1000
    assert pages >= ROWS // SCAN


async def test_a_page_that_is_full_where_it_may_look_no_further_loses_nothing(
    filled: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [(12, None), (12, JobStatus.DONE), (150, JobStatus.FAILED)]
    for scan, (rows, status) in itertools.product([1, 2, 3, 4], asked):
        monkeypatch.setattr(listing, "SCAN", scan)
        query = JobsQuery(since=START + timedelta(minutes=ROWS - rows), status=status, limit=2)
        found: list[Any] = []
        for _ in range(rows + 2):
            page = await list_jobs(filled, query)
            found += [row["id"] for row in page.rows]
            query.cursor = page.next
            if page.next is None:
                break
        wanted = await filled.fetch(
            "SELECT id FROM job WHERE created_at >= $1 AND status = coalesce($2, status) ORDER BY created_at DESC",
            query.since,
            status,
        )
        assert found == [row["id"] for row in wanted], (scan, rows, status)
