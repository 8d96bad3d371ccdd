"""What leaves the house: exact bytes, exact length, and as Google wants it."""

import base64
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from photochanger.domain.outcome import Verdict
from photochanger.providers.base import FileSlice
from photochanger.providers.gemini import reading
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.reading import CHUNK
from photochanger.providers.gemini.request import FileReference, PhotoBody, envelope
from photochanger.providers.gemini.settings import parse_settings
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from tests.providers_gemini.conftest import KEY, MakeCall, photo_of
from tests.providers_gemini.leaks import open_files

FILE = bytes(range(256)) * 40


async def _sent(path: Path, parts: Sequence[bytes | FileSlice]) -> tuple[bytes, int]:
    """The body as it would go out, and its announced length."""
    with PhotoBody([b"<", photo_of(path, parts), b">"], trio.CapacityLimiter(1)) as body:
        pieces = [piece async for piece in body]
        assert body.finished
        return b"".join(pieces), body.length


def _joined(parts: Sequence[bytes | FileSlice]) -> bytes:
    return b"".join(
        part if isinstance(part, bytes) else FILE[part.offset : part.offset + part.length] for part in parts
    )


slices = st.builds(
    lambda offset, length: FileSlice(offset, min(length, len(FILE) - offset)),
    st.integers(0, len(FILE)),
    st.integers(0, 3000),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(parts=st.lists(st.binary(max_size=40) | slices, max_size=8))
async def test_any_parts_become_one_base64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[bytes | FileSlice]
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 48)  # so that small parts cross many pieces
    path = tmp_path / "file"
    path.write_bytes(FILE)
    body, length = await _sent(path, parts)
    assert body == b"<" + base64.b64encode(_joined(parts)) + b">"
    assert len(body) == length


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pictures=st.lists(st.lists(st.binary(max_size=40) | slices, max_size=4), max_size=5))
async def test_each_picture_is_padded_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[list[bytes | FileSlice]]
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 48)
    path = tmp_path / "file"
    path.write_bytes(FILE)
    photos = [photo_of(path, parts, f"image/{number}") for number, parts in enumerate(pictures)]
    with PhotoBody(envelope(parse_settings({"prompt": "x"}), photos), trio.CapacityLimiter(1)) as body:
        sent = b"".join([piece async for piece in body])
    assert len(sent) == body.length
    (content,) = msgspec.json.decode(sent)["contents"]
    assert content["parts"] == [
        *({"inlineData": {"mimeType": photo.mime, "data": base64.b64encode(_joined(photo.parts)).decode()}}
          for photo in photos),
        {"text": "x"},
    ]  # fmt: skip


async def test_one_picture_is_open_at_a_time(tmp_path: Path) -> None:
    photos = []
    for name in "abc":
        (tmp_path / name).write_bytes(FILE)
        photos.append(photo_of(tmp_path / name))
    most = 0
    with PhotoBody(envelope(parse_settings({"prompt": "x"}), photos), trio.CapacityLimiter(1)) as body:
        async for _ in body:
            most = max(most, sum(str(tmp_path) in entry for entry in open_files()))
    assert most == 1
    assert not [entry for entry in open_files() if str(tmp_path) in entry]


@pytest.mark.parametrize("size", [0, 1, 2, 3, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 2])
async def test_sizes_around_a_piece(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    data = (FILE * (size // len(FILE) + 1))[:size]
    path.write_bytes(data)
    body, length = await _sent(path, [b"", FileSlice(0, size)])
    assert body == b"<" + base64.b64encode(data) + b">"
    assert len(body) == length


def test_a_piece_is_whole_triples() -> None:
    assert CHUNK % 3 == 0


class Listener:
    """A server that keeps what it got and answers 400."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.server = SimulatorServer(self._handle)

    async def _handle(self, request: Request, answer: Answer) -> None:
        self.requests.append(request)
        await answer.json(400, {})


async def test_the_request_on_the_wire(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, tmp_path: Path
) -> None:
    listener = Listener()
    await nursery.start(listener.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=listener.server.base_url + "/gateway/")
    path = tmp_path / "photo"
    path.write_bytes(FILE)
    prompt = 'A "quoted" line,\nэмодзи 🎉 and \\ a backslash'
    photo = photo_of(path, [b"\xff\xd8literal", FileSlice(1, 1001), b"tail", FileSlice(5000, 5240)])
    options: dict[str, Any] = {
        "prompt": prompt,
        "aspect_ratio": "3:2",
        "image_size": "2K",
        "thinking_level": "HIGH",
        "safety_thresholds": {"HARM_CATEGORY_HATE_SPEECH": "OFF", "HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"},
    }
    await driver.call(make_call(photo=photo, seconds=7.2, **options))
    (got,) = listener.requests
    assert (got.method, got.path, got.query) == (
        "POST",
        "/gateway/v1beta/models/gemini-3.1-flash-image:generateContent",
        "",
    )
    assert got.headers["content-length"] == str(got.size)
    assert "transfer-encoding" not in got.headers
    assert got.headers["x-goog-api-key"] == KEY
    assert got.headers["x-server-timeout"] == "8"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{listener.server.port}"
    data = base64.b64encode(_joined(photo.parts)).decode()
    assert msgspec.json.decode(got.body) == {
        "contents": [
            {"role": "user", "parts": [{"inlineData": {"mimeType": "image/jpeg", "data": data}}, {"text": prompt}]}
        ],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "3:2", "imageSize": "2K"},
            "thinkingConfig": {"thinkingLevel": "HIGH"},
        },
        "safetySettings": [
            {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"},
            {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "OFF"},
        ],
    }


def test_what_is_not_set_is_not_sent() -> None:
    (body,) = envelope(parse_settings({"prompt": "x"}), [FileReference("https://host/v1beta/files/a", "image/png")])
    file = {"mimeType": "image/png", "fileUri": "https://host/v1beta/files/a"}
    assert msgspec.json.decode(body) == {  # type: ignore[arg-type]  # no picture stands in it
        "contents": [{"role": "user", "parts": [{"fileData": file}, {"text": "x"}]}],
        "generationConfig": {"responseModalities": ["IMAGE"]},
    }


@pytest.mark.parametrize("damage", ["gone", "shorter"])
async def test_a_photo_that_cannot_be_read(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, tmp_path: Path, damage: str
) -> None:
    listener = Listener()
    await nursery.start(listener.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=listener.server.base_url)
    path = tmp_path / "photo"
    path.write_bytes(FILE)
    photo = photo_of(path)
    path.unlink() if damage == "gone" else path.write_bytes(FILE[:100])
    outcome = await driver.call(make_call(photo=photo))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.STORAGE, False)
    assert str(tmp_path) not in (outcome.message or "")
    assert not listener.requests
