"""One house for the small questions of this folder."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab.pictures import photo
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house in which every call of the tests is one call."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("house"), t_sync=20.0) as house:
        house.run(without_hedges)
        yield house


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    """A small upright sRGB photo."""
    return photo(320, 240)
