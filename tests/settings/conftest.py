"""One house for the small questions that tests ask of its settings' routes."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.lab.pictures import photo
from tests.postgres import PostgresServer

SETTINGS_KEY = "a settings key for tests, long enough".replace(" ", "-")


@pytest.fixture(scope="package")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    var = tmp_path_factory.mktemp("settings")
    with shared_house(postgres_server, var, settings_keys=(SETTINGS_KEY,)) as house:
        yield house


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    """A small upright sRGB photo."""
    return photo(320, 240)
