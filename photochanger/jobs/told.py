"""What is told of a provider call, to those who may know, and where a job's picture is."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from photochanger.domain.records import AttemptRow


class AttemptView(msgspec.Struct):
    """One provider call. `outcome` null = it is running; `message` is the provider's own text, shortened.

    `possibly_billed` = it was cut off, and its cost is an estimate.
    """

    number: int
    provider: str
    model: str
    model_version: str | None
    outcome: str | None
    finish_reason: str | None
    provider_error_code: str | None
    http_status: int | None
    message: str | None
    response_id: str | None
    latency_ms: int | None
    tokens: dict[str, int] | None
    estimate_microusd: int
    cost_microusd: int
    possibly_billed: bool
    hedged: bool
    begun_at: datetime
    finished_at: datetime | None


ATTEMPT_FIELDS = AttemptView.__struct_fields__
"""They are columns of `attempt`, too."""


def picture_url(job_id: UUID) -> str:
    """The path of a job's picture at this service, once there is one."""
    return f"/public/results/{job_id}"


def preview_url(job_id: UUID) -> str:
    """Where a small one of it is."""
    return f"{picture_url(job_id)}/preview"


def attempt_view(row: AttemptRow) -> AttemptView:
    """The view of a call that is known here."""
    values: dict[str, Any] = {name: getattr(row, name) for name in ATTEMPT_FIELDS}
    return AttemptView(**values)
