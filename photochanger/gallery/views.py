"""What reading back answers, as types: the contract is made from them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class JobView(msgspec.Struct):
    """A photo's work as whoever knows its id may see it. `status` is the work, `reply_*` what the booth got."""

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


class ResultView(msgspec.Struct):
    """A result: the file's facts and its public address."""

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
    url: str


def job_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's part of a JobView."""
    return {name: row[name] for name in JobView.__struct_fields__ if name != "url"}


def result_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row's part of a ResultView."""
    return {name: row[name] for name in ResultView.__struct_fields__ if name not in {"url", "sha256"}}
