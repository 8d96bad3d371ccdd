"""The `database` child of the tree: server (ours or a given one), migrations, pool, and the watch over them.

A lost database is a state of this child. It says so to `Db`, tries again by itself with growing pauses, and
nobody else is restarted: held photos see DatabaseUnavailable for as long as it lasts.
"""

import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.migrate import upgrade_in_thread
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
HEALTHY_AFTER = 30.0
SAY_AGAIN_AFTER = 10.0


class DatabaseService:
    """Keeps `db` connected to `url`, or to an embedded PostgreSQL in `embedded_folder` when `url` is None.

    Seconds: `boot_patience` is how long the start waits for a server that does not answer, `ping_every` how
    often an idle database is asked, `ping_timeout` how long it may take before it counts as lost.
    `progress` is told what takes time while the embedded server starts, `embedded_settings` go over its own.
    """

    def __init__(
        self,
        db: Db,
        *,
        url: str | None,
        schema: str = "public",
        embedded_folder: Path,
        boot_patience: float = 60.0,
        ping_every: float = 2.0,
        ping_timeout: float = 5.0,
        progress: Callable[[str], None] = log.info,
        embedded_settings: Mapping[str, str] | None = None,
    ) -> None:
        self._db = db
        self._schema = schema
        self._given = Target.of(url, schema) if url else None
        self._embedded = EmbeddedPostgres(embedded_folder, progress=progress, settings=embedded_settings)
        self._boot_patience = boot_patience
        self._ping_every = ping_every
        self._ping_timeout = ping_timeout
        self._target = self._given
        self._booted = False

    @property
    def dsn(self) -> str | None:
        """The address in use; None until the embedded server has started. May hold the given URL's password."""
        return self._target.dsn if self._target else None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Started once migrated and connected; runs until cancelled. Stops the embedded server at the end.

        Before it has started it raises what makes a start impossible: ConfigError (a newer database, a taken
        folder), DatabaseUnavailable after `boot_patience`, or a migration's own error. Afterwards nothing.
        A stop with an embedded server normally takes 0.1 s and 20 s at the very worst.
        """

        def started() -> None:
            if not self._booted:
                self._booted = True
                task_status.started()

        try:
            if self._given is not None:
                await self._keep(self._given, started)
            else:
                await self._keep_embedded(started)
        finally:
            self._booted = False
            self._db.disconnect("the database part of the service has stopped")

    async def _keep_embedded(self, started: Callable[[], None]) -> None:
        pause = FIRST_PAUSE
        while True:
            began = trio.current_time()
            failure: BaseException | None = None
            try:
                async with trio.open_nursery() as nursery:
                    address: str = await nursery.start(self._embedded.run)
                    self._target = Target.of(address, self._schema)
                    await self._keep(self._target, started)
            except BaseExceptionGroup as group:
                failure = _only_expected(group)
                if failure is None:
                    raise
            if failure is not None and not self._booted:
                raise failure
            self._db.disconnect(str(failure))
            log.error("%s; starting it again", failure)
            pause = FIRST_PAUSE if trio.current_time() - began > HEALTHY_AFTER else min(pause * 2, LONGEST_PAUSE)
            await trio.sleep(pause)

    async def _keep(self, target: Target, started: Callable[[], None]) -> None:
        give_up = trio.current_time() + self._boot_patience
        migrated = False
        pause, said, said_at = FIRST_PAUSE, "", 0.0
        while True:
            try:
                if not migrated:
                    await self._migrate(target)
                    migrated = True
                await self._db.connect(target)
            except DatabaseUnavailable as error:
                self._db.disconnect(str(error))
                now = trio.current_time()
                if not self._booted and now > give_up:
                    message = f"the database did not answer within {self._boot_patience:g} s: {error}"
                    raise DatabaseUnavailable(message) from None
                if str(error) != said or now > said_at + SAY_AGAIN_AFTER:
                    log.warning("waiting for the database: %s", error)
                    said, said_at = str(error), now
                await trio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret, so that many do not march
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            log.info("connected to %s", target.where)
            started()
            pause, said = FIRST_PAUSE, ""
            reason = await self._lost()
            log.error("the database is lost: %s", reason)
            self._db.disconnect(reason)

    async def _migrate(self, target: Target) -> None:
        with trio.move_on_after(self._boot_patience) as scope:
            await upgrade_in_thread(target)
        if scope.cancelled_caught:
            raise DatabaseUnavailable(f"the migrations of {target.where} got no answer")

    async def _lost(self) -> str:
        """Watch until the database does not answer; then why."""
        while True:
            with trio.move_on_after(self._ping_every):
                await self._db.doubted()
            try:
                await self._db.probe(self._ping_timeout)
            except DatabaseUnavailable as error:
                return str(error)


def _only_expected(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The first failure of the group if all of them are failures that we expect; otherwise None."""
    expected, rest = group.split((DatabaseUnavailable, ConfigError))
    if rest is not None or expected is None:
        return None
    failure: BaseException = expected
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
