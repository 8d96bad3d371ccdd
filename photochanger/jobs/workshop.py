"""What every job works with: the parts of the house that it uses, and how long things are kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from photochanger.domain.policy import decide
from photochanger.domain.situation import Situation, Step
from photochanger.jobs.activity import Activity
from photochanger.jobs.hedges import EarlyHedges
from photochanger.jobs.ledger import Ledger
from photochanger.jobs.reserve import Reserve
from photochanger.jobs.shelf import TemplateShelf
from photochanger.jobs.store import JobStore
from photochanger.media.store import MediaStore
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.base import Publisher
from photochanger.providers.group import ProviderGroup


@dataclass(slots=True)
class Lifetimes:
    """How long things are kept, as the house has it now: a setting, which may change at any time."""

    result: timedelta
    original: timedelta = timedelta()
    """A guest's photo, after the reply; 0 = not at all."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The job's tools, tied together by the composition root. `decide` is the policy."""

    store: JobStore
    media: MediaStore
    pictures: PictureThreads
    groups: Mapping[str, ProviderGroup]
    metrics: Metrics
    activity: Activity
    ledger: Ledger
    hedges: EarlyHedges
    reserve: Reserve
    templates: TemplateShelf
    lifetimes: Lifetimes
    max_pixels: int
    publisher: Publisher | None = None
    has_public_address: bool = False
    decide: Callable[[Situation], Step] = field(default=decide)

    @property
    def result_ttl(self) -> timedelta:
        """How long a result is kept."""
        return self.lifetimes.result

    @property
    def original_ttl(self) -> timedelta:
        """How long a guest's photo is kept after the reply; 0 = not at all."""
        return self.lifetimes.original

    def as_it_is(self) -> "Workshop":
        """The same tools with the present settings, whatever they will be later: a photo keeps those it came under."""
        return replace(self, lifetimes=replace(self.lifetimes))


def utc_now() -> datetime:
    """The wall clock, for rows; every wait goes by Trio's clock instead."""
    return datetime.now(UTC)
