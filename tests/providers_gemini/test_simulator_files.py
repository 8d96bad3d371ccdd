"""The simulated Files API: what it takes, what it refuses, and what generateContent makes of a reference."""

from typing import Any

import msgspec
import pytest

from photochanger.providers.gemini.simulator import GeminiSimulator
from tests.providers_gemini.conftest import KEY
from tests.providers_gemini.test_simulator import ask, send

START = {
    "X-Goog-Upload-Protocol": "resumable",
    "X-Goog-Upload-Command": "start",
    "X-Goog-Upload-Header-Content-Type": "image/jpeg",
}
WHOLE = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}


async def start(simulator: GeminiSimulator, size: int, body: Any = None, **headers: str) -> Any:
    """Status, JSON and headers of an upload's start."""
    more = START | {"X-Goog-Upload-Header-Content-Length": str(size)} | headers
    return await send(simulator, "POST", "/upload/v1beta/files", body or {"file": {"displayName": "x"}}, KEY, more)


async def store(simulator: GeminiSimulator, jpeg: bytes, **file: Any) -> dict[str, Any]:
    """Upload a photo; the file as it was told."""
    _, _, headers = await start(simulator, len(jpeg), {"file": file})
    path = headers["x-goog-upload-url"].removeprefix(simulator.base_url)
    status, told, headers = await send(simulator, "POST", path, jpeg, None, WHOLE)
    assert (status, headers["x-goog-upload-status"]) == (200, "final")
    found: dict[str, Any] = told["file"]
    return found


async def test_a_file_lives_until_it_is_deleted(simulator: GeminiSimulator, jpeg: bytes) -> None:
    told = await store(simulator, jpeg, name="files/my-photo", display_name="A guest")
    assert told["name"] == "files/my-photo"
    assert told["uri"] == f"{simulator.base_url}/v1beta/files/my-photo"
    assert (told["sizeBytes"], told["mimeType"], told["state"]) == (str(len(jpeg)), "image/jpeg", "ACTIVE")
    assert told["displayName"] == "A guest"
    path = "/v1beta/files/my-photo"
    assert (await ask(simulator, b"", path=path, method="GET"))[1] == told  # not wrapped here
    assert (await ask(simulator, b"", path="/v1beta/files", method="GET"))[1] == {"files": [told]}
    assert (await ask(simulator, b"", path=path, method="DELETE"))[:2] == (200, {})
    for method in ("GET", "DELETE"):
        status, error, _ = await ask(simulator, b"", path=path, method=method)
        assert (status, error["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert simulator.files == {}


async def test_an_upload_in_pieces(simulator: GeminiSimulator, jpeg: bytes) -> None:
    _, _, headers = await start(simulator, len(jpeg))
    path = headers["x-goog-upload-url"].removeprefix(simulator.base_url)
    first = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload"}
    status, told, headers = await send(simulator, "POST", path, jpeg[:100], None, first)
    assert (status, told, headers["x-goog-upload-status"]) == (200, {}, "active")
    assert (await send(simulator, "POST", path, jpeg[100:], None, WHOLE))[0] == 400  # the offset is wrong
    last = WHOLE | {"X-Goog-Upload-Offset": "100"}
    assert (await send(simulator, "POST", path, jpeg[100:], None, last))[0] == 200
    (file,) = simulator.files.values()
    assert file.data == jpeg
    assert (await send(simulator, "POST", path, jpeg, None, WHOLE))[0] == 404  # the address is used up


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (None, {"X-Goog-Upload-Protocol": "raw"}, "protocol resumable"),
        (None, {"X-Goog-Upload-Command": "upload"}, "command start"),
        (None, {"X-Goog-Upload-Header-Content-Length": "0"}, "size"),
        (None, {"X-Goog-Upload-Header-Content-Length": "3000000000"}, "size"),
        (None, {"X-Goog-Upload-Header-Content-Type": "image/bmp"}, "MIME"),
        ({"file": {"color": "red"}}, {}, "Unknown name"),
        ({"name": "files/a"}, {}, "Unknown name"),
        ({"file": {"name": "a"}}, {}, "resource name"),
        ({"file": {"name": "files/A"}}, {}, "resource name"),
        ({"file": {"name": "files/" + "a" * 41}}, {}, "resource name"),
        (b"{", {}, "Invalid JSON"),
    ],
)
async def test_a_start_is_judged(simulator: GeminiSimulator, body: Any, headers: dict[str, str], says: str) -> None:
    status, error, _ = await start(simulator, 10, body, **headers)
    assert status == 400
    assert says in error["error"]["message"]


