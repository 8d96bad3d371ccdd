"""A simulator, a shelf that publishes photos over real HTTP, a driver between them, and a small real photo."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pyvips
import trio

from photochanger.providers.base import Call, FileSlice, PreparedPhoto, TemplateImage
from photochanger.providers.http import tls_context
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.settings import parse_settings
from photochanger.providers.turbotext.simulator import TurbotextSimulator

KEY = "tt-test-key-0123456789abcdef"
PRICE = 30_000
HANG_GUARD = 30.0
"""Seconds after which a test that should long be over is stopped."""

MakeCall = Callable[..., Call]


def jpeg_of(colour: list[int]) -> bytes:
    """A photo of 96×64: `colour` at the left, blue at the right, and a dark stripe."""
    left = pyvips.Image.black(48, 64, bands=3).linear(1, colour, uchar=True)
    right = pyvips.Image.black(48, 64, bands=3).linear(1, [60, 60, 200], uchar=True)
    image = left.join(right, "horizontal").draw_rect([10, 10, 10], 0, 28, 96, 8, fill=True)
    return bytes(image.copy(interpretation="srgb").jpegsave_buffer(Q=95))


class Shelf:
    """Publishes photos under addresses that cannot be guessed, for as long as the block lasts. A real HTTP server."""

    def __init__(self) -> None:
        self.photos: dict[str, PreparedPhoto] = {}
        self.published: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.server = SimulatorServer(self._serve)

    @contextmanager
    def publish(self, photo: PreparedPhoto) -> Iterator[str]:
        name = f"/p/{len(self.published)}-secret-{photo.path.stem}.{'png' if photo.mime == 'image/png' else 'jpg'}"
        self.photos[name] = photo
        self.published.append(self.server.base_url + name)
        try:
            yield self.server.base_url + name
        finally:
            del self.photos[name]

    async def _serve(self, request: Request, answer: Answer) -> None:
        self.asked.append((request.method, request.path))
        self.headers.append(dict(request.headers))
        photo = self.photos.get(request.path)
        if photo is None:
            await answer.whole(404, b"gone", "text/plain")
            return
        body = photo.path.read_bytes()
        await answer.start(200, {"Content-Type": photo.mime}, len(body))
        if request.method != "HEAD":
            await answer.send(body)
        await answer.end()


@pytest.fixture(scope="session")
def context() -> ssl.SSLContext:
    return tls_context()


def photo_of(path: Path, mime: str = "image/jpeg") -> PreparedPhoto:
    """The file at `path` as a prepared photo."""
    size = path.stat().st_size
    return PreparedPhoto(path, mime, 96, 64, [FileSlice(0, size)], size)


@pytest.fixture
def photo(tmp_path: Path) -> PreparedPhoto:
    path = tmp_path / "guest.jpg"
    path.write_bytes(jpeg_of([200, 60, 60]))
    return photo_of(path)


@pytest.fixture
def template(tmp_path: Path) -> PreparedPhoto:
    path = tmp_path / "template.jpg"
    path.write_bytes(jpeg_of([40, 200, 40]))
    return photo_of(path)


@pytest.fixture
async def shelf(nursery: trio.Nursery) -> Shelf:
    shelf = Shelf()
    await nursery.start(shelf.server.run)
    return shelf


@pytest.fixture
async def simulator(nursery: trio.Nursery) -> TurbotextSimulator:
    simulator = TurbotextSimulator(api_key=KEY, price_microusd=PRICE)
    await nursery.start(simulator.run)
    return simulator


def driver_for(simulator: TurbotextSimulator, context: ssl.SSLContext, **more: Any) -> TurbotextDriver:
    """A driver that asks often and waits little."""
    usual: dict[str, Any] = {"price_microusd": PRICE, "poll_pause": 0.005, "poll_timeout": 5.0}
    return TurbotextDriver(KEY, ssl_context=context, base_url=simulator.base_url, **(usual | more))


@pytest.fixture
def driver(simulator: TurbotextSimulator, context: ssl.SSLContext) -> TurbotextDriver:
    return driver_for(simulator, context)


@pytest.fixture
def make_call(photo: PreparedPhoto, template: PreparedPhoto, shelf: Shelf, tmp_path: Path) -> MakeCall:
    """A call with the small photo; `seconds` is its time, `roles` its templates, the rest are settings."""

    def make(
        seconds: float = HANG_GUARD,
        operation: str = "generate_image2image",
        roles: tuple[str, ...] = (),
        change: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Call:
        if operation == "generate_image2image":
            settings = {"content": "As a comic", **settings}
        call = Call(
            photo,
            operation,
            parse_settings(settings),
            tmp_path / "out",
            trio.current_time() + seconds,
            templates=tuple(TemplateImage(role, template) for role in roles),
            publisher=shelf,
        )
        return replace(call, **(change or {}))

    return make
