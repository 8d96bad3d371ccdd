"""What is read for the answers: cells, and a few newest rows that an index leads to. Nothing here reads history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import msgspec

from photochanger.db.facade import Db
from photochanger.stats.counting import HOUSE
from photochanger.stats.periods import WORKING_HOURS


class _Cell(TypedDict):
    """A cell of photos, as the answers need it."""

    at: datetime
    jobs: int
    replied_ok: int
    replied_timeout: int
    replied_other: int
    kind_ai: int
    kind_fallback: int
    kind_local: int
    kind_original: int
    kind_none: int
    late: int
    retries: int
    joined: int
    answer_ms: list[int]
    overhead_ms: list[int]


_SHOWN: Final = ", ".join(name for name in _Cell.__annotations__ if name != "at")
_ALL_SOURCES: Final = "source = ANY('{ingest,ui_test,rerun,canary}')"  # spelt out, so that the index leads to `at`

_CELLS: Final = f"""
SELECT slot_id, at, {_SHOWN} FROM stats_slot
WHERE slot_id = ANY($1) AND span = $2 AND source = 'ingest' AND at >= $3 AND at < $4
"""

# Refusals are told by period, failures only of the whole.
_TALLY: Final = """
SELECT slot_id, subject, name, CASE WHEN subject = 'refusal' THEN at END AS at, sum(n)::bigint AS n
FROM stats_tally
WHERE slot_id = ANY($1) AND span = $2 AND source = 'ingest' AND at >= $3 AND at < $4
  AND subject IN ('failure_reason', 'refusal')
GROUP BY 1, 2, 3, 4
"""

# A machine that had lost its time may have been seen in another century.
_FIRST: Final = """
SELECT at, minutes FROM uptime_hour WHERE at >= timestamptz '2020-01-01Z' ORDER BY at LIMIT 1
"""

_STATE: Final = f"""
SELECT (SELECT at FROM stats_state WHERE name = 'rolled') AS fresh_to, first.at, first.minutes
FROM (VALUES (1)) AS always LEFT JOIN ({_FIRST}) AS first ON true
"""

# All that is told of a range, in one question and as one text: four journeys less, and numbers by the thousand are read
# by msgspec in half the time. What is fresh is read by the same snapshot.
_RANGE: Final = f"""
SELECT json_build_object(
  'fresh_to', fresh_to, 'first_at', at, 'first_minutes', minutes,
  'cells', (SELECT coalesce(json_agg(it), '[]') FROM (
    SELECT at, {_SHOWN} FROM stats_slot
    WHERE slot_id = $1 AND span = $2 AND source = 'ingest' AND at >= $3 AND at < $4 ORDER BY at
  ) AS it),
  'money', (SELECT coalesce(json_agg(json_build_array(at, live, tests)), '[]') FROM (
    SELECT at, coalesce(sum(cost_microusd) FILTER (WHERE source = 'ingest'), 0)::bigint AS live,
      coalesce(sum(cost_microusd) FILTER (WHERE source <> 'ingest'), 0)::bigint AS tests
    FROM stats_provider
    WHERE slot_id = $1 AND span = $2 AND {_ALL_SOURCES} AND at >= $3 AND at < $4
    GROUP BY at
  ) AS it),
  'tallies', (SELECT coalesce(json_agg(json_build_array(name, at, n)), '[]') FROM (
    SELECT name, at, n FROM stats_tally
    WHERE slot_id = $1 AND span = $2 AND source = 'ingest' AND at >= $3 AND at < $4 AND subject = 'refusal'
    UNION ALL
    SELECT name, NULL, sum(n)::bigint FROM stats_tally
    WHERE slot_id = $1 AND span = $2 AND source = 'ingest' AND at >= $3 AND at < $4 AND subject = 'failure_reason'
    GROUP BY name
  ) AS it),
  'uptime', (SELECT coalesce(json_agg(json_build_array(at, minutes, working)), '[]') FROM (
    SELECT day AS at, sum(n) AS minutes, coalesce(sum(n) FILTER (
      WHERE at >= day + interval '{WORKING_HOURS.start} hours' AND at < day + interval '{WORKING_HOURS.stop} hours'
    ), 0) AS working
    FROM (
      SELECT at, date_trunc('day', at, 'UTC') AS day, bit_count(minutes::bit(64))::int AS n
      FROM uptime_hour WHERE $5 AND at >= $3 AND at < $4
      OFFSET 0 -- each is worked out once
    ) AS hours
    GROUP BY day
  ) AS it)
)::text FROM ({_STATE}) AS state
"""

_PROVIDERS: Final = """
SELECT * FROM stats_provider
WHERE slot_id = $1 AND span = 'day' AND source = 'ingest' AND at >= $2 AND at < $3
ORDER BY provider, model
"""

_TESTS: Final = """
SELECT provider, model, sum(cost_microusd)::bigint AS cost FROM stats_provider
WHERE slot_id = $1 AND span = 'day' AND source = ANY('{ui_test,rerun,canary}') AND at >= $2 AND at < $3
GROUP BY provider, model
"""

_WORDS: Final = """
SELECT provider, model, subject, name, sum(n)::bigint AS n FROM stats_tally
WHERE slot_id = $1 AND span = 'day' AND source = 'ingest' AND at >= $2 AND at < $3
  AND subject IN ('finish_reason', 'provider_error')
