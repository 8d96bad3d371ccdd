"""What an operator has said about a provider's breaker: kept open, kept closed, or left to itself.

It lies in the table `settings` under `breaker.<provider>` as {"force": "open" | "closed"}, so it holds over restarts
and for every process. No row means: by itself.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

import trio

from photochanger.db.facade import Db
from photochanger.db.follow import follow
from photochanger.domain.breaker import Breaker, Force

log = logging.getLogger(__name__)

_PREFIX: Final = "breaker."
_READ: Final = "SELECT key, value FROM settings WHERE starts_with(key, $1)"
_FORCE: Final = """
INSERT INTO settings (key, value, updated_by) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = settings.version + 1, updated_at = now(),
                                updated_by = EXCLUDED.updated_by
"""
_LEAVE: Final = "DELETE FROM settings WHERE key = $1"


async def write_override(db: Db, provider: str, force: Force | None, *, by: str) -> None:
    """Keep a provider's breaker in this position from now on, None = leave it to itself. `by` is who says so.

    Running services hear of it at once. Raises DatabaseUnavailable.
    """
    key = f"{_PREFIX}{provider}"
    if force is None:
        await db.execute(_LEAVE, key)
    else:
        await db.execute(_FORCE, key, {"force": force}, by)


class Overrides:
    """Applies the rows to the breakers, each under its provider's name. A child of the tree."""

    def __init__(self, db: Db, breakers: Mapping[str, Breaker]) -> None:
        self._db = db
        self._breakers = breakers
        self._reading = trio.Lock()

    async def refresh(self) -> None:
        """Read the rows and apply them. Raises DatabaseUnavailable; then everything stays as it was."""
        async with self._reading:  # an older answer must not overtake a newer one
            rows = await self._db.fetch(_READ, _PREFIX)
            said = {row["key"]: row["value"] for row in rows}
            for name, breaker in self._breakers.items():
                force = _force(said.get(f"{_PREFIX}{name}"))
                if breaker.force(force, trio.current_time()):
                    log.warning("the breaker of %s is %s", name, f"kept {force}" if force else "left to itself again")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Apply the rows on every announcement, and every half minute, until cancelled."""
        await follow(self._db, self.refresh, task_status)


def _force(stored: Any) -> Force | None:
    """The position a row asks for; a row that is not understood asks for none."""
    position = stored.get("force") if isinstance(stored, dict) else None
    return position if position in ("open", "closed") else None
