"""Which addresses are taken, who is shown the key, and that no address leads into a private network."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore
import pytest
import trio

from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from photochanger.providers.turbotext import fetch
from photochanger.providers.turbotext.download import Downloads
from photochanger.providers.turbotext.driver import BASE_URL, TurbotextDriver
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.providers_turbotext.conftest import KEY, MakeCall

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


class Host:
    """A server that answers by path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.paths: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[Request] = []
        self.server = SimulatorServer(self._serve)

    @property
    def url(self) -> str:
        return self.server.base_url

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.asked]

    async def _serve(self, request: Request, answer: Answer) -> None:
        self.asked.append(request)
        status, headers, body = self.paths.get(request.path, (404, {}, b"nothing"))
        await answer.start(status, {"Content-Type": "image/png", **headers}, len(body))
        await answer.send(body)
        await answer.end()


@pytest.fixture
async def own(nursery: trio.Nursery) -> Host:
    host = Host()
    await nursery.start(host.server.run)
    return host


@pytest.fixture
async def foreign(nursery: trio.Nursery) -> Host:
    host = Host()
    await nursery.start(host.server.run)
    return host


def downloads_of(base: str, context: ssl.SSLContext, cap: int = 1_000_000) -> Downloads:
    return Downloads(urlsplit(base), KEY, context, cap=cap, limiter=trio.CapacityLimiter(2), pause=0.005)


@pytest.fixture
def downloads(own: Host, context: ssl.SSLContext) -> Downloads:
    return downloads_of(own.url + "/api_ai", context)


def failed(result: Picture | AttemptOutcome) -> AttemptOutcome:
    assert isinstance(result, AttemptOutcome)
    return result


async def test_the_key_is_not_shown_where_it_is_not_needed(own: Host, downloads: Downloads, tmp_path: Path) -> None:
    own.paths["/a.png"] = 200, {}, PNG
    assert await downloads.save(f"{own.url}/a.png", tmp_path / "out") == Picture(tmp_path / "out", "image/png")
    assert own.keys == [None]
    assert (tmp_path / "out").read_bytes() == PNG
    assert not {"cookie", "referer", "range"} & set(own.asked[0].headers)


@pytest.mark.parametrize("status", [401, 403])
async def test_the_key_is_shown_to_the_own_host_once_it_asks(
    own: Host, downloads: Downloads, tmp_path: Path, status: int
) -> None:
    own.paths["/a.png"] = status, {}, b"who are you?"
    result = failed(await downloads.save("/a.png", tmp_path / "out"))
    assert own.keys == [None, f"Bearer {KEY}"]
    assert (result.verdict, result.http_status, result.error_code) == (Verdict.BAD_ANSWER, status, "PICTURE_STATUS")
    assert not (tmp_path / "out").exists()


async def test_the_key_is_never_shown_to_another_host(
    own: Host, foreign: Host, downloads: Downloads, tmp_path: Path
) -> None:
    foreign.paths |= {"/open.png": (200, {}, PNG), "/shut.png": (401, {}, b"")}
    assert isinstance(await downloads.save(f"{foreign.url}/open.png", tmp_path / "out"), Picture)
    failed(await downloads.save(f"{foreign.url}/shut.png", tmp_path / "out"))
    assert foreign.keys == [None, None]
    assert not own.asked


async def test_the_same_address_under_another_name_is_not_the_own_host(
    own: Host, downloads: Downloads, tmp_path: Path
) -> None:
    own.paths["/a.png"] = 401, {}, b""
    failed(await downloads.save(f"http://localhost:{urlsplit(own.url).port}/a.png", tmp_path / "out"))
    assert own.keys == [None]


async def test_a_redirect_within_the_own_host_is_followed(own: Host, downloads: Downloads, tmp_path: Path) -> None:
    own.paths |= {"/1": (301, {"Location": "/2"}, b""), "/2": (307, {"Location": f"{own.url}/3?x=a b"}, b"")}
    own.paths["/3"] = 200, {}, PNG
    assert isinstance(await downloads.save("1", tmp_path / "out"), Picture)
    assert [request.path for request in own.asked] == ["/1", "/2", "/3"]
    assert own.keys == [None, None, None]


