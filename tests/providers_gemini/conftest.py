"""A simulator on a real socket, a driver pointed at it, and a small real photo."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pyvips
import trio

from photochanger.providers.base import Call, FileSlice, PreparedPhoto
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.settings import parse_settings
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.http import tls_context
from tests.lab.tls import certificate

__all__ = ["certificate"]

KEY = "AIzaSy-test-key-0123456789"
HANG_GUARD = 30.0
"""Seconds after which a test that should long be over is stopped."""

MakeCall = Callable[..., Call]


@pytest.fixture(scope="session")
def context() -> ssl.SSLContext:
    return tls_context()


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    """A photo of 96×64: two colours and a dark stripe, so that a drawing of it can be told from the photo."""
    left = pyvips.Image.black(48, 64, bands=3).linear(1, [200, 60, 60], uchar=True)
    right = pyvips.Image.black(48, 64, bands=3).linear(1, [60, 60, 200], uchar=True)
    image = left.join(right, "horizontal").draw_rect([10, 10, 10], 0, 28, 96, 8, fill=True)
    return bytes(image.copy(interpretation="srgb").jpegsave_buffer(Q=95))


def photo_of(path: Path, parts: Sequence[bytes | FileSlice] | None = None, mime: str = "image/jpeg") -> PreparedPhoto:
    """The file at `path` as a prepared photo, whole unless `parts` are given."""
    chosen = [FileSlice(0, path.stat().st_size)] if parts is None else list(parts)
    size = sum(len(part) if isinstance(part, bytes) else part.length for part in chosen)
    return PreparedPhoto(path, mime, 96, 64, chosen, size)


@pytest.fixture
def photo(tmp_path: Path, jpeg: bytes) -> PreparedPhoto:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg)
    return photo_of(path)


@pytest.fixture
async def simulator(nursery: trio.Nursery) -> GeminiSimulator:
    simulator = GeminiSimulator(api_key=KEY)
    await nursery.start(simulator.run)
    return simulator


@pytest.fixture
def driver(simulator: GeminiSimulator, context: ssl.SSLContext) -> GeminiDriver:
    return GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url)


@pytest.fixture
def make_call(photo: PreparedPhoto, tmp_path: Path) -> MakeCall:
    """A call with the small photo; `seconds` is its time, the rest are settings."""

    def make(seconds: float = HANG_GUARD, photo: PreparedPhoto = photo, **settings: Any) -> Call:
        parsed = parse_settings({"prompt": "As a comic", **settings})
        return Call(photo, "edit", parsed, tmp_path / "out", trio.current_time() + seconds)

    return make
