"""Pictures by way of the Files API: when, in which order, what goes wrong, and that nothing is left at Gemini's."""

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pyvips
import trio

from photochanger.domain.outcome import Verdict
from photochanger.providers.base import Call, PreparedPhoto, TemplateImage
from photochanger.providers.gemini import files, reading
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from tests.providers_gemini.conftest import HANG_GUARD, KEY, MakeCall, photo_of
from tests.providers_gemini.leaks import CancelAt, open_files, settle

USUAL = ["start", "upload", "delete"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "RESEND_WAIT", 0.01)
    monkeypatch.setattr(files, "POLL", 0.01)


@pytest.fixture
def driver(simulator: GeminiSimulator, context: ssl.SSLContext) -> GeminiDriver:
    """Everything goes by file."""
    return GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url, inline_limit=1)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == files.__name__]


def picture_file(path: Path, width: int, colour: int) -> PreparedPhoto:
    """A JPEG of one colour; the wider, the more bytes."""
    image = pyvips.Image.gaussnoise(width, 64, mean=colour).cast("uchar").bandjoin([colour, colour])
    image.copy(interpretation="srgb").jpegsave(str(path), Q=95)
    return photo_of(path)


def with_templates(call: Call, *photos: PreparedPhoto) -> Call:
    return replace(call, templates=tuple(TemplateImage("style", photo) for photo in photos))


async def test_a_photo_that_is_too_large_goes_by_file_and_is_deleted(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, photo: PreparedPhoto
) -> None:
    outcome = await driver.call(make_call())
    assert outcome.verdict is Verdict.PICTURE
    (call,) = simulator.calls
    assert (call.pictures, call.photo_bytes, call.photo_size) == (("file",), photo.size, (96, 64))
    assert call.charged_microusd == outcome.cost_microusd > 0
    assert simulator.file_requests == USUAL
    assert simulator.files == {}


async def test_only_what_does_not_fit_goes_by_file_and_the_order_stays(
    simulator: GeminiSimulator, context: ssl.SSLContext, make_call: MakeCall, tmp_path: Path
) -> None:
    small, large = picture_file(tmp_path / "small.jpg", 64, 40), picture_file(tmp_path / "large.jpg", 640, 200)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url, inline_limit=large.size)
    outcome = await driver.call(with_templates(make_call(), small, large, small))
    assert outcome.verdict is Verdict.PICTURE
    (call,) = simulator.calls
    assert call.pictures == ("inline", "inline", "file", "inline")
    assert call.request_bytes < large.size
    assert simulator.file_requests == USUAL
    assert simulator.files == {}


async def test_the_limit_is_that_of_the_whole_request(
    simulator: GeminiSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    await GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url).call(make_call())
    exact = simulator.calls[0].request_bytes
    for limit, way in ((exact, "inline"), (exact - 1, "file")):
        driver = GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url, inline_limit=limit)
        assert (await driver.call(make_call())).verdict is Verdict.PICTURE
        assert simulator.calls[-1].pictures == (way,)


async def test_several_files_are_all_deleted(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, photo: PreparedPhoto
) -> None:
    assert (await driver.call(with_templates(make_call(), photo, photo))).verdict is Verdict.PICTURE
    assert simulator.calls[0].pictures == ("file",) * 3
    assert sorted(simulator.file_requests) == ["delete"] * 3 + ["start"] * 3 + ["upload"] * 3
    assert simulator.files == {}


async def test_files_go_over_tls(nursery: trio.Nursery, make_call: MakeCall, certificate: Path) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    simulator = GeminiSimulator(api_key=KEY, ssl_context=server)
    await nursery.start(simulator.run)
    trusting = ssl.create_default_context(cafile=str(certificate))
    driver = GeminiDriver(KEY, ssl_context=trusting, base_url=simulator.base_url, inline_limit=1)
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    assert simulator.file_requests == USUAL
    assert simulator.files == {}


