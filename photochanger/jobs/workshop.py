"""What every job works with: the parts of the house that it uses, and how long things are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from photochanger.jobs.activity import Activity
from photochanger.jobs.store import JobStore
from photochanger.media.store import MediaStore
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.group import ProviderGroup


@dataclass(frozen=True, slots=True)
class Workshop:
    """The job's tools, tied together by the composition root."""

    store: JobStore
    media: MediaStore
    pictures: PictureThreads
    groups: Mapping[str, ProviderGroup]
    metrics: Metrics
    activity: Activity
    result_ttl: timedelta
    max_pixels: int


def utc_now() -> datetime:
    """The wall clock, for rows; every wait goes by Trio's clock instead."""
    return datetime.now(UTC)
