"""A result's preview: nobody waits for it, so it is made in a pause of the work."""

import logging
from pathlib import Path
from uuid import UUID

from photochanger.errors import PictureError, StorageUnavailable
from photochanger.jobs.workshop import Workshop
from photochanger.media.store import StoredFile
from photochanger.media.threads import Priority
from photochanger.media.verify import write_preview

log = logging.getLogger(__name__)

PREVIEWS_WAITING = 16
"""Previews that may wait for a pause in the work; each keeps its job's temp folder until then."""


async def keep_preview(workshop: Workshop, job_id: UUID, kept: StoredFile | None, folder: Path) -> None:
    """Make and keep the preview of `kept`, by way of `folder`. Never raises: a picture is good without one, too.

    Under a long rush it is not made: then it is when it is first looked at.
    """
    if kept is None or workshop.activity.waiting >= PREVIEWS_WAITING:
        return
    preview = folder / "preview"
    try:
        async with workshop.activity.spare_time():
            picture = workshop.media.locate(kept.path)
            await workshop.pictures.run(Priority.PREVIEW, write_preview, picture, preview)
            if await workshop.store.files_are_wanted(job_id):
                await workshop.media.keep_preview(preview, kept.path)
    except (StorageUnavailable, PictureError):
        log.exception("the preview of %s was not written", kept.path)
