"""Which pictures a gallery shows: newest first, found through the slot's own index, however many rows there are."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from photochanger.db.facade import Db
from photochanger.domain.slot import Slot

State = Literal["pending", "approved", "rejected"]

# No result lives longer than 168 hours, so nothing older needs to be looked at: a quiet slot costs no walk through
# its history. A crash may have made the result later than its job, which is what the eighth day is for.
_RECENT: Final = """
SELECT job.id AS job_id, job.created_at AS taken_at, result.expires_at, result.width, result.height,
       result.approved_at, result.rejected_at, result.decided_by
FROM job JOIN result ON result.job_id = job.id
WHERE job.slot_id = {slot} AND job.source = 'ingest' AND job.created_at > now() - interval '8 days'
      AND (job.created_at, job.id) < ($1, $2) AND result.expires_at > now() AND {wanted}
ORDER BY job.created_at DESC, job.id DESC LIMIT $3
"""

_SHOWN: Final = "result.rejected_at IS NULL AND (result.approved_at IS NOT NULL OR NOT {moderated})"

_GALLERY: Final = _RECENT.format(slot="$4", wanted=_SHOWN.format(moderated="$5"))
_EACH: Final = """
SELECT asked.slot_id, shown.* FROM unnest($4::text[], $5::bool[]) AS asked (slot_id, moderated)
CROSS JOIN LATERAL ({}) AS shown
"""
_GALLERIES: Final = _EACH.format(
    _RECENT.format(slot="asked.slot_id", wanted=_SHOWN.format(moderated="asked.moderated"))
)
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


async def gallery(db: Db, slot: Slot, after: Place, limit: int) -> list[dict[str, Any]]:
    """What a guest may see of a slot, from behind `after` on. Raises DatabaseUnavailable."""
    return [dict(row) for row in await db.fetch(_GALLERY, *after, limit, slot.id, slot.moderated)]


async def galleries(db: Db, slots: Sequence[Slot], limit: int) -> dict[str, list[dict[str, Any]]]:
    """What a guest may see of each of several slots, by slot id. Raises DatabaseUnavailable."""
    found: dict[str, list[dict[str, Any]]] = {slot.id: [] for slot in slots}
    asked = ([slot.id for slot in slots], [slot.moderated for slot in slots])
    for row in await db.fetch(_GALLERIES, *NEWEST, limit, *asked):
        found[row["slot_id"]].append(dict(row))
    for pictures in found.values():
        pictures.sort(key=lambda row: (row["taken_at"], row["job_id"]), reverse=True)
    return found


async def desk(db: Db, slot_id: str, state: State, after: Place, limit: int) -> list[dict[str, Any]]:
    """What a moderator sees of a slot, from behind `after` on. Raises DatabaseUnavailable."""
    return [dict(row) for row in await db.fetch(_DESK[state], *after, limit, slot_id)]


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a row stands in its list."""
    return Place(row["taken_at"], row["job_id"])
