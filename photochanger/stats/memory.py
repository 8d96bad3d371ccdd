"""What is counted in memory until it is written: refusals that made no job, and minutes of being ready."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

MOST: Final = 20_000
"""Kinds of refusal (slot, reason, hour) and hours that are remembered: weeks without PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Refusals that are being written: whether they have been is known by `id`, so they are never written twice."""

    id: UUID
    counts: tuple[tuple[str, datetime, str, int], ...]
    """Slot, hour, reason, how many."""


class Refusals:
    """Photos that were refused before they became jobs. Synchronous: counting costs a dictionary look-up."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._counts: Counter[tuple[str, datetime, str]] = Counter()
        self._batch: Batch | None = None
        self.dropped = 0
        """Refusals that found no room."""

    def add(self, slot_id: str, reason: str) -> None:
        """One more; `slot_id` is that of a slot that exists, or `unknown`."""
        key = (slot_id, _hour(self._now()), reason)
        if key in self._counts or len(self._counts) < MOST:
            self._counts[key] += 1
        else:
            self.dropped += 1

    def batch(self) -> Batch | None:
        """What is to be written now: the batch whose end nobody knows, or all that has come since; None = nothing."""
        if self._batch is None and self._counts:
            self._batch = Batch(uuid4(), tuple((*key, count) for key, count in self._counts.items()))
            self._counts = Counter()
        return self._batch

    def written(self, batch: Batch) -> None:
        """It is in the rows."""
        if self._batch is batch:
            self._batch = None


class Uptime:
    """Minutes in which the house was seen up and ready, as a map of 60 bits per hour."""

    def __init__(self) -> None:
        self._hours: dict[datetime, int] = {}

    def seen(self, moment: datetime) -> None:
        """The house is ready at this moment."""
        hour = _hour(moment)
        if hour in self._hours or len(self._hours) < MOST:
            self._hours[hour] = self._hours.get(hour, 0) | 1 << moment.minute

    def unwritten(self) -> tuple[list[datetime], list[int]]:
        """The hours that are not in the rows yet, and their minutes. Written twice they do no harm."""
        return list(self._hours), list(self._hours.values())

    def written(self, hours: Iterable[datetime], maps: Iterable[int]) -> None:
        """These are in the rows; what was seen meanwhile stays."""
        for hour, minutes in zip(hours, maps, strict=True):
            left = self._hours[hour] & ~minutes
            if left:
                self._hours[hour] = left
            else:
                del self._hours[hour]


def _hour(moment: datetime) -> datetime:
    utc = moment.astimezone(UTC)
    return utc - timedelta(minutes=utc.minute, seconds=utc.second, microseconds=utc.microsecond)
