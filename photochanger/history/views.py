"""What is told of jobs and their results, as types: the contract is made from them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from photochanger.jobs.told import AttemptView, picture_url, preview_url


class JobView(msgspec.Struct):
    """A photo's work. `status` is the work, `reply_*` what the booth got.

    Whoever knows the id sees the first part, until the result has expired, or could have if there were one; the rest
    needs `stats:read`. `original_until` is how long the guest's photo is kept, null where it is not.
    """

    job_id: UUID
    slot_id: str
    status: str
    failure_reason: str | None
    reply_kind: str | None
    reply_status: int | None
    replied_at: datetime | None
    late: bool
    retries: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    url: str | None
    slot_version: int | UnsetType = UNSET
    source: str | UnsetType = UNSET
    requested_by: str | UnsetType | None = UNSET
    rerun_of: UUID | UnsetType | None = UNSET
    test_id: UUID | UnsetType | None = UNSET
    variant: int | UnsetType | None = UNSET
    provider: str | UnsetType = UNSET
    photo_name: str | UnsetType | None = UNSET
    request_bytes: int | UnsetType = UNSET
    request_sha256: str | UnsetType = UNSET
    idempotency_key: str | UnsetType | None = UNSET
    client_fields: dict[str, str] | UnsetType = UNSET
    received_at: datetime | UnsetType | None = UNSET
    deadline: datetime | UnsetType = UNSET
    settle_by: datetime | UnsetType = UNSET
    joined: int | UnsetType | None = UNSET
    cost_microusd: int | UnsetType = UNSET
    preview_url: str | UnsetType | None = UNSET
    original_until: datetime | UnsetType | None = UNSET
    attempts: list[AttemptView] | UnsetType = UNSET


class JobRowView(msgspec.Struct):
    """A job in a list; `url` and `preview_url` are there while its picture is, and not rejected."""

    job_id: UUID
    slot_id: str
    source: str
    status: str
    failure_reason: str | None
    reply_kind: str | None
    reply_status: int | None
    photo_name: str | None
    provider: str
    cost_microusd: int
    received_at: datetime | None
    created_at: datetime
    replied_at: datetime | None
    finished_at: datetime | None
    late: bool
    retries: int
    joined: int | None
    requested_by: str | None
    rerun_of: UUID | None
    test_id: UUID | None
    variant: int | None
    expires_at: datetime | None
    url: str | None
    preview_url: str | None


class JobsMeta(msgspec.Struct):
    """`next_cursor` goes on where this page ends; null = there is nothing more. Pages before may be short."""

    limit: int
    next_cursor: str | None


class JobsView(msgspec.Struct):
    """Jobs, the newest first."""

    data: list[JobRowView]
    meta: JobsMeta


class ResultView(msgspec.Struct):
    """A result: the file's facts and its public address. Who made it, for how much and by which calls needs
    `stats:read`; `url` is null once the picture has expired or was rejected, which strangers are told nothing of.
    """

    job_id: UUID
    slot_id: str
    mime: str
    bytes: int
    width: int
    height: int
    sha256: str
    late: bool
    created_at: datetime
    expires_at: datetime
    url: str | None
    attempt_id: UUID | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    cost_microusd: int | UnsetType = UNSET
    attempts: list[AttemptView] | UnsetType = UNSET


class StoppedView(msgspec.Struct):
    """A job that was stopped: what it came to, what its booth was told, and what may have been spent."""

    job_id: UUID
    slot_id: str
    status: str
    failure_reason: str | None
    reply_kind: str | None
    reply_status: int | None
    cost_microusd: int


_TOLD_APART = {"url", "preview_url", "attempts", "request_sha256"}
PUBLIC = tuple(name for name in JobView.__struct_fields__[: JobView.__struct_fields__.index("url")])
"""What whoever knows the id sees, but for the URL."""
KNOWN = tuple(name for name in JobView.__struct_fields__ if name not in {*PUBLIC, *_TOLD_APART})


def job_view(row: Mapping[str, Any], attempts: list[AttemptView] | None) -> JobView:
    """The view of a row of `queries.find_job`; `attempts` None = for a stranger."""
    view = JobView(url=picture_url(row["job_id"]) if row["shown"] else None, **{name: row[name] for name in PUBLIC})
    if attempts is not None:
        for name in KNOWN:
            setattr(view, name, row[name])
        view.request_sha256 = row["request_sha256"].hex()
        view.preview_url = preview_url(row["job_id"]) if row["shown"] else None
        view.attempts = attempts
    return view


def job_row_view(row: Mapping[str, Any]) -> JobRowView:
    """The view of a row of a list."""
    url = picture_url(row["job_id"]) if row["shown"] else None
    preview = preview_url(row["job_id"]) if row["shown"] else None
    named = {name: row[name] for name in JobRowView.__struct_fields__ if name not in {"url", "preview_url"}}
    return JobRowView(url=url, preview_url=preview, **named)


def result_view(row: Mapping[str, Any], attempts: list[AttemptView] | None) -> ResultView:
    """The view of a row of `queries.find_result`; `attempts` None = for a stranger."""
    told = {"url", "sha256", "attempt_id", "provider", "model", "cost_microusd", "attempts"}
    named = {name: row[name] for name in ResultView.__struct_fields__ if name not in told}
    url = picture_url(row["job_id"]) if row["shown"] else None
    view = ResultView(sha256=row["sha256"].hex(), url=url, **named)
    if attempts is not None:
        view.attempt_id, view.provider, view.model = row["attempt_id"], row["provider"], row["model"]
        view.cost_microusd = row["cost_microusd"]
        view.attempts = attempts
    return view
