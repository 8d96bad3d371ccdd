"""Why a job exists, and the row with which it begins."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import trio

from photochanger.domain.job import Source
from photochanger.domain.records import JobRow
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import utc_now


@dataclass(frozen=True, slots=True)
class Origin:
    """`requested_by` is who asked for a test or a re-run; `test_id` and `variant` (from 0) place it in its test."""

    source: Source = Source.INGEST
    idempotency_key: str | None = None
    requested_by: str | None = None
    rerun_of: UUID | None = None
    test_id: UUID | None = None
    variant: int | None = None

    @property
    def is_live(self) -> bool:
        """A booth sent the photo: it counts as one."""
        return self.source is Source.INGEST


LIVE = Origin()


def first_row(job_id: UUID, slot: Slot, upload: Upload, window: Window, origin: Origin) -> JobRow:
    """The row of a job that begins now; the window's moments as times of the wall clock."""
    now, present = utc_now(), trio.current_time()
    return JobRow(
        id=job_id,
        slot_id=slot.id,
        slot_version=slot.version,
        provider=slot.provider,
        deadline=now + timedelta(seconds=window.deadline - present),
        settle_by=now + timedelta(seconds=window.settle_by - present),
        request_bytes=upload.size,
        request_sha256=upload.sha256,
        photo_name=upload.name,
        client_fields=upload.fields,
        created_at=now,
        received_at=now - timedelta(seconds=present - window.started),
        source=origin.source,
        idempotency_key=origin.idempotency_key,
        requested_by=origin.requested_by,
        rerun_of=origin.rerun_of,
        test_id=origin.test_id,
        variant=origin.variant,
    )
