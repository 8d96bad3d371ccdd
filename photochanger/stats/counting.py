"""The statements that count: photos and calls into cells, each exactly once.

Each is one statement, so nothing is ever half counted, no lock outlives it, and it stops for nobody: rows that others
hold are left for the next time. It is a weak lock that it takes (`NO KEY`), and of rows that no photo in work touches
any more; of photos in work only those whose booth was told 504, a few at once. Cells are written in the order of their
keys: of two that count at once the second waits for the first for a moment, never each for the other.
"""

from typing import Final

from photochanger.domain.histogram import BOUNDS

SETTLED: Final = 15.0
"""Seconds after its end at which a photo is counted: what the booth got may still be corrected until then."""

HOUSE: Final = ""
"""The slot id of cells that count the whole house."""

SLOT_COUNTERS: Final = {
    "jobs": "count(*) FILTER (WHERE told_rolled_at IS NULL)",
    "replied_ok": "count(*) FILTER (WHERE told_status = 200)",
    "replied_timeout": "count(*) FILTER (WHERE told_status = 504)",
    "replied_other": "count(*) FILTER (WHERE told_status NOT IN (200, 504))",
    **{
        f"kind_{kind}": f"count(*) FILTER (WHERE told_kind = '{kind}')"
        for kind in ("ai", "fallback", "local", "original", "error", "none")
    },
    **{
        column: f"count(*) FILTER (WHERE status = '{status}')"
        for column, status in (
            ("done", "done"),
            ("failed", "failed"),
            ("timed_out", "timeout"),
            ("cancelled", "cancelled"),
        )
    },
    "late": "count(*) FILTER (WHERE late)",
    "retries": "sum(retries)",
    "joined": "sum(coalesce(joined, 0))",
}
"""What is counted of photos: column, and how it comes from rows of `job`."""

_NAMED = {
    "pictures": "picture",
    "no_image": "no_image",
    "refused": "refused",
    "rejected": "rejected",
    "quota": "quota",
    "overloaded": "overloaded",
    "transport": "transport",
    "timeouts": "timeout",
    "cancelled": "cancelled",
}
PROVIDER_COUNTERS: Final = {
    "calls": "count(*)",
    **{column: f"count(*) FILTER (WHERE outcome = '{verdict}')" for column, verdict in _NAMED.items()},
    "other": "count(*) FILTER (WHERE outcome NOT IN ({}))".format(", ".join(f"'{each}'" for each in _NAMED.values())),
    "retries": "count(*) FILTER (WHERE again AND NOT hedged)",
    "hedged": "count(*) FILTER (WHERE hedged)",
    "possibly_billed": "count(*) FILTER (WHERE possibly_billed)",
    "cost_microusd": "sum(cost_microusd)",
}
"""What is counted of provider calls: column, and how it comes from rows of `attempt`."""

# A photo or a call belongs to the day (UTC) in which it began, whenever it is counted, both of its slot and of the
# house. By the hour only the house is counted: nobody asks it of a slot, and it would be most of the cells.
_SPREAD = f"""
  CROSS JOIN LATERAL (VALUES (it.slot_id, 'day'), ('{HOUSE}', 'day'), ('{HOUSE}', 'hour')) AS cells (cell, span)
"""


def _upsert(table: str, keys: tuple[str, ...], counters: tuple[str, ...], histograms: tuple[str, ...], of: str) -> str:
    """`of` has the keys, the counters and, per histogram, the numbers of the buckets that were hit."""
    shapes = [
        f"""(SELECT array_agg(coalesce(n, 0) ORDER BY bucket) FROM generate_series(0, {len(BOUNDS)}) AS bucket
      LEFT JOIN (SELECT hit, count(*) AS n FROM unnest({of}.{each}) AS hit GROUP BY hit) AS hits ON hit = bucket)"""
        for each in histograms
    ]
    sets = [f"{each} = {table}.{each} + EXCLUDED.{each}" for each in counters] + [
        f"""{each} = ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0)
      FROM unnest({table}.{each}, EXCLUDED.{each}) WITH ORDINALITY AS added (a, b, place) ORDER BY place)"""
        for each in histograms
    ]
    key = ", ".join(keys)
    return f"""
  INSERT INTO {table} ({", ".join((*keys, *counters, *histograms))})
  SELECT {", ".join((*keys, *counters, *shapes))}
  FROM {of} ORDER BY {key}
  ON CONFLICT ({key}) DO UPDATE SET {", ".join(sets)}
"""


def _bucket(milliseconds: str) -> str:
    return f"width_bucket(({milliseconds})::float8, $3::float8[])"


def _columns(counters: dict[str, str]) -> str:
    return ",\n    ".join(f"{how}::bigint AS {column}" for column, how in counters.items())


_CELL: Final = ("slot_id", "span", "source", "at")
_PROVIDER: Final = (*_CELL, "provider", "model")
_TALLY: Final = (*_CELL, "subject", "provider", "model", "name")

