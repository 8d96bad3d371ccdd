"""Small pictures for the tests of the demo."""

import pytest

from tests.lab.pictures import scene
from tests.lab.tls import certificate

__all__ = ["certificate"]


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    data = scene(64, 48, noise=40).jpegsave_buffer(Q=90)
    assert isinstance(data, bytes)
    return data


@pytest.fixture(scope="session")
def png() -> bytes:
    data = scene(64, 48).pngsave_buffer()
    assert isinstance(data, bytes)
    return data
