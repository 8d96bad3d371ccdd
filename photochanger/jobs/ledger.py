"""The day's money: what may still be spent is held back before a call and booked after it.

Everything is decided without a checkpoint, so fifteen photos at the edge of a cap cannot pass it together. Amounts
are in microusd; the day is UTC's.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from photochanger.db.facade import Db
from photochanger.domain.budget import WARN_AT, Level, Spending
from photochanger.domain.slot import Slot

log = logging.getLogger(__name__)

# A call that never ended is counted as what was expected of it. Recovery has ended those of earlier runs by now.
_TODAY: Final = """
SELECT job.slot_id AS slot_id,
       sum(CASE WHEN attempt.outcome IS NULL THEN estimate_microusd ELSE attempt.cost_microusd END)::bigint AS spent
FROM attempt JOIN job ON job.id = attempt.job_id
WHERE attempt.begun_at >= $1
GROUP BY job.slot_id
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Reservation:
    """Money that is held back for one call. Whoever got it settles or releases it in the end, whatever happened.

    It belongs to the day on which it was made. One that is never settled counts until that day is over.
    """

    def __init__(self, ledger: "Ledger", spending: Spending, slot: Slot, estimate: int) -> None:
        self.estimate = estimate
        self._ledger = ledger
        self._slot = slot
        self._spending: Spending | None = spending
        spending.reserve(slot.id, estimate)

    def settle(self, actual: int) -> None:
        """Book what the call cost, also where that is more than was held back. Only the first time counts."""
        spending, self._spending = self._spending, None
        if spending is not None:
            spending.book(self._slot.id, self.estimate, actual)
            self._ledger.booked(self._slot)

    def release(self) -> None:
        """The call cost nothing, or was never made."""
        self.settle(0)


class Ledger:
    """The money of today. `cap_day_microusd` is the house's cap, each slot brings its own; None = no cap.

    The log is told of 50, 80 and 100 percent, once per day each. 100 comes at the latest when the cap has kept a call
    from being made: what is left may be less than any call costs.
    """

    def __init__(
        self,
        *,
        cap_day_microusd: int | None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._cap = cap_day_microusd
        self._clock = now
        self._begin_day(self._now().date(), Spending())

    @property
    def cap_day_microusd(self) -> int | None:
        """The house's cap."""
        return self._cap

    @cap_day_microusd.setter
    def cap_day_microusd(self, cap: int | None) -> None:
        """For every call from now on; what is held back for calls that run stays. The log tells of the new one anew."""
        if cap != self._cap:
            self._cap = cap
            self._warned.difference_update((None, percent) for percent in WARN_AT)
            self._warn(None)

    async def load(self, db: Db) -> None:
        """Replace what is known by what the rows say was spent today. Raises DatabaseUnavailable.

        For the start, when no call runs yet: what is held back is forgotten.
        """
        day = self._now().date()
        rows = await db.fetch(_TODAY, datetime.combine(day, time(), UTC))
        self._begin_day(day, Spending({row["slot_id"]: row["spent"] for row in rows}))
        self._warn(None)

    def affordable(self, slot: Slot, estimate: int) -> bool:
        """Would a call of this estimated cost stay within the slot's cap and the house's? 0 always does."""
        fits = True
        for whose in (slot, None):
            level = self.level(whose)
            if not level.fits(estimate):
                fits = False
                # What is held back may come free again: only what is spent is gone until tomorrow.
                self._warn(whose, used_up=not replace(level, reserved=0).fits(estimate))
        return fits

    def reserve(self, slot: Slot, estimate: int) -> Reservation | None:
        """Hold the estimated cost back, None when a cap would be passed. Synchronous: nothing can come between."""
        return Reservation(self, self._today(), slot, estimate) if self.affordable(slot, estimate) else None

    def level(self, slot: Slot | None) -> Level:
        """Today's money of a slot, or of the house (None)."""
        if slot is None:
            return self._today().level(None, self.cap_day_microusd)
        return self._today().level(slot.id, slot.budget_day_microusd)

    def seconds_until_tomorrow(self) -> int:
        """Whole seconds, 1 or more, until the caps are free again: for Retry-After."""
        now = self._now()
        midnight = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        return math.ceil((midnight - now).total_seconds())

    def booked(self, slot: Slot) -> None:
        """A reservation of this slot was settled: tell the operator what that brought about."""
        self._warn(slot)
        self._warn(None)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _today(self) -> Spending:
        if (day := self._now().date()) != self._day:
            self._begin_day(day, Spending())
        return self._spending

    def _begin_day(self, day: date, spending: Spending) -> None:
        self._day = day
        self._spending = spending
        self._warned: set[tuple[str | None, int]] = set()

    def _warn(self, slot: Slot | None, *, used_up: bool = False) -> None:
        level = self.level(slot)
        slot_id = None if slot is None else slot.id
        if level.cap is None or level.spent_percent is None:
            return
        reached = [percent for percent in WARN_AT if used_up or level.spent_percent >= percent]
        fresh = [percent for percent in reached if (slot_id, percent) not in self._warned]
        if not fresh:
            return
        self._warned.update((slot_id, percent) for percent in fresh)
        percent = fresh[-1]  # 80 says 50, too
        who = "the house" if slot_id is None else slot_id
        spent, held_back, cap = (amount / 1_000_000 for amount in (level.spent, level.reserved, level.cap))
        if percent == 100:
            text = "today's budget of %s lets no call by until 00:00 UTC: %.2f spent, %.2f held back of %.2f USD"
            log.warning(text, who, spent, held_back, cap)
        else:
            log.warning("%s has spent %.2f of %.2f USD, over %d %% of today's budget", who, spent, cap, percent)
