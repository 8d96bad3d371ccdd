"""One house for all of them."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.postgres import PostgresServer

PUBLIC = "https://photos.example"
"""Where guests find the house; without it, links that administrators are given lead to where they asked."""


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house that takes requests as fast as they come."""
    folder = tmp_path_factory.mktemp("house")
    with shared_house(
        postgres_server, folder, public_base_url=PUBLIC, rate_per_second=10_000, rate_burst=10_000
    ) as house:
        yield house
