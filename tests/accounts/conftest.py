"""One house per file of tests."""

import ipaddress
from collections.abc import Iterator

import pytest

from tests.house.shared import SharedHouse, shared_house
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house behind a proxy on this machine, so that each test comes from an address of its own."""
    proxies = (ipaddress.ip_network("127.0.0.1"),)
    with shared_house(postgres_server, tmp_path_factory.mktemp("accounts"), trusted_proxies=proxies) as house:
        yield house
