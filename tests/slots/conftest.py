"""One house for all questions that the routes of slots are asked."""

from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import Lab
from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house whose slots work as they are, with two providers that have their keys."""
    var = tmp_path_factory.mktemp("slots")
    keys = {"gemini_api_key": "key-of-gemini", "turbotext_api_key": "key-of-turbotext"}
    with shared_house(postgres_server, var, rate_burst=10_000, **keys) as house:
        house.run(_without_history)
        yield house


async def _without_history(lab: Lab) -> None:
    """Slots begin at version 1, as in a new house: what the laboratory set up is in no journal."""
    await lab.house.db.execute("UPDATE slot SET version = 1")
    await lab.house.slots.refresh()
