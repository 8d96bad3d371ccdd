"""What a look at a gallery costs: never more than the jobs that one page may look at, whatever waits for approval."""

from typing import Any
from uuid import UUID

import pytest

from photochanger.db.facade import Db
from photochanger.domain.slot import Slot
from photochanger.gallery.listing import NEWEST, SCAN, Page, Place, desk, galleries, gallery
from photochanger.web.paging import read_cursor
from tests.history.test_listing_plans import Watched

JOBS = 12 * SCAN
"""In six days, every tenth of them failed, and in the busy slot every second: nothing was approved in it yet."""
WIDTH = 100
"""What is read to find where to begin, and what is sorted at once among jobs of one moment."""
BUSY, OPEN = Slot("slot-001", 1, "local", "look", moderated=True), Slot("slot-002", 1, "local", "look")

_FILL = """
WITH made AS (
  INSERT INTO job (id, slot_id, slot_version, source, status, provider, deadline, settle_by, request_bytes,
                   request_sha256, created_at)
  SELECT gen_random_uuid(), 'slot-00' || 1 + n % 2, 1, CASE WHEN n % 100 = 7 THEN 'ui_test' ELSE 'ingest' END,
         CASE WHEN n % 10 = 3 THEN 'failed' ELSE 'done' END, 'local', at, at, 1, '\\x00', at
  FROM (SELECT n, now() - n * interval '6 days' / $1 AS at FROM generate_series(1, $1) AS n) AS moments
  RETURNING id, status, created_at
)
INSERT INTO result (id, job_id, mime, bytes, sha256, width, height, path, created_at, expires_at)
SELECT gen_random_uuid(), id, 'image/jpeg', 1, '\\x00', 1, 1, 'results/' || id, created_at,
       created_at + interval '7 days'
FROM made WHERE status = 'done'
"""


@pytest.fixture
async def filled(db: Db) -> Watched:
    await db.execute(_FILL, JOBS, timeout=120)
    await db.execute("ANALYZE job, result", timeout=120)
    return Watched(db)


async def test_no_look_reads_more_than_a_page_may(filled: Watched) -> None:
    page = await gallery(filled, BUSY, NEWEST, 10)
    assert (page.rows, filled.read <= SCAN + WIDTH, page.meta.next_cursor is None) == ([], True, False), filled.read
    for state in ("approved", "rejected"):
        filled.read = 0
        assert (await desk(filled, BUSY.id, state, NEWEST, 20)).rows == []
        assert filled.read <= SCAN + WIDTH, (state, filled.read)
    filled.read = 0
    assert len((await desk(filled, BUSY.id, "pending", NEWEST, 20)).rows) == 20
    assert filled.read <= WIDTH + 50, filled.read
    filled.read = 0
    assert len((await gallery(filled, OPEN, NEWEST, 10)).rows) == 10
    assert filled.read <= WIDTH + 50, filled.read  # no more than it shows, nearly
    filled.read = 0
    shown = await galleries(filled, [BUSY, OPEN], 10)
    assert {slot: len(rows) for slot, rows in shown.items()} == {BUSY.id: 0, OPEN.id: 10}
    assert filled.read <= SCAN + WIDTH, filled.read
    assert "Seq Scan" not in filled.seen


async def test_pages_lead_to_what_is_approved_far_behind_and_lose_nothing(
    filled: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = await filled.fetch(
        "UPDATE result SET approved_at = now() FROM job WHERE job.id = job_id AND slot_id = $1 AND source = 'ingest' "
        "AND extract(minute FROM job.created_at)::int % 20 = 1 RETURNING job_id, job.created_at",
        BUSY.id,
    )
    wanted = [row["job_id"] for row in sorted(approved, key=lambda row: row["created_at"], reverse=True)]
    assert len(wanted) > 100
    for limit in (1, 7, 50):
        found: list[UUID] = []
        pages = 0
        async for page in pages_of(filled, limit):
            found += [row["job_id"] for row in page.rows]
            assert len(page.rows) <= limit
            pages += 1
        assert found == wanted
    assert pages >= JOBS // 2 // SCAN


async def pages_of(db: Db, limit: int) -> Any:
    after: Place | None = NEWEST
    while after is not None:
        page: Page = await gallery(db, BUSY, after, limit)
        yield page
        after = read_cursor(page.meta.next_cursor, Place)