async def test_names_are_taken_once(simulator: GeminiSimulator, jpeg: bytes) -> None:
    await store(simulator, jpeg, name="files/a")
    assert (await start(simulator, 10, {"file": {"name": "files/a"}}))[0] == 409


@pytest.mark.parametrize(
    ("data", "size", "says"),
    [(b"\xff\xd8\xff12345", 9, "announced"), (b"\xff\xd8\xff", 2, "announced"), (b"<html>", 6, "not valid")],
)
async def test_the_bytes_are_judged(simulator: GeminiSimulator, data: bytes, size: int, says: str) -> None:
    _, _, headers = await start(simulator, size)
    path = headers["x-goog-upload-url"].removeprefix(simulator.base_url)
    status, error, _ = await send(simulator, "POST", path, data, None, WHOLE)
    assert (status, says in error["error"]["message"]) == (400, True)
    assert simulator.files == {}


async def test_the_key_is_asked_for(simulator: GeminiSimulator) -> None:
    for method, path in (("GET", "/v1beta/files"), ("DELETE", "/v1beta/files/a"), ("POST", "/upload/v1beta/files")):
        status, error, _ = await ask(simulator, b"", path=path, method=method, key=None)
        assert (status, error["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


def referring(uri: str, mime: str | None = "image/jpeg") -> dict[str, Any]:
    return {"contents": [{"parts": [{"file_data": {"file_uri": uri, "mime_type": mime}}, {"text": "[sim:no_image]"}]}]}


async def test_a_reference_counts_as_a_picture(simulator: GeminiSimulator, jpeg: bytes) -> None:
    told = await store(simulator, jpeg)
    status, reply, _ = await ask(simulator, referring(told["uri"]))
    assert status == 200
    assert reply["usageMetadata"]["promptTokensDetails"][1]["tokenCount"] == 516
    assert (simulator.calls[0].pictures, simulator.calls[0].photo_size) == (("file",), (96, 64))


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (lambda told: referring(told["uri"] + "x"), 403, "permission"),
        (lambda told: referring("https://example.com/photo.jpg"), 403, "permission"),
        (lambda told: referring(told["name"]), 403, "permission"),
        (lambda told: referring(told["uri"], "image/png"), 400, "MIME"),
        (lambda told: referring(told["uri"], None), 400, "MIME"),
    ],
)
async def test_references_are_judged(
    simulator: GeminiSimulator, jpeg: bytes, change: Any, status: int, says: str
) -> None:
    told = await store(simulator, jpeg)
    got, error, _ = await ask(simulator, change(told))
    assert (got, says in error["error"]["message"]) == (status, True)


async def test_a_file_is_of_no_use_before_it_is_active_nor_after_its_deletion(
    simulator: GeminiSimulator, jpeg: bytes
) -> None:
    simulator.file_tricks.processing = 1
    told = await store(simulator, jpeg)
    status, error, _ = await ask(simulator, referring(told["uri"]))
    assert (status, error["error"]["status"]) == (400, "FAILED_PRECONDITION")
    path = f"/v1beta/{told['name']}"
    states = [(await ask(simulator, b"", path=path, method="GET"))[1]["state"] for _ in range(2)]
    assert [told["state"], *states] == ["PROCESSING", "PROCESSING", "ACTIVE"]
    assert (await ask(simulator, referring(told["uri"])))[0] == 200
    await ask(simulator, b"", path=path, method="DELETE")
    assert (await ask(simulator, referring(told["uri"])))[0] == 403


async def test_control_forgets_files_with_the_rest(simulator: GeminiSimulator, jpeg: bytes) -> None:
    await store(simulator, jpeg)
    simulator.file_tricks.errors["get"] = 500
    simulator.reset()
    assert simulator.files == {}
    assert simulator.file_requests == []
    assert simulator.file_tricks.errors == {}
    told = msgspec.json.encode((await ask(simulator, b"", path="/v1beta/files", method="GET"))[1])
    assert told == b'{"files":[]}'
