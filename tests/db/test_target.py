"""Addresses of databases: which are understood, and that the password stays inside."""

import pytest

from photochanger.db.target import Target
from photochanger.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "dsn", "where"),
    [
        ("postgresql://u:p@db:5432/x", "postgresql://u:p@db:5432/x", "db:5432/x"),
        ("postgres://u:p@db/x", "postgresql://u:p@db/x", "db/x"),
        ("postgresql+asyncpg://u:p@db/x?sslmode=require", "postgresql://u:p@db/x?sslmode=require", "db/x"),
        ("postgresql://u:p%40q@db/x", "postgresql://u:p%40q@db/x", "db/x"),
        (
            "postgresql://postgres@/postgres?host=%2Ftmp%2Fs",
            "postgresql://postgres@/postgres?host=%2Ftmp%2Fs",
            "/tmp/s/postgres",
        ),
        ("postgresql://", "postgresql://", "localhost/"),
        ("postgresql://u:p@[::1]:1/x", "postgresql://u:p@[::1]:1/x", "[::1]:1/x"),
        ("postgresql://u:p@[bad/x", "postgresql://u:p@[bad/x", "an address that cannot be read"),
    ],
)
def test_understood(url: str, dsn: str, where: str) -> None:
    target = Target.of(url)
    assert (target.dsn, target.where) == (dsn, where)


@pytest.mark.parametrize("url", ["", "mysql://u:geheim@db/x", "u:geheim@db/x", "/var/run", "postgresql:/db"])
def test_not_understood(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        Target.of(url)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("schema", ["", "a b", 'a"b', "1a", "pg_x", "PG_X", "a;drop", "ä", "a" * 64, "a\n"])
def test_schema_names_that_are_refused(schema: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_SCHEMA"):
        Target.of("postgresql://db/x", schema)


def test_the_password_is_in_no_text() -> None:
    target = Target.of("postgresql://user:geheim@db/x?password=geheim2", "photos")
    assert "geheim" not in f"{target!r} {target!s} {target.where}"
