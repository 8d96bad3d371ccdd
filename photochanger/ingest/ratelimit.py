"""How often photos are taken in: one limit for the whole house, and one for each slot that has its own."""

from math import ceil
from typing import Final

from photochanger.domain.ratelimit import Bucket
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal

HOUSE: Final = "house"
SLOT: Final = "slot"


class RateLimits:
    """The buckets of the house and of its slots. `now` is always `trio.current_time()`.

    A bucket starts anew, full, when its limit is changed. `rate_burst` None means a minute's worth at once.
    """

    def __init__(self, rate_per_second: float, burst: int) -> None:
        self._house = Bucket(rate_per_second, burst)
        self._slots: dict[str, Bucket] = {}

    def set_house(self, rate_per_second: float, burst: int) -> None:
        """The house's limit from now on."""
        if (self._house.rate, self._house.burst) != (rate_per_second, burst):
            self._house = Bucket(rate_per_second, burst)

    def take(self, slot: Slot, now: float) -> None:
        """Count one photo in all buckets that it needs, or in none.

        Raises Refusal, `rate_limited`, with the seconds until all of them have room.
        """
        buckets = self._buckets(slot)
        wait = max(bucket.wait(now) for _, bucket in buckets)
        if wait > 0:
            raise Refusal(Reason.RATE_LIMITED, retry_after=ceil(wait))
        for _, bucket in buckets:
            bucket.take(now)

    def headers(self, slot: Slot, now: float) -> list[tuple[str, str]]:
        """The limits and what is left of them, as draft-ietf-httpapi-ratelimit-headers-10 writes it.

        `q` is the burst and `w` the seconds in which it fills up again; `r` is what is left and `t` the seconds until
        it is full.
        """
        policies: list[str] = []
        states: list[str] = []
        for name, bucket in self._buckets(slot):
            policies.append(f'"{name}";q={bucket.burst};w={max(1, ceil(bucket.burst / bucket.rate))}')
            states.append(f'"{name}";r={bucket.left(now)};t={ceil(bucket.until_full(now))}')
        return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(states))]

    def _buckets(self, slot: Slot) -> list[tuple[str, Bucket]]:
        buckets = [(HOUSE, self._house)]
        if slot.rate_per_minute is not None:
            rate, burst = slot.rate_per_minute / 60, slot.rate_burst or slot.rate_per_minute
            own = self._slots.get(slot.id)
            if own is None or (own.rate, own.burst) != (rate, burst):
                own = self._slots[slot.id] = Bucket(rate, burst)
            buckets.append((SLOT, own))
        return buckets