async def test_what_the_provider_calls_a_file_counts(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    imposter = Imposter(file={"file": {"name": "files/theirs", "uri": "https://host/theirs"}})
    await nursery.start(imposter.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=imposter.server.base_url, inline_limit=1)
    await driver.call(make_call())
    assert b"https://host/theirs" in imposter.requests[2].body
    assert [request.path for request in imposter.requests[3:]] == ["/v1beta/files/theirs"]


@pytest.mark.parametrize("scenario", ["no_image", "error(503)", "truncated", "close", "image_safety", "location"])
async def test_files_are_deleted_whatever_was_answered(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str
) -> None:
    simulator.scenario(scenario)
    assert (await driver.call(make_call())).verdict is not Verdict.PICTURE
    assert simulator.file_requests == USUAL
    assert simulator.files == {}


async def test_a_file_that_is_being_processed_is_waited_for(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.file_tricks.processing = 2
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    assert simulator.file_requests == ["start", "upload", "get", "get", "get", "delete"]


async def test_a_file_that_fails_is_a_rejection(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.file_tricks.processing, simulator.file_tricks.fails = 1, True
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.error_code, outcome.possibly_billed) == (Verdict.REJECTED, "FILE_FAILED", False)
    assert not simulator.calls
    assert simulator.files == {}


async def test_an_upload_without_an_end_status_is_sent_again(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.file_tricks.silent_ends = 3
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    assert simulator.file_requests == ["start", "upload", "upload", "upload", "upload", "delete"]
    simulator.reset()
    simulator.file_tricks.silent_ends = 4
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.BAD_ANSWER, False)
    assert simulator.file_requests.count("upload") == 4
    assert not simulator.calls


async def test_an_upload_that_ends_unfinished_is_a_bad_answer(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.file_tricks.end_status = "active"
    assert (await driver.call(make_call())).verdict is Verdict.BAD_ANSWER
    assert simulator.file_requests == USUAL
    assert simulator.files == {}


@pytest.mark.parametrize(
    ("step", "status", "verdict"),
    [
        ("start", 503, Verdict.OVERLOADED),
        ("start", 429, Verdict.QUOTA),
        ("start", 403, Verdict.REJECTED),
        ("upload", 500, Verdict.OVERLOADED),
        ("upload", 307, Verdict.REJECTED),
        ("get", 404, Verdict.REJECTED),
        ("get", 503, Verdict.OVERLOADED),
    ],
)
async def test_errors_before_the_request_cost_nothing(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, step: str, status: int, verdict: Verdict
) -> None:
    simulator.file_tricks.processing = 1
    simulator.file_tricks.errors[step] = status
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.http_status) == (verdict, status)
    assert (outcome.possibly_billed, outcome.cost_microusd, outcome.again) == (False, 0, None)
    assert not simulator.calls
    assert simulator.files == {}


async def test_a_wrong_key_is_told_at_the_start(
    simulator: GeminiSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    driver = GeminiDriver("wrong", ssl_context=context, base_url=simulator.base_url, inline_limit=1)
    assert (await driver.call(make_call())).error_code == "API_KEY_INVALID"
    assert simulator.file_requests == ["start"]


@pytest.mark.parametrize("damage", ["gone", "shorter"])
async def test_a_picture_that_cannot_be_read(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, photo: PreparedPhoto, damage: str
) -> None:
    photo.path.unlink() if damage == "gone" else photo.path.write_bytes(b"\xff\xd8\xff")
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.STORAGE, False)
    assert str(photo.path) not in (outcome.message or "")
    assert simulator.files == {}


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["start", "upload", "get"])
@pytest.mark.parametrize("way", ["hangs", "mute"])
async def test_the_deadline_bounds_uploads_too(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, step: str, way: str
) -> None:
    simulator.file_tricks.processing = 1
    getattr(simulator.file_tricks, way).add(step)
    with trio.fail_after(HANG_GUARD):
        outcome = await driver.call(make_call(seconds=1))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TIMEOUT, False)
    assert not simulator.calls
    assert simulator.files == {}


async def test_the_deadline_after_the_upload_is_possibly_billed(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.scenario("hang")
    outcome = await driver.call(make_call(seconds=1.5))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TIMEOUT, True)
    assert simulator.files == {}


