"""Which pictures a gallery shows: newest first, found through the slot's own index, and never more work than a page is
worth.

A page looks at no more than SCAN jobs. Where those did not fill it, as in a gallery whose pictures all wait for their
moderator, it is short and says where to go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.domain.slot import Slot
from photochanger.web.paging import PageMeta, cursor_of

State = Literal["pending", "approved", "rejected"]

SCAN: Final = 1_000
"""Jobs that one page looks at, of one slot."""

# No result lives longer than 168 hours, and what the house keeps now says nothing of those that were promised more: so
# nothing older is looked at. A crash may have made the result later than its job, which is what the eighth day is for.
# The window function numbers the jobs as the index of done ones gives them; the last that may be looked at comes along
# whether it fits or not: it says where the next page begins.
_ORDER: Final = "slot_id DESC, created_at DESC, id DESC"
"""With the slot in front, and never said to be one: then there is only one index that can be followed."""
_RECENT: Final = f"""
SELECT * FROM (
  SELECT job.id AS job_id, job.slot_id, job.created_at AS taken_at, result.expires_at, result.width, result.height,
         result.approved_at, result.rejected_at, result.decided_by, job.place,
         coalesce(job.source = 'ingest' AND result.expires_at > now() AND {{wanted}}, false) AS fits
  FROM (
    SELECT id, slot_id, created_at, source, row_number() OVER (ORDER BY {_ORDER}) AS place FROM job
    WHERE (slot_id, created_at) >= ({{slot}}, now() - interval '8 days') AND (slot_id, created_at) <= ({{slot}}, $1)
          AND (created_at, id) < ($1, $2) AND status = 'done'
    ORDER BY {_ORDER} LIMIT {SCAN}
  ) AS job LEFT JOIN LATERAL (SELECT * FROM result WHERE job_id = job.id LIMIT 1) AS result ON true
) AS looked_at
WHERE fits OR place = {SCAN}
ORDER BY slot_id DESC, taken_at DESC, job_id DESC LIMIT $3
"""  # noqa: S608 - a number of ours

_SHOWN: Final = "result.rejected_at IS NULL AND (result.approved_at IS NOT NULL OR NOT {moderated})"

_GALLERY: Final = _RECENT.format(slot="$4", wanted=_SHOWN.format(moderated="$5"))
_DESK: Final[Mapping[State, str]] = {
    "pending": _RECENT.format(slot="$4", wanted="result.approved_at IS NULL AND result.rejected_at IS NULL"),
    "approved": _RECENT.format(slot="$4", wanted="result.approved_at IS NOT NULL"),
    "rejected": _RECENT.format(slot="$4", wanted="result.rejected_at IS NOT NULL"),
}


class Place(NamedTuple):
    """Where a picture stands in a list: when it was taken, and its job."""

    taken_at: datetime
    job_id: UUID


NEWEST: Final = Place(datetime(2100, 1, 1, tzinfo=UTC), UUID(int=0))
"""Where a list begins that shows the newest first."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and where it goes on."""

    rows: list[dict[str, Any]]
    meta: PageMeta


async def gallery(db: Db, slot: Slot, after: Place, limit: int) -> Page:
    """What a guest may see of a slot, from behind `after` on. Raises DatabaseUnavailable."""
    return _page(await db.fetch(_GALLERY, *after, limit + 1, slot.id, slot.moderated), limit)


async def galleries(db: Db, slots: Sequence[Slot], limit: int) -> dict[str, list[dict[str, Any]]]:
    """What a guest may see of each of several slots, by slot id. Raises DatabaseUnavailable."""
    return {slot.id: (await gallery(db, slot, NEWEST, limit)).rows for slot in slots}


async def desk(db: Db, slot_id: str, state: State, after: Place, limit: int) -> Page:
    """What a moderator sees of a slot, from behind `after` on. Raises DatabaseUnavailable."""
    return _page(await db.fetch(_DESK[state], *after, limit + 1, slot_id), limit)


def _page(rows: Sequence[Mapping[str, Any]], limit: int) -> Page:
    fitting = [_told(row) for row in rows if row["fits"]]
    last: Mapping[str, Any] | None = None
    if len(fitting) > limit:
        last = fitting[limit - 1]
    elif rows and rows[-1]["place"] == SCAN:
        last = rows[-1]
    return Page(fitting[:limit], PageMeta(None if last is None else cursor_of(_place_of(last))))


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("slot_id", "place", "fits")}


def _place_of(row: Mapping[str, Any]) -> Place:
    return Place(row["taken_at"], row["job_id"])