async def test_a_redirect_to_another_host_is_refused(
    own: Host, foreign: Host, downloads: Downloads, tmp_path: Path
) -> None:
    foreign.paths["/a.png"] = 200, {}, PNG
    own.paths["/a.png"] = 302, {"Location": f"{foreign.url}/a.png"}, b""
    result = failed(await downloads.save("/a.png", tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.BAD_ANSWER, "REDIRECT")
    assert "127.0.0.1" in (result.message or "")
    assert not foreign.asked


async def test_a_redirect_after_the_key_was_shown_is_refused_too(
    nursery: trio.Nursery, foreign: Host, context: ssl.SSLContext, tmp_path: Path
) -> None:
    class Turning(Host):
        async def _serve(self, request: Request, answer: Answer) -> None:
            self.asked.append(request)
            status = 302 if "authorization" in request.headers else 401
            await answer.whole(status, b"", "text/plain", {"Location": foreign.url})

    turning = Turning()
    await nursery.start(turning.server.run)
    result = failed(await downloads_of(turning.url, context).save("/a.png", tmp_path / "out"))
    assert result.error_code == "REDIRECT"
    assert not foreign.asked


async def test_redirects_without_end(own: Host, downloads: Downloads, tmp_path: Path) -> None:
    for location in ("/a.png", ""):
        own.asked.clear()
        own.paths["/a.png"] = 302, {"Location": location} if location else {}, b""
        result = failed(await downloads.save("/a.png", tmp_path / "out"))
        assert "more than 3 times" in (result.message or "")
        assert len(own.asked) == 4


@pytest.mark.parametrize("announced", [True, False])
async def test_a_picture_over_the_cap_is_not_taken(
    nursery: trio.Nursery, context: ssl.SSLContext, tmp_path: Path, announced: bool
) -> None:
    """A hundred megabytes; what is written stays below the cap."""
    sent = []

    async def serve(request: Request, answer: Answer) -> None:
        await answer.start(200, {}, 100_000_000 if announced else None)
        for _ in range(100):
            await answer.send(bytes(1_000_000))
            sent.append(1)

    server = SimulatorServer(serve)
    await nursery.start(server.run)
    result = failed(await downloads_of(server.base_url, context, cap=2_000_000).save("/a", tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.BAD_ANSWER, "PICTURE_SIZE")
    assert len(sent) < 50
    if (tmp_path / "out").exists():
        assert (tmp_path / "out").stat().st_size <= 2_000_000


async def test_a_large_picture_comes_whole(own: Host, downloads: Downloads, tmp_path: Path) -> None:
    body = PNG + b"".join(number.to_bytes(4, "big") for number in range(240_000))
    own.paths["/a.png"] = 200, {}, body
    (tmp_path / "out").write_bytes(b"what an earlier try left" * 100_000)
    assert isinstance(await downloads.save("/a.png", tmp_path / "out"), Picture)
    assert (tmp_path / "out").read_bytes() == body


@pytest.mark.parametrize(
    ("mime", "body"),
    [
        ("text/html; charset=UTF-8", PNG),
        ("application/json", PNG),
        ("image/png", b"\n <!DOCTYPE html><html>"),
        ("application/octet-stream", b'{"success":false,"error":"expired"}'),
        ("image/png", b""),
    ],
)
async def test_texts_are_no_pictures(own: Host, downloads: Downloads, tmp_path: Path, mime: str, body: bytes) -> None:
    own.paths["/a.png"] = 200, {"Content-Type": mime}, body
    result = failed(await downloads.save("/a.png", tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.BAD_ANSWER, "PICTURE_BODY")


async def test_the_disk(own: Host, downloads: Downloads, tmp_path: Path) -> None:
    own.paths["/a.png"] = 200, {}, PNG * 300
    result = failed(await downloads.save("/a.png", tmp_path / "no" / "such" / "folder"))
    assert (result.verdict, result.message) == (
        Verdict.STORAGE,
        "the picture cannot be written: No such file or directory",
    )


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("0.0.0.0", False),
        ("224.0.1.1", False),
        ("255.255.255.255", False),
    ],
)
def test_addresses_of_the_open_internet(address: str, good: bool) -> None:
    assert fetch.is_open(address) is good
    assert fetch.is_open(address, loopback=True) is (good or address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://www.turbotext.ru/download.php?f=a", True),
        ("https://turbotext.ru/a", True),
        ("https://cdn.TurboText.ru:443/a", True),
        ("https://www.turbotext.ru./a", True),
        ("http://www.turbotext.ru/a", False),
        ("https://www.turbotext.ru:8443/a", False),
        ("https://turbotext.ru.evil.example/a", False),
        ("https://evilturbotext.ru/a", False),
        ("https://www.turbotext.ru@evil.example/a", False),
        ("https://127.0.0.1/a", False),
    ],
)
def test_whom_the_key_may_be_shown(context: ssl.SSLContext, url: str, own: bool) -> None:
    assert downloads_of(BASE_URL, context)._is_own(url) is own


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1"])
async def test_the_real_provider_cannot_send_us_to_ourselves(
    context: ssl.SSLContext, own: Host, tmp_path: Path, host: str
) -> None:
    address = f"https://{host}:{urlsplit(own.url).port}/a.png"
    result = failed(await downloads_of(BASE_URL, context).save(address, tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.BAD_ANSWER, "PICTURE_ADDRESS")
    assert "private network" in (result.message or "")
    assert not own.asked


async def test_a_name_that_leads_into_a_private_network(
    context: ssl.SSLContext, own: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the name is found to be is what is connected to: it is asked for once."""
    looked: list[str] = []

    async def found(host: Any, port: Any, **_: Any) -> list[Any]:
        looked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(looked) == 1 else "93.184.216.34", port))]

    monkeypatch.setattr(trio.socket, "getaddrinfo", found)
    result = failed(await downloads_of(BASE_URL, context).save("https://cdn.example/a.png", tmp_path / "out"))
    assert (result.error_code, result.message) == (
        "PICTURE_ADDRESS",
        "the picture's address: cdn.example is in a private network",
    )
    assert looked == ["cdn.example"]


async def test_a_name_with_two_addresses_of_which_one_answers(
    own: Host, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.paths["/a.png"] = 200, {}, PNG
    port = urlsplit(own.url).port

    async def found(host: Any, asked: Any, **_: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, asked)) for address in ("10.0.0.1", "127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(trio.socket, "getaddrinfo", found)
    assert isinstance(await downloads.save(f"http://localhost:{port}/a.png", tmp_path / "out"), Picture)
    assert own.asked[0].headers["host"] == f"localhost:{port}"


async def test_a_name_that_does_not_exist(
    context: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(*_: Any, **__: Any) -> list[Any]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(trio.socket, "getaddrinfo", found)
    result = failed(await downloads_of(BASE_URL, context).save("https://cdn.example/a.png", tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.TRANSPORT, "PICTURE")
    assert "Name or service not known" in (result.message or "")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///a.png",
        "data:image/png;base64,AAAA",
        "http://www.turbotext.ru/a.png",
        "https://user:word@www.turbotext.ru/a.png",
        "https://пример.example/a.png",
        "https://www.turbotext.ru:99999/a.png",
        "https://www.turbotext.ru:0/a.png",
        "https://[::1/a.png",
        "https://www.turbotext.ru/" + "a" * 5000,
    ],
)
async def test_addresses_that_are_none(
    context: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    async def connected(*_: object) -> httpcore.Response:
        raise AssertionError("nobody is to be asked")

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", connected)
    result = failed(await downloads_of(BASE_URL, context).save(address, tmp_path / "out"))
    assert (result.verdict, result.error_code) == (Verdict.BAD_ANSWER, "PICTURE_ADDRESS")


async def test_the_picture_is_asked_for_once_and_without_a_head(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    """A link may be good for one GET."""
    simulator.scenario("download(once)", "download(key)")
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    assert [(call.downloads, call.keyed_downloads) for call in simulator.calls] == [(1, 0), (2, 1)]
