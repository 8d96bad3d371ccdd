"""The end of a job: file durable, then rows or journal, then the reply. Runs shielded, once per job."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid4, uuid5

import trio

from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow, Change, JobRow, MediaRow, ResultRow
from photochanger.errors import StorageUnavailable
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply, ReplyCell
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.store import StoredFile, preview_path
from photochanger.media.verify import Verified

log = logging.getLogger(__name__)

ROWS_BOUND = 5.0
"""Seconds that writing the rows may take, however long the picture took: PostgreSQL's patience and a journal entry."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a job came to: a picture, or the reason why there is none, and `without` one the reply."""

    status: JobStatus
    reason: Reason | None
    picture: Verified | None = None
    kind: ReplyKind = ReplyKind.AI
    attempt_id: UUID | None = None
    without: Reply | None = None


async def settle(
    workshop: Workshop,
    row: JobRow,
    cell: ReplyCell,
    attempts: tuple[AttemptRow, ...],
    settlement: Settlement,
    *,
    original: MediaRow | None = None,
    again: bool = False,
) -> tuple[JobRow, StoredFile | None]:
    """Make the outcome durable and answer; the row as it is now, and the file that is kept, where there is one.

    The cell is resolved even when neither disk nor database work. `again` takes up what an earlier call left
    behind when it raised: a picture that was kept then is not where it was, and rows written twice do no harm.
    `original` is where the guest's photo is going to be kept.
    """
    cell.settling = True
    stored: StoredFile | None = None
    reply = settlement.without or ErrorReply(settlement.reason or Reason.INTERNAL_ERROR)
    if settlement.picture is not None:
        try:
            started = trio.current_time()
            with workshop.metrics.stage("store"):
                stored = await _keep(workshop, row, settlement.picture, again)
            workshop.reserve.stored(trio.current_time() - started, stored.bytes)
            reply = _picture_reply(settlement, stored, workshop)
        except StorageUnavailable:
            # The disk is full, but the picture was paid for and the booth waits: it gets it from memory.
            log.exception("the picture of job %s cannot be stored", row.id)
            with trio.CancelScope(deadline=trio.current_time() + ROWS_BOUND, shield=True):
                reply = await _unstored_reply(settlement)
            settlement = Settlement(JobStatus.FAILED, Reason.STORAGE_UNAVAILABLE)
    now = utc_now()
    row = replace(
        row,
        status=settlement.status,
        failure_reason=settlement.reason,
        cost_microusd=sum(attempt.cost_microusd for attempt in attempts),
        finished_at=now,
    )
    promised, told_504 = cell.outlook(reply), cell.told_504(reply)
    try:
        # A slow disk may have used up the caller's bound: the rows have one of their own, or they would stay open.
        with workshop.metrics.stage("rows"), trio.CancelScope(deadline=trio.current_time() + ROWS_BOUND, shield=True):
            change = _change(replied(row, promised, told_504=told_504), attempts, settlement, stored, workshop)
            await workshop.store.save(replace(change, media=(*change.media, *([original] if original else []))))
    finally:
        got, was_told_504 = cell.outlook(reply), cell.told_504(reply)
        cell.resolve(reply)
    if got is not promised or was_told_504 != told_504:
        # The booth left, or was told 504, while the rows were being written.
        with trio.CancelScope(deadline=trio.current_time() + ROWS_BOUND, shield=True):
            await workshop.store.save(Change(replied(row, got, told_504=was_told_504)))
    return replied(row, got, told_504=was_told_504), stored


async def _keep(workshop: Workshop, row: JobRow, picture: Verified, again: bool) -> StoredFile:
    kept = await workshop.media.find_result(str(row.id)) if again else None
    return kept or await workshop.media.keep_result(picture.path, str(row.id), picture.mime)


def replied(row: JobRow, got: Reply | None, *, told_504: bool) -> JobRow:
    """The row with what its booths got: the best of it, and whether one of them got 504."""
    row = replace(row, told_504=told_504)
    if got is None:
        nothing = replace(row, reply_kind=ReplyKind.NONE, reply_status=None, replied_at=None)
        return replace(nothing, late=row.status is JobStatus.DONE)
    late = row.status is JobStatus.DONE and not (isinstance(got, PictureReply) and not got.stand_in)
    return replace(row, reply_kind=got.kind, reply_status=got.status, replied_at=utc_now(), late=late)


async def _unstored_reply(settlement: Settlement) -> Reply:
    picture = settlement.picture
    assert picture is not None
    try:
        data = await trio.to_thread.run_sync(picture.path.read_bytes)
    except OSError:
        return ErrorReply(Reason.STORAGE_UNAVAILABLE)
    return PictureReply(
        settlement.kind, picture.path, picture.mime, len(data), picture.width, picture.height, data=data
    )


def _picture_reply(settlement: Settlement, stored: StoredFile, workshop: Workshop) -> PictureReply:
    picture = settlement.picture
    assert picture is not None
    path = workshop.media.locate(stored.path)
    return PictureReply(settlement.kind, path, picture.mime, stored.bytes, picture.width, picture.height)


def _change(
    row: JobRow,
    attempts: tuple[AttemptRow, ...],
    settlement: Settlement,
    stored: StoredFile | None,
    workshop: Workshop,
) -> Change:
    if settlement.picture is None or stored is None:
        return Change(row, attempts)
    created = utc_now()
    expires = created + workshop.result_ttl
    result = ResultRow(
        id=uuid4(),
        job_id=row.id,
        attempt_id=settlement.attempt_id,
        mime=settlement.picture.mime,
        sha256=bytes.fromhex(stored.sha256),
        width=settlement.picture.width,
        height=settlement.picture.height,
        path=stored.path,
        created_at=created,
        expires_at=expires,
        bytes=stored.bytes,
    )
    return Change(
        row,
        attempts,
        result,
        (
            _media(row, "result", stored.path, created, expires),
            _media(row, "preview", preview_path(stored.path), created, expires),
        ),
    )


def _media(row: JobRow, scope: str, path: str, created: datetime, expires: datetime) -> MediaRow:
    # The same id each time: written again, it stays one row.
    return MediaRow(uuid5(row.id, scope), row.id, row.slot_id, scope, path, created, expires)
