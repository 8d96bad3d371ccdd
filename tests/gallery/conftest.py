"""One house for the galleries' questions; each test has a slot of its own."""

import itertools
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import Lab
from tests.postgres import PostgresServer

Ask = Callable[[Lab, str], Awaitable[None]]


@pytest.fixture(scope="package")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house in which only tests clean up."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("house")) as house:
        house.run(_undisturbed)
        yield house


@pytest.fixture(scope="package")
def numbers() -> Iterator[int]:
    """For slots that nobody else has."""
    return itertools.count(100)


@pytest.fixture
def ask(house: SharedHouse, numbers: Iterator[int]) -> Callable[[Ask], None]:
    """Runs a conversation with the house, about a new slot, in the house's own loop."""
    slot_id = f"slot-{next(numbers)}"
    house.run(_new_slot, slot_id)

    async def converse(lab: Lab, conversation: Ask) -> None:
        await conversation(lab, slot_id)

    return lambda conversation: house.run(converse, conversation)


async def _undisturbed(lab: Lab) -> None:
    lab.house.caretaker.enabled = lambda: False


async def _new_slot(lab: Lab, slot_id: str) -> None:
    await lab.house.db.execute("INSERT INTO slot (id, provider, operation) VALUES ($1, 'local', 'look')", slot_id)
    await lab.house.slots.refresh()
