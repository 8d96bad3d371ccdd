"""One day's money against its caps, in microusd: what was spent, and what is held back for calls that still run."""

from collections.abc import Mapping
from dataclasses import dataclass

WARN_AT = (50, 80, 100)
"""Percent of a cap at which the operator is told."""


@dataclass(frozen=True, slots=True)
class Level:
    """Today's money of a slot or of the house. `cap` None = there is no cap."""

    cap: int | None
    spent: int
    reserved: int

    @property
    def share(self) -> float | None:
        """Of the cap, what is spent and held back: 1.0 = all of it, more where calls cost more than was held back.

        None where there is no cap; a cap of 0 is always used up.
        """
        if self.cap is None:
            return None
        return (self.spent + self.reserved) / self.cap if self.cap else 1.0

    @property
    def spent_percent(self) -> float | None:
        """Percent of the cap that is spent, without what is held back."""
        if self.cap is None:
            return None
        return 100 * self.spent / self.cap if self.cap else 100.0

    def fits(self, estimate: int) -> bool:
        """Would a call of this cost stay within the cap? What costs nothing always does."""
        return not estimate or self.cap is None or self.spent + self.reserved + estimate <= self.cap


class Spending:
    """The money of one day, of every slot and (under None) of the whole house. Knows no caps and no clock."""

    def __init__(self, spent: Mapping[str, int] | None = None) -> None:
        self._spent: dict[str | None, int] = {None: 0}
        self._reserved: dict[str | None, int] = {None: 0}
        for slot_id, amount in (spent or {}).items():
            self._add(self._spent, slot_id, amount)

    def reserve(self, slot_id: str, estimate: int) -> None:
        """Hold an amount back for a call."""
        self._add(self._reserved, slot_id, estimate)

    def book(self, slot_id: str, estimate: int, actual: int) -> None:
        """The call for which `estimate` was held back is over and cost `actual`."""
        self._add(self._reserved, slot_id, -estimate)
        self._add(self._spent, slot_id, actual)

    def level(self, slot_id: str | None, cap: int | None) -> Level:
        """A slot's money, or the house's (None), against this cap."""
        return Level(cap, self._spent.get(slot_id, 0), self._reserved.get(slot_id, 0))

    @staticmethod
    def _add(amounts: dict[str | None, int], slot_id: str, amount: int) -> None:
        amounts[slot_id] = amounts.get(slot_id, 0) + amount
        amounts[None] += amount