# The last waiter of a photo that goes on is answered at the window's end at the latest; its row is written later.
_ANSWERED = "least(replied_at, deadline)"

# Who was told 504 printed the original, and a repeat that gets the picture afterwards mends nothing of it. Where that
# 504 was counted when it was given (`count_told`), the end of the work adds only what is new.
_TOLD = """
      CASE WHEN told_rolled_at IS NOT NULL THEN NULL WHEN told_504 THEN 504 ELSE reply_status END AS told_status,
      CASE WHEN told_rolled_at IS NOT NULL THEN NULL WHEN told_504 THEN 'error' ELSE reply_kind END AS told_kind
"""

_OF_PHOTOS = f"""
photo_cells AS (
  SELECT cell AS slot_id, span, source, date_trunc(span, created_at, 'UTC') AS at,
    {_columns(SLOT_COUNTERS)},
    array_agg(answer) FILTER (WHERE answer IS NOT NULL) AS answer_ms,
    array_agg(overhead) FILTER (WHERE overhead IS NOT NULL) AS overhead_ms
  FROM (
    SELECT told.*,
      CASE WHEN told_status = 200 THEN
        {_bucket(f"extract(epoch FROM {_ANSWERED} - coalesce(received_at, created_at)) * 1000")} END AS answer,
      CASE WHEN told_status = 200 AND status = 'done' AND NOT late AND tries.n = 1 THEN
        {_bucket(f"extract(epoch FROM {_ANSWERED} - started_at) * 1000 - tries.latency_ms")} END AS overhead
    FROM (SELECT photos.*, {_TOLD} FROM photos) AS told CROSS JOIN LATERAL (
      SELECT count(*) AS n, max(latency_ms) FILTER (WHERE outcome = 'picture') AS latency_ms
      FROM attempt WHERE job_id = told.id
    ) AS tries
  ) AS it {_SPREAD}
  GROUP BY cell, span, source, date_trunc(span, created_at, 'UTC')
), reasons AS (
  SELECT cell AS slot_id, span, source, date_trunc(span, created_at, 'UTC') AS at, 'failure_reason' AS subject,
    '' AS provider, '' AS model, failure_reason AS name, count(*) AS n
  FROM photos AS it {_SPREAD}
  WHERE failure_reason IS NOT NULL
  GROUP BY cell, span, source, date_trunc(span, created_at, 'UTC'), failure_reason
), slots AS ({_upsert("stats_slot", _CELL, tuple(SLOT_COUNTERS), ("answer_ms", "overhead_ms"), "photo_cells")})
"""

_OF_CALLS = f"""
marked AS (
  UPDATE attempt SET rolled_at = now() WHERE id = ANY(ARRAY(SELECT id FROM ended)) AND rolled_at IS NULL
  RETURNING attempt.*
), calls AS (
  SELECT marked.*, ended.slot_id, ended.source FROM marked JOIN ended USING (id)
), judged AS (
  SELECT calls.*, EXISTS (
      SELECT FROM attempt AS earlier
      WHERE earlier.job_id = calls.job_id AND earlier.provider = calls.provider AND earlier.number < calls.number
    ) AS again,
    CASE WHEN outcome = 'picture' THEN {_bucket("latency_ms")} END AS latency
  FROM calls
), call_cells AS (
  SELECT cell AS slot_id, span, source, date_trunc(span, begun_at, 'UTC') AS at, provider, model,
    {_columns(PROVIDER_COUNTERS)},
    array_agg(latency) FILTER (WHERE latency IS NOT NULL) AS latency_ms
  FROM judged AS it {_SPREAD}
  GROUP BY cell, span, source, date_trunc(span, begun_at, 'UTC'), provider, model
), words AS (
  SELECT cell AS slot_id, span, source, date_trunc(span, begun_at, 'UTC') AS at, subject,
    provider, model, name, count(*) AS n
  FROM calls AS it {_SPREAD}
    CROSS JOIN LATERAL (
      VALUES ('finish_reason', left(finish_reason, 80)), ('provider_error', left(provider_error_code, 80))
    ) AS said (subject, name)
  WHERE name IS NOT NULL
  GROUP BY cell, span, source, date_trunc(span, begun_at, 'UTC'), subject, provider, model, name
), providers AS ({_upsert("stats_provider", _PROVIDER, tuple(PROVIDER_COUNTERS), ("latency_ms",), "call_cells")})
"""

_PHOTOS: Final = f"""
WITH due AS (
  SELECT id FROM job
  WHERE rolled_at IS NULL AND finished_at IS NOT NULL AND finished_at >= $1 AND finished_at <= $2
  ORDER BY finished_at LIMIT {{most}}
  FOR NO KEY UPDATE SKIP LOCKED
), photos AS (
  UPDATE job SET rolled_at = now() WHERE id = ANY(ARRAY(SELECT id FROM due)) AND rolled_at IS NULL
  RETURNING job.*
), ended AS (
  SELECT attempt.id, photos.slot_id, photos.source
  FROM photos JOIN attempt ON attempt.job_id = photos.id
  WHERE attempt.outcome IS NOT NULL -- and no more: whoever knows only of quiet days would look through all uncounted
  FOR NO KEY UPDATE OF attempt SKIP LOCKED
), {_OF_PHOTOS}, {_OF_CALLS}, tallies AS (
  SELECT * FROM reasons UNION ALL SELECT * FROM words
), told AS ({_upsert("stats_tally", _TALLY, ("n",), (), "tallies")})
SELECT count(*) FROM photos
"""