async def test_deleting_has_its_time_within_the_deadline(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    assert (await driver.call(make_call(seconds=41))).verdict is Verdict.PICTURE
    assert int(simulator.calls[0].server_timeout or 0) <= 41 - files.CLEANUP


@pytest.mark.parametrize("trick", ["hangs", "errors"])
async def test_a_deletion_that_fails_costs_no_picture(
    simulator: GeminiSimulator,
    driver: GeminiDriver,
    make_call: MakeCall,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    trick: str,
) -> None:
    monkeypatch.setattr(files, "CLEANUP", 0.1)
    if trick == "hangs":
        simulator.file_tricks.hangs.add("delete")
    else:
        simulator.file_tricks.errors["delete"] = 403
    with trio.fail_after(HANG_GUARD):
        assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    (name,) = simulator.files
    assert [name in line for line in logged(caplog)] == [True]
    assert KEY not in caplog.text


async def test_a_cancelled_call_deletes_what_it_uploaded(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.scenario("hang")
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.call, make_call())
            while not simulator.calls:  # noqa: ASYNC110
                await trio.sleep(0.002)
            assert len(simulator.files) == 1
            nursery.cancel_scope.cancel()
    assert simulator.files == {}
    assert not logged(caplog)


async def test_an_upload_whose_answer_never_came_is_deleted(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.file_tricks.mute.add("upload")
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.call, make_call())
            while not simulator.files:  # noqa: ASYNC110
                await trio.sleep(0.002)
            nursery.cancel_scope.cancel()
    assert simulator.files == {}


async def test_cancelling_at_every_step_of_the_files_path_leaves_nothing(
    simulator: GeminiSimulator,
    context: ssl.SSLContext,
    make_call: MakeCall,
    photo: PreparedPhoto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(reading, "CHUNK", 510)  # so that there are steps within an upload
    assert photo.size > 2 * 510
    limiter = trio.CapacityLimiter(1)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url, limiter=limiter, inline_limit=1)
    simulator.default("no_image")
    await driver.call(make_call())
    await settle(simulator)
    open_before = open_files()
    step, outcome = 0, None
    reached: set[str] = set()
    while outcome is None:
        step += 1
        simulator.reset()
        simulator.default("no_image")
        simulator.file_tricks.processing = 1
        with trio.CancelScope() as scope:
            instrument = CancelAt(trio.lowlevel.current_task(), scope, step)
            trio.lowlevel.add_instrument(instrument)
            try:
                outcome = await driver.call(with_templates(make_call(), photo))
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert limiter.borrowed_tokens == 0
        assert simulator.files == {}, f"cancelled at step {step}"
        reached.add(simulator.file_requests[-1] if simulator.file_requests else "")
        assert step < 2000
    await settle(simulator)
    assert open_files() == open_before
    assert step > 50
    assert reached >= {"", "start", "delete"}
    assert not logged(caplog)
    assert outcome.verdict is Verdict.NO_IMAGE


# --- what the provider says is not believed blindly -----------------------------------------------------------------


class Imposter:
    """Answers as the Files API does, but for the upload's address and the file; keeps what it got."""

    def __init__(
        self, address: str = "{base}/upload/here?upload_id=1", file: Any = None, cut: str | None = None
    ) -> None:
        self.requests: list[Request] = []
        self.server = SimulatorServer(self._handle)
        self._address = address
        self._file = file
        self._cut = cut

    async def _handle(self, request: Request, answer: Answer) -> None:
        self.requests.append(request)
        base = self.server.base_url
        if request.path == self._cut:
            await answer.cut(reset=True)
        elif request.method == "DELETE":
            await answer.json(200, {})
        elif request.path.endswith("/upload/v1beta/files"):
            address = self._address.format(base=base, port=self.server.port)
            await answer.json(200, {}, {"X-Goog-Upload-URL": address} if address else {})
        elif request.path == "/upload/here":
            name = msgspec.json.decode(self.requests[0].body)["file"]["name"]
            usual = {"name": name, "uri": f"{base}/v1beta/{name}", "state": "ACTIVE"}
            file = {"file": usual} if self._file is None else self._file
            await answer.json(200, file, {"X-Goog-Upload-Status": "final"})
        else:
            await answer.json(400, {})


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/upload/here",
        "https://127.0.0.1:{port}/upload/here",
        "http://127.0.0.1:1/upload/here",
        "http://localhost:{port}/upload/here",
        "http://127.0.0.1.example.com:{port}/upload/here",
        "http://127.0.0.1:{port}@example.com/upload/here",
        "http://user@127.0.0.1:{port}/upload/here",
        "http://127.0.0.1:{port}\\@example.com/upload/here",
        "http://[::1/upload/here",
        "{base}/upload/he re",
        "{base}/upload/here?" + "x" * 5000,
    ],
)
async def test_an_upload_goes_to_the_providers_own_host_only(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, address: str
) -> None:
    imposter = Imposter(address)
    await nursery.start(imposter.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=imposter.server.base_url, inline_limit=1)
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.BAD_ANSWER, False)
    assert [request.method for request in imposter.requests] == ["POST"]


