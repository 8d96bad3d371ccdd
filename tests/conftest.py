"""Fixtures for all suites."""

# First: what makes secrets is watched before anything else gets hold of it.
from tests.lab.leaks.plugin import (  # isort: skip
    pytest_runtest_protocol,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
import pytest

from tests.lab import alone, garbage
from tests.postgres import db, empty_postgres_url, postgres_server, postgres_url


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(alone, "alone")
    config.pluginmanager.register(garbage, "garbage")


__all__ = [
    "db",
    "empty_postgres_url",
    "postgres_server",
    "postgres_url",
    "pytest_runtest_protocol",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
]
