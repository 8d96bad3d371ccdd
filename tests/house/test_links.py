"""A provider fetches a photo over a real socket: whole, without metadata, as often as it likes, and not afterwards."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import h11
import pytest
import trio

from photochanger.gallery import links as routes
from photochanger.media.links import PATH, PublicLinks
from photochanger.media.prepare import prepare
from photochanger.media.probe import probe
from photochanger.providers.base import FileSlice, PreparedPhoto
from photochanger.web.app import create_app
from photochanger.web.files import CHUNK
from tests.lab import pictures
from tests.media.reading import decoded, sent
from tests.web.client import Client, get
from tests.web.conftest import House

BASE = "https://booth.example"


@pytest.fixture
def links() -> PublicLinks:
    return PublicLinks(BASE, bytes(range(32)))


@pytest.fixture
async def client(links: PublicLinks, nursery: trio.Nursery) -> AsyncIterator[Client]:
    """A connection to a server that has nothing but the links."""
    house, app = House(nursery), create_app()
    app.register_blueprint(routes.blueprint(links))
    await house.serve(app)
    yield await house.connect()
    house.close()


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[PreparedPhoto]:
    """A guest's photo with GPS in its EXIF, prepared; no descriptor of its file may stay open."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(pictures.turned(1, 1344, 896))
    yield prepare(path, tmp_path / "unused", probe(path))
    opened = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [link for link in opened if str(link.readlink()).startswith(str(path))]


def path_of(url: str) -> str:
    return url.removeprefix(BASE)


async def test_the_photo_without_its_metadata(client: Client, links: PublicLinks, guest: PreparedPhoto) -> None:
    with links.publish(guest) as url:
        answer = await client.ask(get(path_of(url)))
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-length"] == str(guest.size)
    assert answer.headers["cache-control"] == "no-store"
    assert not {"set-cookie", "location", "etag"} & set(answer.headers)
    assert answer.body == sent(guest)
    assert pictures.GPS_MARK in guest.path.read_bytes()
    assert pictures.GPS_MARK not in answer.body
    assert b"Exif" not in answer.body
    assert decoded(answer.body).width == 1344


async def test_it_may_be_asked_in_any_way_and_again(client: Client, links: PublicLinks, guest: PreparedPhoto) -> None:
    with links.publish(guest) as url:
        path = path_of(url)
        head = await client.ask(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(guest.size))
        assert head.headers["content-type"] == "image/jpeg"
        for extra in ("Range: bytes=0-9", "Range: bytes=-5", 'If-None-Match: "x"', "Cookie: a=b", "Accept: text/html"):
            answer = await client.ask(get(path, extra))
            assert (answer.status, answer.body) == (200, sent(guest)), extra
        assert (await client.ask(get(path + "?t=1"))).status == 200
        assert (await client.ask(f"POST {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())).status == 405


async def test_afterwards_it_is_gone_and_never_was_is_not_found(
    client: Client, links: PublicLinks, guest: PreparedPhoto
) -> None:
    with links.publish(guest) as url:
        path = path_of(url)
    gone = await client.ask(get(path))
    assert (gone.status, gone.json["failure_reason"]) == (410, "result_expired")
    for name in ("0" * 64 + ".jpg", "x", "..", "%2e%2e%2fetc%2fpasswd", "%00", path[len(PATH) :] + ".jpg"):
        answer = await client.ask(get(PATH + name))
        assert (answer.status, answer.json["failure_reason"]) == (404, "not_found"), name


async def test_a_fetch_that_has_begun_may_finish(client: Client, links: PublicLinks, tmp_path: Path) -> None:
    """The link is retired and the file removed while the provider still reads: it gets all of it."""
    path = tmp_path / "large"
    content = bytes(range(256)) * 4096 * 32  # far more than the sockets' buffers hold
    path.write_bytes(content)
    parts = (b"before", FileSlice(100, CHUNK * 3 + 77), b"between", FileSlice(CHUNK * 4, 20_000_000))
    large = PreparedPhoto(path, "image/jpeg", 3, 2, parts, 6 + CHUNK * 3 + 77 + 7 + 20_000_000)
    with links.publish(large) as url:
        await client.send(get(path_of(url)))
        first = b""
        while not first.partition(b"\r\n\r\n")[2]:
            first += await client.stream.receive_some(1000)
        whole = sent(large)
    path.unlink()
    client._left = first
    answer = await client.answer()
    assert (answer.status, answer.body == whole) == (200, True)
    assert (await client.ask(get(path_of(url)))).status == 410


async def test_a_file_that_is_gone_or_short_cuts_the_connection(
    client: Client, links: PublicLinks, guest: PreparedPhoto, caplog: pytest.LogCaptureFixture
) -> None:
    short = replace(guest, parts=(FileSlice(0, guest.size * 4),), size=guest.size * 4)
    with links.publish(short) as url, pytest.raises(h11.RemoteProtocolError):
        await client.ask(get(path_of(url)))
    assert caplog.records


async def test_many_providers_at_once(links: PublicLinks, guest: PreparedPhoto, nursery: trio.Nursery) -> None:
    house, app = House(nursery), create_app()
    app.register_blueprint(routes.blueprint(links))
    await house.serve(app)
    bodies: list[bytes] = []

    async def fetch(path: str) -> None:
        bodies.append((await (await house.connect()).ask(get(path))).body)

    with links.publish(guest) as url:
        async with trio.open_nursery() as fetches:
            for _ in range(20):
                fetches.start_soon(fetch, path_of(url))
    assert bodies == [sent(guest)] * 20
    house.close()