GROUP BY provider, model, subject, name
"""

_LAST_JOBS: Final = """
SELECT asked.id AS slot_id, job.id AS job_id, source, status, failure_reason, reply_status, created_at
FROM unnest($1::text[]) AS asked (id) CROSS JOIN LATERAL (
  SELECT * FROM job WHERE slot_id = asked.id ORDER BY created_at DESC LIMIT 1
) AS job
"""

_LAST_ERRORS: Final = """
SELECT asked.id AS slot_id, job.id AS job_id, failure_reason, call.provider, call.provider_error_code,
       call.http_status, created_at
FROM unnest($1::text[]) AS asked (id) CROSS JOIN LATERAL (
  SELECT id, failure_reason, created_at FROM job
  WHERE slot_id = asked.id AND source = 'ingest' AND status IN ('failed', 'timeout', 'cancelled')
  ORDER BY created_at DESC LIMIT 3
) AS job LEFT JOIN LATERAL (
  SELECT provider, provider_error_code, http_status FROM attempt
  WHERE job_id = job.id AND outcome IS NOT NULL ORDER BY number DESC LIMIT 1
) AS call ON true
ORDER BY created_at DESC
"""

_NAME: Final = "SELECT name FROM slot WHERE id = $1"

_RECENT: Final = """
SELECT job.id AS job_id, job.reply_kind, job.late, job.provider, result.mime, result.width, result.height, result.bytes,
       job.created_at, job.finished_at, job.cost_microusd, result.expires_at,
       CASE WHEN reply_status = 200 AND told_504 IS NOT TRUE THEN
         round(extract(epoch FROM least(replied_at, deadline) - coalesce(received_at, job.created_at)) * 1000)::int8
       END AS answer_ms,
       CASE WHEN result.expires_at > $2 AND result.rejected_at IS NULL THEN '/public/results/' || job.id END AS url
