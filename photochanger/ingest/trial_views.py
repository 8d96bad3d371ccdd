"""What test runs and re-runs are asked and answer, as types."""

from typing import Annotated, Any
from uuid import UUID

import msgspec

from photochanger.ingest.overrides import SlotOverrides
from photochanger.jobs.told import AttemptView
from photochanger.web.contract import FieldError

MOST_VARIANTS = 4

VARIANTS: Any = Annotated[list[SlotOverrides], msgspec.Meta(min_length=1, max_length=MOST_VARIANTS)]


class VariantView(msgspec.Struct):
    """What one variant came to. `status` is the job's, or `refused` where there was no room for one.

    `processing` = the window is over and the work goes on, as the slot's `on_timeout` says. `result_kind` and
    `failure_reason` tell what a booth would have got inside its window; `url` is there once the picture is.
    `latency_ms` is from the request's first byte to that answer. `warnings` are what is wrong with the slot as it was
    tried, although the variant did not bring it about.
    """

    variant: int
    job_id: UUID | None
    status: str
    failure_reason: str | None
    retry_after: int | None
    result_kind: str | None
    url: str | None
    mime: str | None
    bytes: int | None
    width: int | None
    height: int | None
    latency_ms: int | None
    cost_microusd: int
    attempts: list[AttemptView]
    warnings: list[FieldError]


class TestRunView(msgspec.Struct):
    """One photo, tried in up to four ways at once. Its jobs have `test_id` in common."""

    test_id: UUID
    slot_id: str
    slot_version: int
    variants: list[VariantView]


class RerunIn(msgspec.Struct, forbid_unknown_fields=True):
    """How the photo is tried again: as the slot is now, but for the overrides."""

    overrides: SlotOverrides = SlotOverrides()


class RerunView(msgspec.Struct):
    """The new job, which is at work. `url` will be the picture's address, `job_url` tells how the work stands."""

    job_id: UUID
    rerun_of: UUID
    slot_id: str
    slot_version: int
    job_url: str
    url: str
    warnings: list[FieldError]


FORM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["fileToUpload"],
    "properties": {
        "fileToUpload": {"type": "string", "contentMediaType": "image/jpeg", "description": "The photo."},
        "variants": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "A JSON list of 1 to 4 SlotOverrides; without it the slot is tried as it is.",
        },
    },
    "additionalProperties": {"type": "string", "description": "Ignored."},
}
