"""Writing a photo's rows: into PostgreSQL when it answers at once, into the journal when it does not."""

import logging
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import trio

from photochanger.db.facade import Db
from photochanger.domain.records import Change
from photochanger.errors import DatabaseUnavailable
from photochanger.jobs.journal import Journal

log = logging.getLogger(__name__)

# One statement per change, whatever it holds. The job row only ever moves forward: once its status is
# terminal, no other status can follow, only what the booth got may still be corrected. An attempt's end is
# written once. So a change may be written twice, or after a newer one, and does no harm.
_WRITE: Final = """
WITH written AS (
  INSERT INTO job SELECT * FROM jsonb_populate_recordset(NULL::job, $1)
  ON CONFLICT (id) DO UPDATE SET
    status = EXCLUDED.status, failure_reason = EXCLUDED.failure_reason,
    reply_kind = EXCLUDED.reply_kind, reply_status = EXCLUDED.reply_status, replied_at = EXCLUDED.replied_at,
    provider = EXCLUDED.provider, provider_async_id = EXCLUDED.provider_async_id, retries = EXCLUDED.retries,
    late = EXCLUDED.late, told_504 = job.told_504 IS TRUE OR EXCLUDED.told_504 IS TRUE,
    joined = greatest(job.joined, EXCLUDED.joined), cost_microusd = EXCLUDED.cost_microusd,
    settle_by = greatest(job.settle_by, EXCLUDED.settle_by),
    started_at = EXCLUDED.started_at, finished_at = EXCLUDED.finished_at
  WHERE job.status = 'queued' OR job.status = EXCLUDED.status
     OR (job.status = 'processing' AND EXCLUDED.status <> 'queued')
  RETURNING id
), attempts AS (
  INSERT INTO attempt SELECT * FROM jsonb_populate_recordset(NULL::attempt, $2)
  ON CONFLICT (id) DO UPDATE SET
    handle = EXCLUDED.handle, outcome = EXCLUDED.outcome, finish_reason = EXCLUDED.finish_reason,
    provider_error_code = EXCLUDED.provider_error_code, http_status = EXCLUDED.http_status,
    message = EXCLUDED.message, response_id = EXCLUDED.response_id, model_version = EXCLUDED.model_version,
    latency_ms = EXCLUDED.latency_ms, tokens = EXCLUDED.tokens, cost_microusd = EXCLUDED.cost_microusd,
    possibly_billed = EXCLUDED.possibly_billed, finished_at = EXCLUDED.finished_at
  WHERE attempt.outcome IS NULL
), results AS (
  INSERT INTO result SELECT * FROM jsonb_populate_recordset(NULL::result, $3)
  ON CONFLICT DO NOTHING
), media AS (
  INSERT INTO media_object SELECT * FROM jsonb_populate_recordset(NULL::media_object, $4)
  ON CONFLICT DO NOTHING
)
SELECT count(*) FROM written
"""


# Classes of PostgreSQL's error codes that speak of the server's present state (read-only, deadlock, disk full,
# locked, stopping, I/O error) and not of what was to be written.
_PASSING: Final = ("25", "40", "53", "55", "57", "58")


# What is written expires in hours: while its job is at work, only who had everything removed can have been there.
_REMOVED: Final = "SELECT bool_or(expires_at <= now()) FROM media_object WHERE job_id = $1"


class JobStore:
    """Where jobs write their rows. `patience` (seconds) is how long a photo waits for PostgreSQL.

    After one refusal the journal takes everything until it has been replayed, so that a frozen database
    costs one photo half a second and not every photo at every step.
    """

    def __init__(self, db: Db, journal: Journal, *, patience: float = 0.5) -> None:
        self._db = db
        self._journal = journal
        self._patience = patience
        self._suspect = False
        self._appending = 0

    async def save(self, change: Change) -> None:
        """Make `change` durable, in PostgreSQL or else in the journal.

        Raises StorageUnavailable when neither can take it. Bounded by `patience` plus one disk write.
        """
        params = change.as_params()
        if not self._suspect:
            try:
                with trio.move_on_after(self._patience):
                    await self._db.fetchval(_WRITE, *params, settling=True)
                    return
                log.warning("PostgreSQL took longer than %.1f s; rows go to the journal", self._patience)
            except DatabaseUnavailable as error:
                log.warning("PostgreSQL is unavailable (%s); rows go to the journal", error)
            except Exception:
                log.exception("PostgreSQL refused the rows of job %s; they go to the journal", change.job.id)
            self._suspect = True
        self._appending += 1
        try:
            await self._journal.append(msgspec.json.encode(params))
        finally:
            self._appending -= 1

    async def files_are_wanted(self, job_id: UUID) -> bool:
        """False once somebody has had all files of the job removed: none may follow. Bounded by `patience`.

        As long as PostgreSQL cannot say, they are.
        """
        removed = None
        if not self._suspect:
            try:
                with trio.move_on_after(self._patience):
                    removed = await self._db.fetchval(_REMOVED, job_id)
            except DatabaseUnavailable as error:
                log.warning("nobody knows whether the files of job %s are wanted: %s", job_id, error)
            except Exception:
                log.exception("PostgreSQL does not say whether the files of job %s are wanted", job_id)
        return not removed

    async def replay(self) -> int:
        """Write what the journal holds into PostgreSQL, oldest first; the number of entries written.

        Raises DatabaseUnavailable when PostgreSQL still cannot be asked; what is left stays in the journal.
        """
        written = 0
        while entries := await self._journal.entries():
            for entry in entries:
                written += await self._replay(entry)
        # As long as an older change of a job is in the journal, or on its way there, no newer one may pass it.
        self._suspect = self._journal.has_news or self._appending > 0
        return written

    async def _replay(self, entry: Path) -> bool:
        try:
            params = msgspec.json.decode(await self._journal.read(entry))
            await self._db.fetchval(_WRITE, *params, settling=True)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if str(getattr(error, "sqlstate", None)).startswith(_PASSING):
                raise DatabaseUnavailable(f"PostgreSQL takes no rows now ({type(error).__name__})") from error
            # One entry that can never be written must not hold up the others, nor be thrown away.
            log.exception("journal entry %s cannot be written; it is kept under rejected/", entry.name)
            await self._journal.reject(entry)
            return False
        await self._journal.remove(entry)
        return True

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Replay all at the start, then again whenever entries have come in. A child of the tree.

        It has started once nothing is left from before: recovery would take a job for unfinished whose end is here.
        """
        await self._journal.open()
        while not await self._try_replay():  # noqa: ASYNC110 - nothing announces that PostgreSQL is back
            await trio.sleep(1.0)
        task_status.started()
        while True:
            await self._journal.wait_for_entries()
            if not await self._try_replay():
                await trio.sleep(1.0)

    async def _try_replay(self) -> bool:
        try:
            with trio.move_on_after(30.0) as scope:
                if written := await self.replay():
                    log.info("%d journal entries written to PostgreSQL", written)
        except DatabaseUnavailable:
            return False
        return not scope.cancelled_caught
