"""A picture as guests see it: nothing of the work behind it, of the slot, or of the photo's name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from photochanger.jobs.told import picture_url, preview_url

Limit = Annotated[int, msgspec.Meta(ge=1, le=50, description="How many pictures at most.")]


class Picture(msgspec.Struct):
    """A picture of a gallery. `url` and `preview_url` are paths at this service; width and height are in pixels."""

    taken_at: datetime
    url: str
    preview_url: str
    width: int
    height: int
    expires_at: datetime


def picture(row: Mapping[str, Any]) -> Picture:
    """A row of `listing` for guests."""
    url, preview = picture_url(row["job_id"]), preview_url(row["job_id"])
    return Picture(row["taken_at"], url, preview, row["width"], row["height"], row["expires_at"])
