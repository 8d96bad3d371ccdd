"""Fixtures of the statistics' tests."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """One house for the module's tests."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("house")) as house:
        yield house