async def test_a_simulated_upload_to_another_host_gets_nothing(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, nursery: trio.Nursery
) -> None:
    other = Imposter()
    await nursery.start(other.server.run)
    simulator.file_tricks.upload_base = other.server.base_url
    assert (await driver.call(make_call())).verdict is Verdict.BAD_ANSWER
    assert not other.requests
    assert simulator.files == {}


@pytest.mark.parametrize(("cut", "deletes"), [("/upload/v1beta/files", 0), ("/upload/here", 1)])
async def test_a_connection_lost_while_uploading_cost_nothing(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, cut: str, deletes: int
) -> None:
    imposter = Imposter(cut=cut)
    await nursery.start(imposter.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=imposter.server.base_url, inline_limit=1)
    outcome = await driver.call(make_call())
    assert (outcome.verdict, outcome.possibly_billed, outcome.again) == (Verdict.TRANSPORT, False, None)
    assert [request.method for request in imposter.requests].count("DELETE") == deletes


@pytest.mark.parametrize(
    "file",
    [
        {},
        [],
        {"file": {}},
        {"file": {"name": "files/a"}},
        {"file": {"name": "files/a", "uri": ""}},
        {"file": {"name": "files/a", "uri": "x" * 600}},
        {"file": {"name": "models/../a", "uri": "https://host/a"}},
        {"name": "files/a", "uri": "https://host/a"},
    ],
)
async def test_odd_files_are_bad_answers(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, file: Any
) -> None:
    imposter = Imposter(file=file)
    await nursery.start(imposter.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=imposter.server.base_url, inline_limit=1)
    assert (await driver.call(make_call())).verdict is Verdict.BAD_ANSWER
    name = msgspec.json.decode(imposter.requests[0].body)["file"]["name"]
    assert [request.path for request in imposter.requests[2:]] == [f"/v1beta/{name}"]


async def test_the_upload_on_the_wire(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, photo: PreparedPhoto
) -> None:
    imposter = Imposter()
    await nursery.start(imposter.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=imposter.server.base_url + "/gateway", inline_limit=1)
    outcome = await driver.call(make_call())
    assert outcome.verdict is Verdict.REJECTED
    start, upload, generate, delete = imposter.requests
    assert (start.path, upload.path, upload.query) == ("/gateway/upload/v1beta/files", "/upload/here", "upload_id=1")
    announced = {name: value for name, value in start.headers.items() if name.startswith("x-goog-")}
    assert announced == {
        "x-goog-api-key": KEY,
        "x-goog-upload-protocol": "resumable",
        "x-goog-upload-command": "start",
        "x-goog-upload-header-content-length": str(photo.size),
        "x-goog-upload-header-content-type": "image/jpeg",
    }
    name = msgspec.json.decode(start.body)["file"]["name"]
    assert upload.headers["x-goog-upload-command"] == "upload, finalize"
    assert upload.headers["x-goog-upload-offset"] == "0"
    assert "x-goog-api-key" not in upload.headers  # its address is the permission
    assert bytes(upload.body) == photo.path.read_bytes()
    parts = msgspec.json.decode(generate.body)["contents"][0]["parts"]
    uri = f"{imposter.server.base_url}/v1beta/{name}"
    assert parts == [{"fileData": {"mimeType": "image/jpeg", "fileUri": uri}}, {"text": "As a comic"}]
    assert (delete.method, delete.path) == ("DELETE", f"/gateway/v1beta/{name}")
    assert delete.headers["x-goog-api-key"] == KEY
