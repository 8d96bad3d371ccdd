"""History for the bench, made by PostgreSQL itself: photos, calls and pictures of ninety days of fifteen booths."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from photochanger.db.facade import Db

CALLS_PER_PHOTO: Final = 1.15
DAYS: Final = 90

# From 08:00 to 22:00 in Moscow; evenings are busy: the hour is the later one of two that were drawn.
_EVENING: Final = """date_trunc('day', $3::timestamptz - make_interval(days => 1 + floor($4::int * random())::int))
      + make_interval(secs => 3600 * (5 + 14 * greatest(random(), random())))"""
_JUST_NOW: Final = "$3::timestamptz - make_interval(secs => 120 + 3600 * random(), days => 0 * $4::int)"

_PHOTOS: Final = f"""
INSERT INTO job (id, slot_id, slot_version, source, status, failure_reason, reply_kind, reply_status, replied_at,
  provider, deadline, settle_by, retries, request_bytes, request_sha256, photo_name, late, cost_microusd, received_at,
  created_at, started_at, finished_at)
SELECT gen_random_uuid(), slot_id, 1, source,
  CASE WHEN luck < 0.95 THEN 'done' WHEN luck < 0.97 THEN 'timeout' ELSE 'failed' END,
  CASE WHEN luck < 0.95 THEN NULL WHEN luck < 0.97 THEN 'provider_timeout' ELSE 'provider_refused' END,
  CASE WHEN luck < 0.90 THEN 'ai' WHEN luck < 0.94 THEN 'fallback' WHEN luck < 0.95 THEN 'none' ELSE 'error' END,
  CASE WHEN luck < 0.94 THEN 200 WHEN luck < 0.95 THEN NULL WHEN luck < 0.97 THEN 504 ELSE 502 END,
  created + took, 'gemini', created + interval '48 s', created + interval '168 s', 0, 4000000,
  decode(md5(number::text) || md5(number::text), 'hex'), 'DSC' || number || '.JPG', luck BETWEEN 0.94 AND 0.95, 67000,
  created - interval '0.4 s', created, created + interval '0.01 s', created + took
FROM (
  SELECT number, 'slot-' || lpad((1 + number % 15)::text, 3, '0') AS slot_id, random() AS luck,
    CASE WHEN number % 50 = 0 THEN 'ui_test' ELSE 'ingest' END AS source,
    {_EVENING} AS created,
    make_interval(secs => least(exp(2.5 + 0.35 * sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random())), 60)) AS took
  FROM generate_series($1::bigint, $2::bigint) AS number
) AS made
"""

_CALLS: Final = """
INSERT INTO attempt (id, job_id, number, provider, model, outcome, finish_reason, provider_error_code, http_status,
  latency_ms, estimate_microusd, cost_microusd, hedged, begun_at, finished_at)
SELECT gen_random_uuid(), job.id, try, CASE WHEN luck < 0.1 THEN 'turbotext' ELSE 'gemini' END,
  CASE WHEN luck < 0.1 THEN 'turbotext' WHEN luck < 0.3 THEN 'gemini-3-pro-image' ELSE 'gemini-3.1-flash-image' END,
  CASE WHEN try < tries THEN 'no_image' WHEN job.status = 'done' THEN 'picture' WHEN job.status = 'timeout' THEN
    'timeout' ELSE 'refused' END,
  CASE WHEN try < tries THEN 'NO_IMAGE' WHEN job.status = 'done' THEN 'STOP'
    WHEN job.status = 'failed' THEN 'SAFETY' END,
  CASE WHEN job.status = 'timeout' THEN 'DEADLINE_EXCEEDED' END, 200,
  greatest(extract(epoch FROM job.finished_at - job.created_at) * 1000 - 60, 1)::int / tries, 67000, 67000, false,
  job.created_at + interval '0.02 s', job.finished_at
FROM (SELECT *, random() AS luck, CASE WHEN random() < 0.15 THEN 2 ELSE 1 END AS tries FROM job
      WHERE rolled_at IS NULL) AS job
  CROSS JOIN LATERAL generate_series(1, tries) AS try
"""

_PICTURES: Final = """
INSERT INTO result (id, job_id, mime, bytes, sha256, width, height, path, created_at, expires_at)
SELECT gen_random_uuid(), id, 'image/jpeg', 2000000, request_sha256, 1200, 896, 'results/' || id || '.jpg',
  finished_at, finished_at + interval '72 h'
FROM job WHERE status = 'done' AND created_at > $1::timestamptz - interval '73 h' AND rolled_at IS NULL
"""

_UPTIME: Final = """
INSERT INTO uptime_hour (at, minutes)
SELECT date_trunc('hour', $1::timestamptz) - make_interval(hours => ago), (1::bigint << 60) - 1
FROM generate_series(1, 24 * $2::int) AS ago
ON CONFLICT DO NOTHING
"""

_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename IN ('job', 'attempt', 'result') AND indexname NOT LIKE 'pk_%' AND indexname NOT LIKE 'uq_%'
"""
_NEEDED: Final = ("ix_job_unrolled", "ix_attempt_unrolled", "ix_attempt_job_id_number")
"""By the roll-up."""

_PIECE: Final = 250_000
_PATIENCE: Final = 3600.0


async def fill(db: Db, attempts: int, count: Callable[[], Awaitable[None]], told: Callable[[str], None]) -> None:
    """Add photos until there are about so many attempts, and have them counted."""
    have = await db.fetchval("SELECT count(*) FROM attempt")
    photos = round((attempts - have) / CALLS_PER_PHOTO)
    begin = await db.fetchval("SELECT count(*) FROM job")
    now = datetime.now(UTC)
    # Indexes are made anew afterwards: kept up row by row they would take longer than all the rest.
    indexes = await db.fetch(_INDEXES) if photos >= _PIECE else []
    for index in indexes:
        await db.execute(f"DROP INDEX {index['indexname']}")
    for first in range(begin + 1, begin + photos + 1, _PIECE):
        last = min(first + _PIECE - 1, begin + photos)
        await db.execute(_PHOTOS, first, last, now, DAYS, timeout=_PATIENCE)
        told(f"{last:,} photos")
    async with db.transaction(timeout=_PATIENCE) as transaction:
        await transaction.execute(
            "SET LOCAL session_replication_role = replica"
        )  # every call has its photo: no look-up
        await transaction.execute(_CALLS)
        await transaction.execute(_PICTURES, now)
    told("calls and pictures")
    await db.execute(_UPTIME, now, DAYS)
    for index in indexes:
        if index["indexname"] in _NEEDED:
            await db.execute(index["indexdef"], timeout=_PATIENCE)
    for table in ("job", "attempt", "result"):
        await db.execute(f"ANALYZE {table}", timeout=_PATIENCE)
    await count()
    for index in indexes:
        if index["indexname"] not in _NEEDED:
            await db.execute(index["indexdef"], timeout=_PATIENCE)
    for table in ("job", "attempt", "result", "stats_slot", "stats_provider", "stats_tally", "uptime_hour"):
        await db.execute(f"VACUUM ANALYZE {table}", timeout=_PATIENCE)


async def add_backlog(db: Db, photos: int) -> None:
    """Photos of the last hour that nobody has counted yet."""
    begin = await db.fetchval("SELECT count(*) FROM job")
    await db.execute(_PHOTOS.replace(_EVENING, _JUST_NOW), begin + 1, begin + photos, datetime.now(UTC), DAYS)
    await db.execute(_CALLS, timeout=_PATIENCE)