FROM (
  SELECT * FROM job WHERE slot_id = $1 AND status = 'done' AND source = 'ingest' AND created_at > $3
  ORDER BY created_at DESC LIMIT 10
) AS job CROSS JOIN LATERAL (SELECT * FROM result WHERE job_id = job.id) AS result
ORDER BY job.created_at DESC
"""
RECENT: Final = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class State:
    """What ended before `fresh_to` is counted; `first_seen` is the first minute in which the house was ready."""

    fresh_to: datetime | None
    first_seen: datetime | None


@dataclass(slots=True)
class Tally:
    """Refusals by period and reason, failures by reason."""

    refusals: dict[datetime, dict[str, int]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, at: datetime | None, n: int) -> None:
        """One more row: of a failure where `at` is None."""
        if at is None:
            self.failures[name] = n
        else:
            self.refusals.setdefault(at, {})[name] = n


class _Found(msgspec.Struct):
    """What the question about a range is answered with."""

    fresh_to: datetime | None
    first_at: datetime | None
    first_minutes: int | None
    cells: list[_Cell]
    money: list[tuple[datetime, int, int]]
    tallies: list[tuple[str, datetime | None, int]]
    uptime: list[tuple[datetime, int, int]]


@dataclass(frozen=True, slots=True)
class Range:
    """What is counted of a slot or the house over some periods, each by its beginning.

    `money` is what calls cost: for booths, and for tests. `uptime` is minutes in which the house was ready, by day: all
    of them, and those of working hours.
    """

    state: State
    cells: Mapping[datetime, Mapping[str, Any]]
    money: Mapping[datetime, tuple[int, int]]
    tally: Tally
    uptime: Mapping[datetime, tuple[int, int]]


_read = msgspec.json.Decoder(_Found).decode


class Reader:
    """Asks for what the answers need. Every question raises DatabaseUnavailable. Times are from … to before."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def state(self) -> State:
        """How fresh the cells are."""
        row = await self._db.fetchrow(_STATE)
        assert row is not None
        return _state(row["fresh_to"], row["at"], row["minutes"])

    async def range(self, slot: str, span: str, start: datetime, end: datetime, *, uptime: bool) -> Range:
        """All that is told of a slot, or of the house, over a time; `uptime`: availability, too."""
        found = _read(await self._db.fetchval(_RANGE, slot, span, start, end, uptime))
        tally = Tally()
        for name, at, n in found.tallies:
            tally.add(name, at, n)
        return Range(
            _state(found.fresh_to, found.first_at, found.first_minutes),
            {cell["at"]: cell for cell in found.cells},
            {at: (live, tests) for at, live, tests in found.money},
            tally,
            {at: (minutes, working) for at, minutes, working in found.uptime},
        )

    async def cells(self, slots: Sequence[str], span: str, start: datetime, end: datetime) -> Sequence[Any]:
        """Cells of photos."""
        return await self._db.fetch(_CELLS, slots, span, start, end)

    async def tallies(self, slots: Sequence[str], span: str, start: datetime, end: datetime) -> Mapping[str, Tally]:
        """Failures and refusals by slot; every slot has its entry."""
        found = {slot: Tally() for slot in slots}
        for row in await self._db.fetch(_TALLY, slots, span, start, end):
            found[row["slot_id"]].add(row["name"], row["at"], row["n"])
        return found

    async def providers(self, start: datetime, end: datetime) -> Sequence[Any]:
        """Cells of the booths' calls, by model."""
        return await self._db.fetch(_PROVIDERS, HOUSE, start, end)

    async def tests(self, start: datetime, end: datetime) -> Mapping[tuple[str, str], int]:
        """What tests, re-runs and the canary cost, by model."""
        rows = await self._db.fetch(_TESTS, HOUSE, start, end)
        return {(row["provider"], row["model"]): row["cost"] for row in rows}

    async def words(self, start: datetime, end: datetime) -> Mapping[tuple[str, str, str], dict[str, int]]:
        """Finish reasons and error codes, by model and subject."""
        found: dict[tuple[str, str, str], dict[str, int]] = {}
        for row in await self._db.fetch(_WORDS, HOUSE, start, end):
            found.setdefault((row["provider"], row["model"], row["subject"]), {})[row["name"]] = row["n"]
        return found

    async def last_jobs(self, slots: Sequence[str]) -> Mapping[str, dict[str, Any]]:
        """The newest photo of each slot that has one."""
        return {(row := dict(each)).pop("slot_id"): row for each in await self._db.fetch(_LAST_JOBS, slots)}

    async def last_errors(self, slots: Sequence[str]) -> Mapping[str, list[dict[str, Any]]]:
        """The newest failures of booths' photos, by slot."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in await self._db.fetch(_LAST_ERRORS, slots):
            row = dict(each)
            found.setdefault(row.pop("slot_id"), []).append(row)
        return found

    async def name(self, slot: str) -> str | None:
        """What people call a slot, archived or not; None when it does not exist."""
        name: str | None = await self._db.fetchval(_NAME, slot)
        return name

    async def recent(self, slot: str, now: datetime) -> list[dict[str, Any]]:
        """The newest pictures of a slot."""
        return [dict(row) for row in await self._db.fetch(_RECENT, slot, now, now - RECENT)]


def _state(fresh_to: datetime | None, first_hour: datetime | None, minutes: int | None) -> State:
    if first_hour is None or minutes is None:
        return State(fresh_to, None)
    lowest = (minutes & -minutes).bit_length() - 1
    return State(fresh_to, first_hour + timedelta(minutes=lowest))
