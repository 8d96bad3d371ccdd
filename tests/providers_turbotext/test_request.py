"""What is sent: the fields of each method, links that live as long as the job, and an id that is told at once."""

import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

import pytest
import pyvips
import trio

from photochanger.domain.outcome import Verdict
from photochanger.errors import ConfigError, DatabaseUnavailable, StorageUnavailable
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.request import create_form
from photochanger.providers.turbotext.settings import parse_settings
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.providers_turbotext.conftest import KEY, PRICE, MakeCall, Shelf, driver_for

GUEST, TEMPLATE = "https://booth/guest.jpg", "https://booth/template.jpg"


def test_the_form_of_image2image() -> None:
    settings = parse_settings({"content": "a & b", "strength": 0, "scale": 7.5, "seed": 9, "negative_prompt": "bad"})
    assert create_form("generate_image2image", settings, GUEST, {}) == {
        "do": "create_queue",
        "url": GUEST,
        "content": "a & b",
        "strength": "0",
        "scale": "7.5",
        "seed": "9",
        "negative_prompt": "bad",
    }


def test_the_guest_is_what_mix_images_works_on() -> None:
    form = create_form("mix_images", parse_settings({"content": "x"}), GUEST, {"style": TEMPLATE})
    assert form == {"do": "create_queue", "url_image_target": GUEST, "url": TEMPLATE, "content": "x"}


@pytest.mark.parametrize(("restore", "written"), [(True, "True"), (False, "False")])
def test_the_guest_is_the_face_of_deepfake_photo(restore: bool, written: str) -> None:
    form = create_form("deepfake_photo", parse_settings({"face_restore": restore}), GUEST, {"body": TEMPLATE})
    assert form == {"do": "create_queue", "url": TEMPLATE, "url_image_target": GUEST, "face_restore": written}


class Listener:
    """Takes down what a driver sends, and answers with what it was given, the last answer for ever."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []
        self.server = SimulatorServer(self._serve)

    async def _serve(self, request: Request, answer: Answer) -> None:
        self.requests.append(request)
        body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await answer.whole(200, body, "application/json")


async def test_the_two_requests_byte_by_byte(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, shelf: Shelf
) -> None:
    listener = Listener(b'{"success":true,"queueid":"q/1 &"}', b'{"success":false,"error":"enough"}')
    await nursery.start(listener.server.run)
    driver = TurbotextDriver(KEY, ssl_context=context, base_url=listener.server.base_url + "/api_ai/")
    outcome = await driver.call(make_call(content="Как комикс & ещё"))
    create, result = listener.requests
    link = shelf.published[0].replace(":", "%3A").replace("/", "%2F")
    prompt = "%D0%9A%D0%B0%D0%BA+%D0%BA%D0%BE%D0%BC%D0%B8%D0%BA%D1%81+%26+%D0%B5%D1%89%D1%91"
    assert (create.method, create.path) == ("POST", "/api_ai/generate_image2image") == (result.method, result.path)
    assert create.body.decode() == f"do=create_queue&url={link}&content={prompt}"
    assert result.body == b"do=get_result&queueid=q%2F1+%26"
    for request in listener.requests:
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert int(request.headers["content-length"]) == request.size
    assert (outcome.message, outcome.response_id) == ("enough", "q/1 &")


@pytest.mark.parametrize(
    ("operation", "roles", "canvas"),
    [
        ("generate_image2image", (), "guest"),
        ("mix_images", ("style",), "guest"),
        ("deepfake_photo", ("body",), "template"),
    ],
)
async def test_each_method_ends_with_a_picture(
    simulator: TurbotextSimulator,
    driver: TurbotextDriver,
    make_call: MakeCall,
    shelf: Shelf,
    operation: str,
    roles: tuple[str, ...],
    canvas: str,
) -> None:
    """The simulator draws on what it takes for the picture to work on: the guest is red, the template green."""
    call = make_call(operation=operation, roles=roles)
    outcome = await driver.call(call)
    assert outcome.picture is not None, outcome
    corner = pyvips.Image.new_from_file(str(outcome.picture.path)).crop(100, 100, 200, 100)
    red, green = corner[0].avg(), corner[1].avg()
    assert (red > green + 50) if canvas == "guest" else (green > red + 50)
    assert len(shelf.published) == 1 + len(roles)
    assert not shelf.photos


async def test_templates_of_other_roles_are_not_published(
    driver: TurbotextDriver, make_call: MakeCall, shelf: Shelf
) -> None:
    outcome = await driver.call(make_call(operation="mix_images", roles=("body", "style", "other")))
    assert outcome.verdict is Verdict.PICTURE
    assert len(shelf.published) == 2


async def test_links_live_until_the_job_has_ended(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, shelf: Shelf
) -> None:
    """The photo is fetched when a worker starts, long after create_queue, with a HEAD before."""
    simulator = TurbotextSimulator(api_key=KEY, fetch="start", head_first=True, price_microusd=PRICE)
    await nursery.start(simulator.run)
    simulator.scenario("reconnect(5)")
    outcome = await driver_for(simulator, context).call(make_call())
    assert outcome.verdict is Verdict.PICTURE
    assert [method for method, _ in shelf.asked] == ["HEAD", "GET"]
    assert not shelf.photos
    assert all("authorization" not in headers and "cookie" not in headers for headers in shelf.headers)


async def test_a_photo_that_cannot_be_fetched_fails_the_job(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, shelf: Shelf
) -> None:
    for when, booked in (("create", (Verdict.REJECTED, False)), ("start", (Verdict.NO_IMAGE, True))):
        simulator = TurbotextSimulator(api_key=KEY, fetch=when)  # type: ignore[arg-type]
        await nursery.start(simulator.run)
        outcome = await driver_for(simulator, context).call(make_call(change={"publisher": Gone(shelf)}))
        assert (outcome.verdict, outcome.possibly_billed) == booked
        assert (outcome.message or "").startswith("the picture could not be loaded: GET answered 404")
        assert outcome.again == 0


class Gone:
    """A shelf whose links are dead from the beginning."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    @contextmanager
    def publish(self, photo: PreparedPhoto) -> Iterator[str]:
        yield f"{self._shelf.server.base_url}/p/gone.jpg"


