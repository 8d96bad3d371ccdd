"""Fixtures of the tests that run the whole house."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.lab.house import Lab, running_house
from tests.lab.pictures import photo


@pytest.fixture
async def lab(tmp_path: Path, postgres_url: str) -> AsyncIterator[Lab]:
    """A running house with its simulator."""
    async with running_house(tmp_path, postgres_url) as lab:
        yield lab


@pytest.fixture(scope="session")
def small_photo() -> bytes:
    """A small upright sRGB photo."""
    return photo(320, 240)
