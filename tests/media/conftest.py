"""What the picture tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

Keep = Callable[[bytes], Path]


@pytest.fixture(scope="session")
def keep(tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """Writes bytes to a file that tests may read; session-wide, so that property tests may use it too."""
    folder = tmp_path_factory.mktemp("pictures")

    def write(data: bytes) -> Path:
        path = folder / "picture.jpg"
        path.write_bytes(data)
        return path

    return write
