"""History for the bench, made by PostgreSQL itself: photos, calls, pictures and refusals of fifteen booths.

It ends now: the last of the ninety days is today, as far as it has come.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from photochanger.db.facade import Db
from photochanger.observability.metrics import UNKNOWN_SLOT
from photochanger.stats.counting import COUNT_REFUSALS

CALLS_PER_PHOTO: Final = 1.15
DAYS: Final = 90

# From 08:00 to 22:00 in Moscow; evenings are busy: the hour is the later one of two that were drawn. Today is
# filled evenly up to now.
_ANY_DAY: Final = """CASE ago WHEN 0 THEN
        date_trunc('day', $3::timestamptz)
        + ($3::timestamptz - interval '90 s' - date_trunc('day', $3::timestamptz)) * random()
      ELSE date_trunc('day', $3::timestamptz) - make_interval(days => ago)
        + make_interval(secs => 3600 * (5 + 14 * greatest(random(), random()))) END"""
_LAST_HOUR: Final = "$3::timestamptz - make_interval(secs => 120 + 3600 * random())"

# How a photo may end, and what its last call says of it; the fate is the bucket into which its luck falls.
_LUCK: Final = "ARRAY[0.90, 0.94, 0.95, 0.97, 0.98, 0.985, 0.99]"
_FATES: Final = """(VALUES
    (0, 'done', NULL, 'ai', 200, 'picture', 'STOP', NULL, 200),
    (1, 'done', NULL, 'fallback', 200, 'picture', 'STOP', NULL, 200),
    (2, 'done', NULL, 'error', 504, 'picture', 'STOP', NULL, 200),
    (3, 'timeout', 'provider_timeout', 'error', 504, 'timeout', NULL, 'DEADLINE_EXCEEDED', NULL),
    (4, 'failed', 'provider_refused', 'error', 502, 'refused', 'SAFETY', NULL, 200),
    (5, 'failed', 'provider_quota', 'error', 503, 'quota', NULL, 'RESOURCE_EXHAUSTED', 429),
    (6, 'failed', 'provider_unavailable', 'error', 503, 'overloaded', NULL, 'UNAVAILABLE', 503),
    (7, 'failed', 'provider_error', 'error', 502, 'rejected', NULL, 'INVALID_ARGUMENT', 400)
  ) AS fates (which, status, reason, reply_kind, reply_status, outcome, finish_reason, error_code, http_status)"""


def _history(created: str) -> str:
    """Photos number $1 to $2, seen from $3, with their calls, and pictures where these are not too old."""
    return f"""
WITH drawn AS MATERIALIZED (
  SELECT number, gen_random_uuid() AS id, 'slot-' || lpad((1 + number % 15)::text, 3, '0') AS slot_id,
    width_bucket(random(), {_LUCK}::float8[]) AS fate, random() AS model, random() < 0.15 AS again,
    CASE WHEN number % 50 = 0 THEN 'ui_test' WHEN number % 70 = 0 THEN 'rerun' ELSE 'ingest' END AS source,
    {created} AS created,
    make_interval(secs => least(exp(2.5 + 0.35 * sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random())), 60)) AS took
  FROM (
    SELECT number, floor({DAYS} * random())::int AS ago FROM generate_series($1::bigint, $2::bigint) AS number
  ) AS numbers
), made AS MATERIALIZED (
  SELECT drawn.*, created + took AS ended, decode(md5(number::text) || md5(number::text), 'hex') AS sha256, fates.*
  FROM drawn JOIN {_FATES} ON which = fate
), photos AS (
  INSERT INTO job (id, slot_id, slot_version, source, status, failure_reason, reply_kind, reply_status, replied_at,
    told_504, provider, deadline, settle_by, retries, request_bytes, request_sha256, photo_name, late, cost_microusd,
    received_at, created_at, started_at, finished_at)
  SELECT id, slot_id, 1, source, status, reason, reply_kind, reply_status, ended, reply_status = 504, 'gemini',
    created + interval '48 s', created + interval '168 s', again::int, 4000000, sha256, 'DSC' || number || '.JPG',
    fate = 2, 67000, created - interval '0.4 s', created, created + interval '0.01 s', ended
  FROM made
), calls AS (
  INSERT INTO attempt (id, job_id, number, provider, model, outcome, finish_reason, provider_error_code, http_status,
    latency_ms, estimate_microusd, cost_microusd, hedged, begun_at, finished_at)
  SELECT gen_random_uuid(), id, try, CASE WHEN model < 0.1 THEN 'turbotext' ELSE 'gemini' END,
    CASE WHEN model < 0.1 THEN 'turbotext' WHEN model < 0.3 THEN 'gemini-3-pro-image' ELSE 'gemini-3.1-flash-image' END,
    CASE WHEN is_last THEN outcome ELSE 'no_image' END, CASE WHEN is_last THEN finish_reason ELSE 'NO_IMAGE' END,
    CASE WHEN is_last THEN error_code END, CASE WHEN is_last THEN http_status ELSE 200 END,
    greatest(extract(epoch FROM took) * 1000 - 60, 1)::int / (1 + again::int), 67000, 67000, false,
    created + interval '0.02 s', ended
  FROM made CROSS JOIN LATERAL (
    SELECT try, try = 1 + again::int AS is_last FROM generate_series(1, 1 + again::int) AS try
  ) AS tries
)
INSERT INTO result (id, job_id, mime, bytes, sha256, width, height, path, created_at, expires_at)
SELECT gen_random_uuid(), id, 'image/jpeg', 2000000, sha256, 1200, 896, 'results/' || id || '.jpg', ended,
  ended + interval '72 h'
