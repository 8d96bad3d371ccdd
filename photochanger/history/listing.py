"""The list of jobs: any filters, the newest first, and never more work than a page is worth.

A page looks at no more than SCAN rows. What the index cannot answer is looked at row by row, and where SCAN rows did
not fill the page, it is short and says where to go on: so no filter, however rare what it asks for, reads the whole
table. Names are the exception: few photos have one name, and those few are read first, if they are few.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, Source
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem
from photochanger.web.inputs import invalid

SCAN: Final = 10_000
"""Rows that one page looks at."""
FEW: Final = 2_000
"""Photos of one name that are sorted by time; more are looked for among all."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_END: Final = datetime(2100, 1, 1, tzinfo=UTC)
_CURSOR: Final = re.compile(r"([0-9]{1,17})-([0-9a-f]{32})")
_FAILED: Final = (JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.CANCELLED)
_OPEN: Final = (JobStatus.QUEUED, JobStatus.PROCESSING)

When = Annotated[datetime, msgspec.Meta(tz=True)]


class JobsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """`from` counts, `to` does not, both by when the job began. `photo` is how its name begins."""

    slot: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    status: JobStatus | None = None
    reason: Reason | None = None
    source: Source | None = None
    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    photo: Annotated[str, msgspec.Meta(min_length=1, max_length=255, description="In either case.")] | None = None
    since: When | None = msgspec.field(name="from", default=None)
    until: When | None = msgspec.field(name="to", default=None)
    cursor: Annotated[str, msgspec.Meta(max_length=100, description="`meta.next` of the page before.")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the cursor with which it goes on; None where it ends."""

    rows: list[dict[str, Any]]
    next: str | None


# The window function numbers the rows in the order in which the index gives them, so nothing is read ahead. The last
# row that may be looked at comes along whether it fits or not: it says where the next page begins.
_LIST: Final = """
SELECT page.*, result.expires_at
FROM (
  SELECT * FROM (
    SELECT *, row_number() OVER (ORDER BY created_at DESC, id DESC) AS place, ({filters}) AS fits
    FROM ({source}) AS found
    ORDER BY created_at DESC, id DESC LIMIT {scan}
  ) AS job
  WHERE fits OR place = {scan}
  ORDER BY created_at DESC, id DESC LIMIT {limit}
) AS page
LEFT JOIN result ON result.job_id = page.id AND result.expires_at > now()
ORDER BY page.created_at DESC, page.id DESC
"""

# The operators of text_pattern_ops: what LIKE with a constant would be turned into.
_NAMED: Final = (
    "lower(photo_name) ~>=~ lower({name}::text) AND lower(photo_name) ~<=~ (lower({name}::text) || chr(1114111))"
)

_COLUMNS: Final = """
id, slot_id, source, status, failure_reason, reply_kind, reply_status, photo_name, provider, cost_microusd, received_at,
created_at, replied_at, finished_at, late, retries, joined, requested_by, rerun_of, test_id, variant
"""


async def list_jobs(db: Db, query: JobsQuery) -> Page:
    """One page. Raises Refusal (validation_failed), DatabaseUnavailable."""
    asked = _Statement()
    among = asked.times(query)
    if query.slot is not None:
        among.append(f"slot_id = {asked.put(query.slot)}")
    filters = [f"{name} = {asked.put(str(value))}" for name, value in _equals(query)]
    # What an index of its own knows is told to it, in the index's own words.
    if query.status in _FAILED or query.reason is not None:
        among.append("status IN ('failed', 'timeout', 'cancelled')")
    elif query.status in _OPEN:
        among.append("status IN ('queued', 'processing')")
    fence = ""
    if query.photo is not None:
        named = _NAMED.format(name=asked.put(query.photo))
        if await _are_few(db, query):
            among.append(named)
            fence = "OFFSET 0"  # by name first, then by time
        else:
            filters.append(named)
    source = f"SELECT {_COLUMNS} FROM job WHERE {' AND '.join(among)} {fence}"  # noqa: S608 - nothing is a caller's
    statement = _LIST.format(filters=" AND ".join(filters) or "true", source=source, scan=SCAN, limit=query.limit + 1)
    rows = [dict(row) for row in await db.fetch(statement, *asked.values)]
    last = rows[-1] if rows else None
    if last is not None and last["place"] == SCAN:
        return Page([_named(row) for row in rows if row["fits"]][: query.limit], _cursor(last))
    if len(rows) > query.limit:
        return Page([_named(row) for row in rows[: query.limit]], _cursor(rows[query.limit - 1]))
    return Page([_named(row) for row in rows], None)


async def _are_few(db: Db, query: JobsQuery) -> bool:
    """Whether so few photos have such a name, ever or in the time asked for, that sorting them costs nothing."""
    asked = _Statement()
    among = [_NAMED.format(name=asked.put(query.photo)), *asked.times(query)]
    statement = f"SELECT count(*) FROM (SELECT FROM job WHERE {' AND '.join(among)} LIMIT {FEW + 1}) AS found"  # noqa: S608
    return int(await db.fetchval(statement, *asked.values)) <= FEW


class _Statement:
    """The values of a statement that is being written."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def put(self, value: Any) -> str:
        """Its placeholder."""
        self.values.append(value)
        return f"${len(self.values)}"

    def times(self, query: JobsQuery) -> list[str]:
        """From when to when, and where the page before has ended."""
        found = ["true"]
        if query.since is not None:
            found.append(f"created_at >= {self.put(_bounded('from', query.since))}")
        if query.until is not None:
            found.append(f"created_at < {self.put(_bounded('to', query.until))}")
        if query.cursor is not None:
            at, job_id = _read_cursor(query.cursor)
            moment = self.put(at)
            found.append(f"created_at <= {moment} AND (created_at, id) < ({moment}, {self.put(job_id)})")
        return found


def _equals(query: JobsQuery) -> list[tuple[str, Any]]:
    asked = {
        "status": query.status,
        "failure_reason": query.reason,
        "source": query.source,
        "provider": query.provider,
    }
    return [(name, value) for name, value in asked.items() if value is not None]


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"job_id": row["id"]}


def _bounded(field: str, moment: datetime) -> datetime:
    # Years 1 and 9999 are no times in every zone.
    if not 2000 <= moment.year < 2100:
        raise invalid(Problem(field, "must be a time of this century"))
    return moment


def _cursor(row: dict[str, Any]) -> str:
    microseconds = (row["created_at"] - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds}-{row['id'].hex}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        found = _CURSOR.fullmatch(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
        if found is not None and (at := _EPOCH + timedelta(microseconds=int(found[1]))) < _END:
            return at, UUID(found[2])
    except (ValueError, OverflowError):
        pass
    raise invalid(Problem("cursor", "is none of ours: take `meta.next` as it is"))
