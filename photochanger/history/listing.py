"""The list of jobs: any filters, the newest first, and never more work than a page is worth.

A page looks at no more than SCAN rows. What the index cannot answer is looked at row by row, and where SCAN rows did
not fill the page, it is short and says where to go on: so no filter, however rare what it asks for, reads the whole
table. Names are the exception: few photos have one name, and those few are read first, if they are few.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec

from photochanger.db.facade import Db
from photochanger.domain.job import JobStatus, Source
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem
from photochanger.web.inputs import invalid
from photochanger.web.paging import Cursor, cursor_of, read_cursor

SCAN: Final = 5_000
"""Rows that one page looks at."""
FEW: Final = 2_000
"""Photos of one name that are sorted by time; more are looked for among all."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_END: Final = datetime(2100, 1, 1, tzinfo=UTC)
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
    cursor: Cursor | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class _Place(NamedTuple):
    created_at: datetime
    job_id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the cursor with which it goes on; None where it ends."""

    rows: list[dict[str, Any]]
    next: str | None


# The window function numbers the rows in the order in which the index gives them, so nothing is read ahead. The last
# row that may be looked at comes along whether it fits or not: it says where the next page begins.
_LIST: Final = """
SELECT page.*, result.expires_at, result.id IS NOT NULL AND result.rejected_at IS NULL AS shown
FROM (
  SELECT * FROM (
    SELECT *, row_number() OVER (ORDER BY {order}) AS place, ({filters}) AS fits
    FROM (SELECT {columns} FROM {table} WHERE {among}) AS found
    ORDER BY {order} LIMIT {scan}
  ) AS job
  WHERE fits OR place = {scan}
  ORDER BY {order} LIMIT {limit}
) AS page
LEFT JOIN result ON result.job_id = page.id AND result.expires_at > now()
ORDER BY page.created_at DESC, page.id DESC
"""

_ORDER: Final = "created_at DESC, id DESC"
# With the slot in front, and never said to be one: then there is only one index that can be followed.
_ORDER_IN_SLOT: Final = "slot_id DESC, created_at DESC, id DESC"

# The operators of text_pattern_ops: what LIKE with a constant would be turned into.
_NAMED: Final = (
    "lower(photo_name) ~>=~ lower({name}::text) AND lower(photo_name) ~<=~ (lower({name}::text) || chr(1114111))"
)

# The order makes it go by the index, whatever is thought of how many there are.
_BY_NAME: Final = "SELECT {columns} FROM job WHERE {named} ORDER BY lower(photo_name) USING ~<~ LIMIT {most}"

_COLUMNS: Final = """
id, slot_id, source, status, failure_reason, reply_kind, reply_status, photo_name, provider, cost_microusd, received_at,
created_at, replied_at, finished_at, late, retries, joined, requested_by, rerun_of, test_id, variant
"""


async def list_jobs(db: Db, query: JobsQuery) -> Page:
    """One page. Raises Refusal (validation_failed), DatabaseUnavailable."""
    values = _Values()
    among = _place(query, values)
    filters = [f"{name} = {values.put(str(value))}" for name, value in _equals(query)]
    # What has an index of its own is told in the index's words; without one it would be a filter that reads on and on.
    if query.slot is not None and (query.status in _FAILED or query.reason is not None):
        among.append("status IN ('failed', 'timeout', 'cancelled')")
    elif query.status in _OPEN:
        among.append("status IN ('queued', 'processing')")
    table = "job"
    if query.photo is not None:
        named = _NAMED.format(name=values.put(query.photo))
        if await _are_few(db, query.photo):
            table = f"({_BY_NAME.format(columns='*', named=named, most=FEW)}) AS job"  # by name first, then by time
        else:
            filters.append(named)
    statement = _LIST.format(
        columns=_COLUMNS,
        table=table,
        among=" AND ".join(among),
        filters=" AND ".join(filters) or "true",
        order=_ORDER if query.slot is None else _ORDER_IN_SLOT,
        scan=SCAN,
        limit=query.limit + 1,
    )
    rows = [dict(row) for row in await db.fetch(statement, *values)]
    fitting = [row for row in rows if row["fits"]]
    last = None
    if len(fitting) > query.limit:
        last = fitting[query.limit - 1]
    elif rows and rows[-1]["place"] == SCAN:
        last = rows[-1]
    following = None if last is None else cursor_of(_Place(last["created_at"], last["id"]))
    return Page([_named(row) for row in fitting[: query.limit]], following)


async def _are_few(db: Db, name: str) -> bool:
    """Whether so few photos have ever had such a name that sorting them costs nothing."""
    among = _BY_NAME.format(columns="", named=_NAMED.format(name="$1"), most=FEW + 1)
    return int(await db.fetchval(f"SELECT count(*) FROM ({among}) AS found", name)) <= FEW  # noqa: S608


class _Values(list[Any]):
    """The values of a statement that is being written."""

    def put(self, value: Any) -> str:
        """Its placeholder."""
        self.append(value)
        return f"${len(self)}"


def _place(query: JobsQuery, values: _Values) -> list[str]:
    """From when to when, in which slot, and from where the page before has ended."""
    since, until = _bounded("from", query.since or _EPOCH), _bounded("to", query.until or _END)
    end, last = read_cursor(query.cursor, _Place) or (until, None)
    low, high = values.put(since), values.put(end)
    found = [f"created_at < {values.put(until)}"]
    if query.slot is None:
        found += [f"created_at >= {low}", f"created_at <= {high}"]
    else:
        slot = values.put(query.slot)
        found += [f"(slot_id, created_at) >= ({slot}, {low})", f"(slot_id, created_at) <= ({slot}, {high})"]
    if last is not None:
        found.append(f"(created_at, id) < ({high}, {values.put(last)})")
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
    if not _EPOCH.year <= moment.year <= _END.year:
        raise invalid(Problem(field, "must be a time of this century"))
    return moment