class Broken:
    """A shelf that cannot publish."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def publish(self, photo: PreparedPhoto) -> AbstractContextManager[str]:
        raise self._error


@pytest.mark.parametrize(
    ("publisher", "verdict", "code"),
    [
        (None, Verdict.REJECTED, "PUBLIC_ADDRESS"),
        (Broken(ConfigError("PUBLIC_BASE_URL is not set")), Verdict.REJECTED, "PUBLIC_ADDRESS"),
        (Broken(StorageUnavailable("the disk is full")), Verdict.STORAGE, None),
    ],
)
async def test_without_a_public_address_nothing_is_sent(
    simulator: TurbotextSimulator,
    driver: TurbotextDriver,
    make_call: MakeCall,
    publisher: Broken | None,
    verdict: Verdict,
    code: str | None,
) -> None:
    outcome = await driver.call(make_call(change={"publisher": publisher}))
    assert (outcome.verdict, outcome.error_code, outcome.possibly_billed) == (verdict, code, False)
    assert outcome.message
    assert not simulator.calls


async def test_a_plan_that_cannot_work_is_not_sent(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, shelf: Shelf
) -> None:
    for call, code in (
        (make_call(operation="mix_images"), "TEMPLATES"),
        (replace(make_call(), operation="sing"), "OPERATION"),
        (make_call(face_restore=True), "FACE_RESTORE"),
    ):
        outcome = await driver.call(call)
        assert (outcome.verdict, outcome.error_code, outcome.possibly_billed) == (Verdict.REJECTED, code, False)
    assert not simulator.calls
    assert not shelf.published


# --- the handle -----------------------------------------------------------------------------------------------------


async def test_the_handle_is_told_before_anything_else_is_asked(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    told: list[tuple[str, int]] = []

    async def keep(handle: str) -> None:
        await trio.sleep(0.05)  # a row takes its time
        told.append((handle, simulator.calls[0].polls))

    outcome = await driver.call(make_call(change={"on_handle": keep}))
    assert outcome.verdict is Verdict.PICTURE
    assert told == [(str(simulator.calls[0].queueid), 0)]


async def test_a_handle_that_cannot_be_kept_does_not_cost_the_picture(
    driver: TurbotextDriver, make_call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    async def lose(_handle: str) -> None:
        raise DatabaseUnavailable("gone")

    outcome = await driver.call(make_call(change={"on_handle": lose}))
    assert outcome.verdict is Verdict.PICTURE
    assert "could not be kept: DatabaseUnavailable" in caplog.text


async def test_a_job_is_taken_up_again(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    """As after a crash: the first driver dies once the handle is known, another one goes on from there."""
    simulator.scenario("reconnect(3)")
    handles: list[str] = []
    with trio.CancelScope() as life:

        async def keep(handle: str) -> None:
            handles.append(handle)
            life.cancel()

        await driver.call(make_call(change={"on_handle": keep}))
    call = make_call(change={"publisher": None})
    outcome = await driver.resume(call, handles[0])
    assert (outcome.verdict, outcome.cost_microusd, outcome.response_id) == (Verdict.PICTURE, PRICE, handles[0])
    assert call.out_path.stat().st_size > 1000
    assert len(simulator.calls) == 1
    assert simulator.charged_microusd == PRICE


async def test_resuming_what_nobody_knows(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    outcome = await driver.resume(make_call(), "123")
    assert (outcome.verdict, outcome.again, outcome.possibly_billed) == (Verdict.NO_IMAGE, 0, True)
    assert outcome.message == "queueid: no such queue"
    assert not simulator.calls


async def test_resuming_too_late_or_without_a_key(
    context: ssl.SSLContext, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    late = await driver.resume(make_call(seconds=-1), "123")
    assert (late.verdict, late.again, late.possibly_billed, late.response_id) == (Verdict.TIMEOUT, 0, True, "123")
    keyless = await TurbotextDriver(None, ssl_context=context).resume(make_call(), "123")
    assert (keyless.verdict, keyless.error_code, keyless.possibly_billed) == (Verdict.REJECTED, "API_KEY_MISSING", True)


async def test_the_allowance_is_logged(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    simulator = TurbotextSimulator(api_key=KEY, allowance=2)
    await nursery.start(simulator.run)
    driver = driver_for(simulator, context)
    verdicts = [(await driver.call(make_call())).verdict for _ in range(3)]
    assert verdicts == [Verdict.PICTURE, Verdict.PICTURE, Verdict.REJECTED]
    assert "'foto_limit': 1" in caplog.text
    assert "'foto_limit': 0" in caplog.text
