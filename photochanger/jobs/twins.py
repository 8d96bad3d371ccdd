"""Repeats of a photo: a booth that sends the same one again gets the same work, running or done, and no second charge.

What this process knows is looked up without a checkpoint, so of twenty equal photos at the same instant one becomes
a job. What an earlier process did is asked of PostgreSQL.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import trio

from photochanger.db.facade import Db
from photochanger.domain.job import ReplyKind
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import DatabaseUnavailable, Refusal
from photochanger.jobs.job import Job
from photochanger.jobs.reply import PictureReply
from photochanger.jobs.ways import reply_kind_of
from photochanger.media.store import MediaStore

KEY_LIFE: Final = 24 * 3600.0
"""Seconds for which an Idempotency-Key means the photo that it came with."""
MOST: Final = 20_000
"""Photos and keys that are remembered in memory."""
ASK_BOUND: Final = 0.5
"""Seconds for PostgreSQL to say what an earlier process did; the photo is taken as new when it does not."""

_KEY: Final = re.compile(r"[!-~]{1,255}")

_BY_KEY: Final = """
SELECT job.id, job.request_sha256, job.reply_kind, result.path, result.mime, result.bytes, result.width, result.height,
       coalesce(attempt.provider, job.provider) AS made_by
FROM job LEFT JOIN result ON result.job_id = job.id AND result.expires_at > now()
         LEFT JOIN attempt ON attempt.id = result.attempt_id
WHERE job.slot_id = $1 AND job.idempotency_key = $2 AND job.created_at > now() - make_interval(secs => $3)
      AND job.source = 'ingest'
ORDER BY job.created_at DESC LIMIT 1
"""

_BY_PHOTO: Final = """
SELECT job.id, job.request_sha256, job.reply_kind, result.path, result.mime, result.bytes, result.width, result.height,
       coalesce(attempt.provider, job.provider) AS made_by
FROM job JOIN result ON result.job_id = job.id AND result.expires_at > now()
         LEFT JOIN attempt ON attempt.id = result.attempt_id
WHERE job.slot_id = $1 AND job.slot_version = $4 AND job.request_sha256 = $2 AND job.source = 'ingest'
      AND job.finished_at > now() - make_interval(secs => $3)
ORDER BY job.created_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished twin and its picture."""

    job_id: UUID
    reply: PictureReply


class _Known:
    """One photo that is remembered: its job while that is at work, then what it came to."""

    def __init__(self, job: Job) -> None:
        self.sha256 = job.upload.sha256
        self.job: Job | None = job
        self.done: Done | None = None
        self.settled_at: float | None = None

    @property
    def twin(self) -> "Job | Done | None":
        """What a repeat gets; None when the job came to nothing, or will."""
        return self.done or (self.job if self.job is not None and self.job.may_be_joined else None)

    def settle(self, reply: PictureReply | None) -> None:
        """The job has settled: from here on only its answer is kept."""
        if self.job is not None and reply is not None and reply.data is None:
            self.done = Done(self.job.id, reply)
        self.job = None
        self.settled_at = trio.current_time()

    def is_old(self, life: float) -> bool:
        """It was settled longer ago than that."""
        return self.settled_at is not None and trio.current_time() >= self.settled_at + life


def checked_key(key: str | None) -> str | None:
    """An Idempotency-Key that can be one. Raises Refusal (invalid_request)."""
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Refusal(Reason.INVALID_REQUEST, "Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return key


class Twins:
    """Which photos are at work or were done lately, by photo and by Idempotency-Key."""

    def __init__(self, db: Db, media: MediaStore) -> None:
        self._db = db
        self._media = media
        self._born = trio.current_time()
        self._photos: OrderedDict[Any, _Known] = OrderedDict()
        self._keys: OrderedDict[Any, _Known] = OrderedDict()

    def find(self, slot: Slot, sha256: bytes, key: str | None) -> Job | Done | None:
        """The job that a repeat joins, or the answer that it gets. Raises Refusal (idempotency_conflict).

        Jobs that came to nothing are no twins: whoever sends the photo again wants another try.
        """
        if key is not None:
            known = self._keys.get((slot.id, key))
            if known is not None and not known.is_old(KEY_LIFE):
                if known.sha256 != sha256:
                    raise Refusal(Reason.IDEMPOTENCY_CONFLICT)
                if known.twin is not None:
                    return known.twin
        known = self._photos.get((slot.id, slot.version, sha256))
        if known is None or known.is_old(slot.dedupe_seconds) or known.twin is None:
            return None
        if key is not None:
            # Found by its photo, but the key means it from now on: longer than the photo alone does.
            _keep(self._keys, (slot.id, key), known)
        return known.twin

    async def look_up(self, slot: Slot, sha256: bytes, key: str | None) -> Done | None:
        """What an earlier process did with this photo or key. Raises Refusal (idempotency_conflict)."""
        row = None
        try:
            with trio.move_on_after(ASK_BOUND):
                if key is not None and (slot.id, key) not in self._keys:
                    row = await self._db.fetchrow(_BY_KEY, slot.id, key, KEY_LIFE)
                    if row is not None and row["request_sha256"] != sha256:
                        raise Refusal(Reason.IDEMPOTENCY_CONFLICT)
                if row is None and trio.current_time() - self._born < slot.dedupe_seconds:
                    row = await self._db.fetchrow(_BY_PHOTO, slot.id, sha256, float(slot.dedupe_seconds), slot.version)
        except DatabaseUnavailable:
            return None
        if row is None or row["path"] is None:
            return None
        path = self._media.locate(row["path"])
        kind = _kind(slot, row["reply_kind"], row["made_by"])
        reply = PictureReply(kind, path, row["mime"], row["bytes"], row["width"], row["height"])
        return Done(row["id"], reply)

    def forget(self, done: Done, slot: Slot, sha256: bytes, key: str | None) -> None:
        """The picture of a finished twin has gone: the photo is a new one, unless a newer job has it already."""
        for known, what in ((self._photos, (slot.id, slot.version, sha256)), (self._keys, (slot.id, key))):
            if (found := known.get(what)) is not None and found.done is done:
                del known[what]

    def remember(self, job: Job, key: str | None) -> None:
        """This job is at work from now on. Synchronous: call it together with handing the job over."""
        known = _Known(job)
        job.on_settled = known.settle
        if job.slot.dedupe_seconds:
            _keep(self._photos, (job.slot.id, job.slot.version, known.sha256), known)
        if key is not None:
            _keep(self._keys, (job.slot.id, key), known)


def _kind(slot: Slot, told: str | None, made_by: str) -> ReplyKind:
    """What the picture was called when a booth got it; where none did, what its provider's place in the slot says."""
    if told in (ReplyKind.AI, ReplyKind.FALLBACK):
        return ReplyKind(told)
    numbers = [number for number, plan in enumerate(slot.plans) if plan.provider == made_by]
    return reply_kind_of(slot, numbers[0]) if numbers else ReplyKind.AI


def _keep(where: "OrderedDict[Any, _Known]", what: object, known: _Known) -> None:
    where[what] = known
    where.move_to_end(what)
    while len(where) > MOST:
        where.popitem(last=False)
