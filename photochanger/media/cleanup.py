"""`photochanger cleanup`: what the caretaker does, once, from a terminal or from cron."""

from functools import partial

from photochanger.config import Config
from photochanger.db.running import running_db
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.media.entries import rows_are_whole
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.retention import Retention, Swept
from photochanger.observability.metrics import Metrics


async def clean_up(config: Config, *, slot_id: str | None = None, dry_run: bool = False) -> Swept:
    """Remove what has expired: of one slot, or of the whole house and with it files that nobody knows.

    With `dry_run` it is only counted. May run beside the service. Raises Refusal (slot_not_found) for a slot that never
    was, StorageUnavailable where the service has never kept anything, DatabaseUnavailable and ConfigError.
    """
    async with running_db(config.database_url, config.database_schema, config.database_folder) as db:
        if slot_id is not None and await db.fetchval("SELECT id FROM slot WHERE id = $1", slot_id) is None:
            raise Refusal(Reason.SLOT_NOT_FOUND, f"there is no slot {slot_id[:40]!r}")
        media = FilesystemStore(config.media_root)
        await media.require()  # a wrong MEDIA_ROOT holds no file: all that are due would count as removed
        retention = Retention(
            db,
            media,
            Metrics(),
            rows_are_whole=partial(rows_are_whole, config.journal_folder),
            dry_run=dry_run,
        )
        swept = await retention.sweep(slot_id=slot_id)
        if slot_id is None:
            swept += await retention.sweep_orphans()
        return swept


def told(swept: Swept, *, dry_run: bool) -> str:
    """What was done, in one line."""
    what = "would be removed" if dry_run else "removed"
    line = f"{swept.removed_files} files {what}, {swept.freed_bytes} bytes"
    return f"{line}; {swept.stuck} could not be removed" if swept.stuck else line
