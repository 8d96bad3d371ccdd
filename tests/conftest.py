"""Fixtures for all suites."""

from tests.postgres import db, empty_postgres_url, postgres_server, postgres_url

__all__ = ["db", "empty_postgres_url", "postgres_server", "postgres_url"]
