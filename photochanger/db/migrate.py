"""Bring a database's tables to what this version of the service needs, by Alembic and without an alembic.ini.

Every migrator holds one advisory lock of PostgreSQL while it works, so any number may start at once. Everything
happens in one transaction: a migration that fails, or is cancelled, leaves the database as it was.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import trio
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema

import photochanger
from photochanger.db.faults import name
from photochanger.db.loop import run_asyncio
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable

SCRIPTS = Path(photochanger.__file__).parent.parent / "migrations"
STATEMENT_TIMEOUT = 120.0  # seconds, waiting for another migrator included

# Alembic keeps the migration it is in as global state of the process; other processes wait in PostgreSQL.
_ALEMBIC = threading.Lock()

T = TypeVar("T")


def upgrade(url: str, schema: str = "public", revision: str = "head") -> None:
    """Migrate to `revision`. Blocking, for tools and worker threads.

    Raises DatabaseUnavailable when PostgreSQL cannot be asked, ConfigError when the database was migrated by a
    newer version of the service; SQLAlchemy's exceptions for a migration that PostgreSQL refuses.
    """
    _blocking(Target.of(url, schema), partial(_upgrade, schema=schema, revision=revision))


def downgrade(url: str, schema: str = "public", revision: str = "base") -> None:
    """Migrate back to `revision`; with it go the tables that it did not know. Otherwise as `upgrade`."""
    _blocking(Target.of(url, schema), partial(_downgrade, schema=schema, revision=revision))


def on_connection(url: str, schema: str, work: Callable[[Connection], T]) -> T:
    """Run `work` on a SQLAlchemy connection inside one transaction. Blocking."""
    return _blocking(Target.of(url, schema), work)


async def upgrade_in_thread(target: Target) -> None:
    """`upgrade` from Trio. When cancelled it returns at once; the thread is told, and its transaction ends."""
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    given_up = threading.Event()

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        if not given_up.is_set():
            await _run(target, partial(_upgrade, schema=target.schema, revision="head"))

    def thread() -> None:
        try:
            with _ALEMBIC:
                run_asyncio(main())
        except asyncio.CancelledError:
            return  # nobody waits any more

    try:
        await trio.to_thread.run_sync(thread, abandon_on_cancel=True)
    except trio.Cancelled:
        given_up.set()
        for loop, task in running:
            with suppress(RuntimeError):  # the loop has closed meanwhile
                loop.call_soon_threadsafe(task.cancel)
        raise


def _blocking(target: Target, work: Callable[[Connection], T]) -> T:
    with _ALEMBIC:
        return run_asyncio(_run(target, work))


async def _run(target: Target, work: Callable[[Connection], T]) -> T:
    async def connect() -> asyncpg.Connection:
        try:
            return await target.connect(statement_timeout=STATEMENT_TIMEOUT)
        except Exception as error:
            raise DatabaseUnavailable(f"no connection to {target.where} ({name(error)})") from error

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except (OSError, TimeoutError) as error:
        raise DatabaseUnavailable(f"{target.where} was lost while migrating ({name(error)})") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseUnavailable(f"{target.where} was lost while migrating ({name(error)})") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, *, schema: str, revision: str) -> None:
    _lock(connection, schema)
    if connection.scalar(text("SELECT to_regnamespace(quote_ident(:schema))"), {"schema": schema}) is None:
        connection.execute(CreateSchema(schema))
    config = _config(connection, schema)
    _refuse_newer(connection, schema, config)
    command.upgrade(config, revision)


def _downgrade(connection: Connection, *, schema: str, revision: str) -> None:
    _lock(connection, schema)
    config = _config(connection, schema)
    _refuse_newer(connection, schema, config)
    command.downgrade(config, revision)


def _lock(connection: Connection, schema: str) -> None:
    key = text("SELECT pg_advisory_xact_lock(hashtextextended('photochanger migrations in ' || :schema, 0))")
    connection.execute(key, {"schema": schema})


def _config(connection: Connection, schema: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config


def _refuse_newer(connection: Connection, schema: str, config: Config) -> None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": schema})
    scripts = ScriptDirectory.from_config(config)
    for revision in context.get_current_heads():
        try:
            scripts.get_revision(revision)
        except CommandError:
            message = f"the database is at revision {revision}, made by a newer PhotoChanger: update this one"
            raise ConfigError(message) from None
