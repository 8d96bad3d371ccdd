"""Second pictures that were paid for: kept beside the result where the slot says so."""

import logging
from collections.abc import Iterable
from uuid import uuid5

from photochanger.domain.records import JobRow, MediaRow
from photochanger.errors import StorageUnavailable
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.workshop import Workshop, utc_now

log = logging.getLogger(__name__)


async def keep_spares(workshop: Workshop, row: JobRow, attempts: Iterable[Attempt]) -> tuple[MediaRow, ...]:
    """Keep the pictures of these attempts, which have one and did not win, as far as the disk takes them; their rows.

    None where everything of the job was removed meanwhile.
    """
    kept = []
    for attempt in attempts:
        assert attempt.verified is not None
        if not await workshop.store.files_are_wanted(row.id):
            break
        number = attempt.errand.number
        name = f"{row.id}-spare-{number}"
        try:
            stored = await workshop.media.keep_result(attempt.verified.path, name, attempt.verified.mime)
        except StorageUnavailable:
            # Its row must still tell what it cost.
            log.exception("a spare of job %s cannot be kept", row.id)
            continue
        now = utc_now()
        kept.append(
            MediaRow(
                uuid5(row.id, f"spare-{number}"),
                row.id,
                row.slot_id,
                "provider",
                stored.path,
                now,
                now + workshop.result_ttl,
            )
        )
    return tuple(kept)