FROM made WHERE status = 'done' AND created > $3::timestamptz - interval '73 h'
"""


_UPTIME: Final = """
INSERT INTO uptime_hour (at, minutes)
SELECT date_trunc('hour', $1::timestamptz) - make_interval(hours => ago), (1::bigint << 60) - 1
FROM generate_series(1, 24 * $2::int) AS ago
ON CONFLICT DO NOTHING
"""

REFUSALS: Final = ("invalid_credentials", "undecodable_image", "slot_busy", "rate_limited", "queue_full")
"""What every booth is refused now and then, every day."""

_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename IN ('job', 'attempt', 'result') AND indexname NOT LIKE 'pk_%' AND indexname NOT LIKE 'uq_%'
"""
_NEEDED: Final = ("ix_job_unrolled", "ix_attempt_unrolled", "ix_attempt_job_id_number")
"""By the roll-up."""

_PIECE: Final = 250_000
_PATIENCE: Final = 3600.0

SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "1GB",
    "work_mem": "128MB",
    "maintenance_work_mem": "512MB",
    "autovacuum": "off",
}
"""Of the server while it is filled, and only then: nothing is measured with them."""


async def fill(
    db: Db,
    attempts: int,
    count: Callable[[], Awaitable[None]],
    told: Callable[[str], None],
    now: datetime | None = None,
) -> None:
    """Add photos until there are about so many attempts, and have them counted. `now` is when history ends."""
    have = await db.fetchval("SELECT count(*) FROM attempt")
    photos = round((attempts - have) / CALLS_PER_PHOTO)
    begin = await db.fetchval("SELECT count(*) FROM job")
    now = now or datetime.now(UTC)
    # Indexes are made anew afterwards: kept up row by row they would take longer than all the rest.
    indexes = await db.fetch(_INDEXES) if photos >= _PIECE else []
    for index in indexes:
        await db.execute(f"DROP INDEX {index['indexname']}")
    for first in range(begin + 1, begin + photos + 1, _PIECE):
        last = min(first + _PIECE - 1, begin + photos)
        await _add(db, _history(_ANY_DAY), first, last, now)
        told(f"{last:,} photos, with their calls")
    await db.execute(_UPTIME, now, DAYS)
    await _refuse(db, now)
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
    await _add(db, _history(_LAST_HOUR), begin + 1, begin + photos, datetime.now(UTC))


async def _add(db: Db, statement: str, first: int, last: int, now: datetime) -> None:
    async with db.transaction(timeout=_PATIENCE) as transaction:
        # Every call has its photo: no look-up for each.
        await transaction.execute("SET LOCAL session_replication_role = replica")
        await transaction.execute(statement, first, last, now)


async def _refuse(db: Db, now: datetime) -> None:
    """Refusals of every booth and day, by the service's own statement."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    kinds = [(f"slot-{number:03}", reason) for number in range(1, 16) for reason in REFUSALS]
    kinds.append((UNKNOWN_SLOT, "slot_not_found"))
    days = [hour - timedelta(days=ago) for ago in range(DAYS)]
    counts = [(slot, day, reason, random.randint(1, 20)) for day in days for slot, reason in kinds]
    await db.execute(COUNT_REFUSALS, uuid4(), *map(list, zip(*counts, strict=True)), timeout=_PATIENCE)