def count_photos(most: int) -> str:
    """Photos that ended between $1 and $2, at most `most`, the earliest first, with the calls that were made for them.

    $3 are the bounds of the histograms. The answer: how many photos were counted.
    """
    # The number stands in the text: from a parameter PostgreSQL could not tell that few rows are meant.
    return _PHOTOS.format(most=most)


_TOLD_CELLS: Final = ("jobs", "replied_timeout", "kind_error")

_TOLD_504: Final = f"""
WITH due AS (
  SELECT id FROM job
  WHERE status IN ('queued', 'processing') AND told_504 AND told_rolled_at IS NULL AND replied_at <= $1
  ORDER BY created_at LIMIT {{most}}
  FOR NO KEY UPDATE SKIP LOCKED
), photos AS (
  UPDATE job SET told_rolled_at = now()
  WHERE id = ANY(ARRAY(SELECT id FROM due)) AND told_rolled_at IS NULL AND finished_at IS NULL
  RETURNING job.*
), told_cells AS (
  SELECT cell AS slot_id, span, source, date_trunc(span, created_at, 'UTC') AS at,
    {", ".join(f"count(*) AS {each}" for each in _TOLD_CELLS)},
    NULL::int[] AS answer_ms, NULL::int[] AS overhead_ms
  FROM photos AS it {_SPREAD}
  GROUP BY cell, span, source, date_trunc(span, created_at, 'UTC')
), slots AS ({_upsert("stats_slot", _CELL, _TOLD_CELLS, ("answer_ms", "overhead_ms"), "told_cells")})
SELECT count(*) FROM photos
"""


def count_told(most: int) -> str:
    """Photos whose booth was told 504 until $1 and whose work still goes on: that answer is the last word.

    It is counted as a photo with a timeout, and once; `count_photos` adds the end of the work. The answer: how many.
    """
    return _TOLD_504.format(most=most)


_CALLS: Final = f"""
WITH ended AS (
  SELECT attempt.id, job.slot_id, job.source
  FROM attempt JOIN job ON job.id = attempt.job_id
  WHERE attempt.rolled_at IS NULL AND attempt.outcome IS NOT NULL AND attempt.finished_at >= $1
    AND attempt.finished_at <= $2 AND job.rolled_at IS NOT NULL
  ORDER BY attempt.finished_at LIMIT {{most}}
  FOR NO KEY UPDATE OF attempt SKIP LOCKED
), {_OF_CALLS}, told AS ({_upsert("stats_tally", _TALLY, ("n",), (), "words")})
SELECT count(*) FROM calls
"""


def count_calls(most: int) -> str:
    """Calls that ended after their photo was counted: losers, spares, late work. Otherwise like `count_photos`."""
    return _CALLS.format(most=most)


COUNT_REFUSALS: Final = f"""
WITH fresh AS (
  INSERT INTO stats_flush (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id
), refusals AS (
  SELECT cell AS slot_id, span, 'ingest' AS source, date_trunc(span, hour, 'UTC') AS at, 'refusal' AS subject,
    '' AS provider, '' AS model, name, sum(n)::bigint AS n
  FROM fresh CROSS JOIN unnest($2::text[], $3::timestamptz[], $4::text[], $5::bigint[]) AS it (slot_id, hour, name, n)
    {_SPREAD}
  GROUP BY cell, span, date_trunc(span, hour, 'UTC'), name
), told AS ({_upsert("stats_tally", _TALLY, ("n",), (), "refusals")})
SELECT count(*) FROM fresh
"""
"""Refusals by slot, hour and reason, under an id ($1): the second time it changes nothing."""

COUNT_MINUTES: Final = """
INSERT INTO uptime_hour (at, minutes) SELECT * FROM unnest($1::timestamptz[], $2::bigint[]) AS seen (at, minutes)
ORDER BY at
ON CONFLICT (at) DO UPDATE SET minutes = uptime_hour.minutes | EXCLUDED.minutes
"""

IS_COUNTED: Final = """
INSERT INTO stats_state (name, at) VALUES ('rolled', least($1::timestamptz, now()))
ON CONFLICT (name) DO UPDATE SET at = least(greatest(stats_state.at, EXCLUDED.at), now())
"""
"""What ended before $1 is counted, and every 504 that was given before it. It goes back only from the future: the clock
had been wrong."""

FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE span = 'hour' AND at < $1" for table in ("stats_slot", "stats_provider", "stats_tally")
)
FORGET_FLUSHES: Final = "DELETE FROM stats_flush WHERE at < $1"
