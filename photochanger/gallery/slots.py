"""Slots as those find them who clear up behind them: also the ones that were archived."""

import re
from typing import Final

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


async def require_slot(db: Db, slot_id: str) -> None:
    """Raises Refusal (slot_not_found) for what is no slot and never was one, and DatabaseUnavailable."""
    if not _ID.fullmatch(slot_id) or await db.fetchval("SELECT id FROM slot WHERE id = $1", slot_id) is None:
        raise Refusal(Reason.SLOT_NOT_FOUND)
