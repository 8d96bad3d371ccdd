"""Slots as those find them who clear up behind them: also the ones that were archived."""

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.media.store import safe_name


async def require_slot(db: Db, slot_id: str) -> None:
    """Raises Refusal (slot_not_found) for what is no slot and never was one, and DatabaseUnavailable."""
    try:
        found = await db.fetchval("SELECT id FROM slot WHERE id = $1", safe_name(slot_id))
    except ValueError:
        found = None
    if found is None:
        raise Refusal(Reason.SLOT_NOT_FOUND)
