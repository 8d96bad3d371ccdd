"""Rows as values: what a job, an attempt and a picture are in PostgreSQL and in the journal.

Each write carries whole rows, so writing one twice, or an older one after a newer one, changes nothing.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from photochanger.domain.job import JobStatus, ReplyKind, Source
from photochanger.domain.outcome import AttemptOutcome
from photochanger.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of `job`; the fields are its columns."""

    id: UUID
    slot_id: str
    slot_version: int
    provider: str
    deadline: datetime
    settle_by: datetime
    request_bytes: int
    request_sha256: bytes
    photo_name: str | None
    created_at: datetime
    client_fields: dict[str, str] = field(default_factory=dict)
    source: Source = Source.INGEST
    status: JobStatus = JobStatus.QUEUED
    failure_reason: Reason | None = None
    reply_kind: ReplyKind | None = None
    reply_status: int | None = None
    replied_at: datetime | None = None
    provider_async_id: str | None = None
    retries: int = 0
    told_504: bool = False
    """A booth was told that there is no picture in time; another one of the same photo may have got it yet."""
    late: bool = False
    cost_microusd: int = 0
    idempotency_key: str | None = None
    joined: int = 0
    received_at: datetime | None = None
    """The request's first byte."""
    requested_by: str | None = None
    """Who asked for a test or a re-run."""
    rerun_of: UUID | None = None
    test_id: UUID | None = None
    """What the variants of one test have in common."""
    variant: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of `attempt`. `outcome` None means begun: money may be on its way."""

    id: UUID
    job_id: UUID
    number: int
    provider: str
    model: str
    begun_at: datetime
    estimate_microusd: int = 0
    handle: str | None = None
    outcome: str | None = None
    finish_reason: str | None = None
    provider_error_code: str | None = None
    http_status: int | None = None
    message: str | None = None
    response_id: str | None = None
    model_version: str | None = None
    latency_ms: int | None = None
    tokens: dict[str, int] | None = None
    cost_microusd: int = 0
    possibly_billed: bool = False
    hedged: bool = False
    finished_at: datetime | None = None

    def ended(self, outcome: AttemptOutcome, at: datetime, latency: float) -> "AttemptRow":
        """This row with what the call came to; `latency` in seconds."""
        usage = outcome.usage
        tokens = {
            name: count
            for name in ("prompt", "candidates", "candidates_image", "thoughts", "total")
            if (count := getattr(usage, name)) is not None
        }
        return replace(
            self,
            outcome=outcome.verdict.value,
            finish_reason=outcome.finish_reason,
            provider_error_code=outcome.error_code,
            http_status=outcome.http_status,
            message=outcome.message,
            response_id=outcome.response_id,
            model_version=outcome.model_version,
            latency_ms=round(latency * 1000),
            tokens=tokens or None,
            # Money that may have been spent is booked as spent: no charge that is not booked.
            cost_microusd=outcome.cost_microusd or (self.estimate_microusd if outcome.possibly_billed else 0),
            possibly_billed=outcome.possibly_billed,
            finished_at=at,
        )


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of `result`; `path` is relative to the media root."""

    id: UUID
    job_id: UUID
    attempt_id: UUID | None
    mime: str
    sha256: bytes
    width: int
    height: int
    path: str
    created_at: datetime
    expires_at: datetime
    bytes: int  # last: from here on the name hides the type


@dataclass(frozen=True, slots=True)
class MediaRow:
    """A row of `media_object`: one file, and when it must be gone."""

    id: UUID
    job_id: UUID
    slot_id: str
    scope: str
    path: str
    created_at: datetime
    expires_at: datetime
    cleaned_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is written together or not at all."""

    job: JobRow
    attempts: tuple[AttemptRow, ...] = ()
    result: ResultRow | None = None
    media: tuple[MediaRow, ...] = ()

    def as_params(self) -> tuple[list[dict[str, Any]], ...]:
        """The rows as JSON-able records, in the order of the store's statement: job, attempt, result, media."""
        return (
            [record(self.job)],
            [record(row) for row in self.attempts],
            [record(self.result)] if self.result else [],
            [record(row) for row in self.media],
        )


def record(row: Any) -> dict[str, Any]:
    """A row as PostgreSQL's `jsonb_populate_record` takes it: text for times and ids, hex for bytes."""
    return {name: _plain(getattr(row, name)) for name in row.__slots__}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, UUID):
        return str(value)
    return value
