"""Migrations against a real server: what they make, who may run them, and when they refuse."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from photochanger.db import migrate
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.tables import metadata
from photochanger.db.target import Target
from photochanger.errors import ConfigError, DatabaseUnavailable
from tests.db.rest import HANG_GUARD

ROOT = Path(__file__).parent.parent.parent
TABLES = set(metadata.tables)


def _tables(url: str, schema: str) -> set[str]:
    return set(migrate.on_connection(url, schema, lambda connection: inspect(connection).get_table_names(schema)))


def _differences(url: str, schema: str) -> list[Any]:
    def compare(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    return migrate.on_connection(url, schema, compare)


def test_migrated_tables_are_the_metadata(postgres_url: str) -> None:
    assert _differences(postgres_url, "public") == []


def _checks(url: str) -> dict[str, set[str]]:
    """Check constraints by table; Alembic does not compare them."""

    def read(connection: Connection) -> dict[str, set[str]]:
        look = inspect(connection)
        return {table: {str(check["name"]) for check in look.get_check_constraints(table)} for table in TABLES}

    return migrate.on_connection(url, "public", read)


def test_migrated_checks_are_the_metadatas(postgres_url: str, empty_postgres_url: str) -> None:
    migrate.on_connection(empty_postgres_url, "public", metadata.create_all)
    assert _checks(postgres_url) == _checks(empty_postgres_url)
    assert _checks(postgres_url)["slot"]


def test_fifteen_slots_that_accept_nothing_yet(postgres_url: str) -> None:
    query = text("SELECT id, provider, operation, settings, secret_hash, is_active FROM slot ORDER BY id")
    rows = migrate.on_connection(postgres_url, "public", lambda connection: connection.execute(query).all())
    assert [row.id for row in rows] == [f"slot-{number:03}" for number in range(1, 16)]
    for row in rows:
        assert (row.provider, row.operation, row.secret_hash, row.is_active) == ("gemini", "edit", None, True)
        assert row.settings["model"] == "gemini-3.1-flash-image"
        assert len(row.settings["prompt"]) > 100


def test_there_and_back_and_there_again(empty_postgres_url: str) -> None:
    migrate.upgrade(empty_postgres_url, "shop")
    assert _tables(empty_postgres_url, "shop") == {*TABLES, "alembic_version"}
    migrate.downgrade(empty_postgres_url, "shop")
    assert _tables(empty_postgres_url, "shop") == {"alembic_version"}
    functions = text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'shop'::regnamespace")
    assert migrate.on_connection(empty_postgres_url, "shop", lambda connection: connection.scalar(functions)) == 0
    migrate.upgrade(empty_postgres_url, "shop")
    migrate.upgrade(empty_postgres_url, "shop")  # nothing to do is fine
    assert _differences(empty_postgres_url, "shop") == []


def test_two_schemas_in_one_database(empty_postgres_url: str) -> None:
    migrate.upgrade(empty_postgres_url, "one")
    change = text("UPDATE slot SET permits = 7")
    migrate.on_connection(empty_postgres_url, "one", lambda connection: connection.execute(change))
    migrate.upgrade(empty_postgres_url, "two")
    migrate.downgrade(empty_postgres_url, "one")
    assert _tables(empty_postgres_url, "two") == {*TABLES, "alembic_version"}
    assert _tables(empty_postgres_url, "public") == set()
    permits = text("SELECT sum(permits) FROM slot")
    assert migrate.on_connection(empty_postgres_url, "two", lambda connection: connection.scalar(permits)) == 30


def test_four_threads_at_once(empty_postgres_url: str) -> None:
    together = threading.Barrier(4)

    def one(schema: str) -> None:
        together.wait(HANG_GUARD)
        migrate.upgrade(empty_postgres_url, schema)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, ["a", "a", "b", "b"]))
    for schema in ("a", "b"):
        assert _differences(empty_postgres_url, schema) == []


def test_four_services_at_once(empty_postgres_url: str) -> None:
    """As when four containers of a new version start together; they begin at one moment, on a line of input."""
    program = (
        "import sys; from photochanger.db import migrate; print('ready', flush=True); "
        "sys.stdin.readline(); migrate.upgrade(sys.argv[1])"
    )
    with ExitStack() as stack:
        services = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, empty_postgres_url],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(4)
        ]
        for service in services:
            assert service.stdout is not None
            assert service.stdout.readline() == b"ready\n"
        for service in services:
            assert service.stdin is not None
            service.stdin.write(b"go\n")
            service.stdin.close()
        assert [service.wait(HANG_GUARD) for service in services] == [0, 0, 0, 0]
    assert _differences(empty_postgres_url, "public") == []


def test_a_newer_database_is_refused(postgres_url: str) -> None:
    newer = text("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    migrate.on_connection(postgres_url, "public", lambda connection: connection.execute(newer))
    for run in (migrate.upgrade, migrate.downgrade):
        with pytest.raises(ConfigError, match=r"9999_from_the_future.*newer"):
            run(postgres_url)
    assert _tables(postgres_url, "public") == {*TABLES, "alembic_version"}


def test_a_failed_migration_leaves_nothing(empty_postgres_url: str) -> None:
    obstacle = text("CREATE TABLE result (in_the_way int)")  # the fifth of six tables
    migrate.on_connection(empty_postgres_url, "public", lambda connection: connection.execute(obstacle))
    with pytest.raises(Exception, match="already exists"):
        migrate.upgrade(empty_postgres_url)
    assert _tables(empty_postgres_url, "public") == {"result"}


def test_no_server(empty_postgres_url: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1/x") as caught:
        migrate.upgrade("postgresql://user:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(caught.value)


async def test_cancelled_while_another_migrator_holds_the_lock(empty_postgres_url: str) -> None:
    target = Target.of(empty_postgres_url)
    async with open_loop() as loop:
        db = Db(loop)
        await db.connect(target)
        key = "hashtextextended('photochanger migrations in public', 0)"
        async with db.transaction() as holder:
            await holder.execute(f"SELECT pg_advisory_xact_lock({key})")
            with trio.fail_after(HANG_GUARD):
                with trio.move_on_after(0.5) as scope:
                    await migrate.upgrade_in_thread(target)
            assert scope.cancelled_caught
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        with trio.fail_after(HANG_GUARD):
            while await db.fetchval(waiting):  # noqa: ASYNC110 - of the server
                await trio.sleep(0.02)
        assert await db.fetchval("SELECT to_regclass('slot')") is None
        await migrate.upgrade_in_thread(target)
        assert await db.fetchval("SELECT count(*) FROM slot") == 15
        db.disconnect("done")
