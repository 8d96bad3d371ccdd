"""One house for all questions that the routes of slots are asked."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import Lab
from tests.lab.pictures import photo
from tests.postgres import PostgresServer

PUBLIC = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house whose slots work as they are, with two providers that have their keys."""
    var = tmp_path_factory.mktemp("slots")
    # A Turbotext on this machine fetches photos from an address that the internet does not reach.
    turbotext = {"turbotext_api_key": "key-of-turbotext", "turbotext_base_url": "http://127.0.0.1:1"}
    keys = turbotext | {"gemini_api_key": "key-of-gemini", "public_base_url": PUBLIC}
    with shared_house(postgres_server, var, answer=photo(64, 48), rate_burst=10_000, **keys) as house:
        house.run(_without_history)
        yield house


async def _without_history(lab: Lab) -> None:
    """Slots begin at version 1, as in a new house: what the laboratory set up is in no journal."""
    await lab.house.db.execute("UPDATE slot SET version = 1, hedge = false")
    await lab.house.slots.refresh()
