"""Every scenario of the simulator, over real sockets: the outcome the driver makes of it, and that money adds up."""

import ssl
from pathlib import Path

import pytest
import pyvips
import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import PictureError
from photochanger.media.verify import verify
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from photochanger.providers.turbotext.wire import Reply
from photochanger.providers.turbotext.work import wait_after
from tests.providers_turbotext.conftest import KEY, PRICE, MakeCall, driver_for

PICTURE, NO_IMAGE, REFUSED, REJECTED = Verdict.PICTURE, Verdict.NO_IMAGE, Verdict.REFUSED, Verdict.REJECTED
QUOTA, OVERLOADED, TRANSPORT, BAD_ANSWER = Verdict.QUOTA, Verdict.OVERLOADED, Verdict.TRANSPORT, Verdict.BAD_ANSWER

PAID, MAYBE, NOTHING = "paid", "maybe", "nothing"

ANSWERS = [
    # scenario, verdict, HTTP status, error code, what is booked, more tries
    ("ok", PICTURE, 200, None, PAID, 0),
    ("ok+typed", PICTURE, 200, None, PAID, 0),
    ("jpeg+typed", PICTURE, 200, None, PAID, 0),
    ("nested", PICTURE, 200, None, PAID, 0),
    ("relative", PICTURE, 200, None, PAID, 0),
    ("absolute", PICTURE, 200, None, PAID, 0),
    ("null_image", PICTURE, 200, None, PAID, 0),
    ("stray", PICTURE, 200, None, PAID, 0),
    ("half_picture", PICTURE, 200, None, PAID, 0),  # whether it is one is not the driver's to say
    ("no_image", NO_IMAGE, 200, None, PAID, 0),
    ("bare", BAD_ANSWER, 200, None, MAYBE, 0),
    ("forbidden", REFUSED, 200, None, PAID, 0),
    ("failed(the face was not found)", NO_IMAGE, 200, "RESULT", MAYBE, 0),
    # not ready: `success` is not looked at then
    ("reconnect(3)", PICTURE, 200, None, PAID, 0),
    ("reconnect(3,true)", PICTURE, 200, None, PAID, 0),
    ("reconnect(3,false)", PICTURE, 200, None, PAID, 0),
    ("reconnect(2)+hold(0.05)", PICTURE, 200, None, PAID, 0),
    ("slow(0.1)", PICTURE, 200, None, PAID, 0),
    ("reconnect(2,true)+failed", NO_IMAGE, 200, "RESULT", MAYBE, 0),
    # create_queue: a job may exist as soon as something answered 200
    ("create(slow,0.1)", PICTURE, 200, None, PAID, 0),
    ("create(text_id)", PICTURE, 200, None, PAID, 0),
    ("create(cut,1)", PICTURE, 200, None, PAID, 0),  # the queueid had come
    ("create(cut,0.7)", TRANSPORT, 200, None, MAYBE, 0),
    ("create(html)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("create(half)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("create(large,100)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("create(no_id)", BAD_ANSWER, 200, "CREATE", MAYBE, 0),
    ("create(asyncid)", BAD_ANSWER, 200, "CREATE", MAYBE, 0),
    ("create(204)", BAD_ANSWER, 204, None, MAYBE, 0),
    ("create(close)", TRANSPORT, None, None, MAYBE, None),
    ("create(reset)", TRANSPORT, None, None, MAYBE, None),
    ("create(500)", OVERLOADED, 500, None, MAYBE, None),
    ("create(502)", OVERLOADED, 502, None, MAYBE, None),
    ("create(503)", OVERLOADED, 503, None, MAYBE, None),
    ("create(429)", QUOTA, 429, None, NOTHING, None),
    ("create(400)", REJECTED, 400, None, NOTHING, None),
    ("create(404)", REJECTED, 404, None, NOTHING, None),
    ("create(501)", REJECTED, 501, None, NOTHING, None),
    # get_result: asking again costs nothing
    ("poll(500,2)", PICTURE, 200, None, PAID, 0),
    ("poll(502,5)", PICTURE, 200, None, PAID, 0),
    ("poll(close,3)", PICTURE, 200, None, PAID, 0),
    ("poll(reset,3)", PICTURE, 200, None, PAID, 0),
    ("poll(html,2)", PICTURE, 200, None, PAID, 0),
    ("poll(half,2)", PICTURE, 200, None, PAID, 0),
    ("poll(cut,0.2,2)", PICTURE, 200, None, PAID, 0),
    ("poll(cut,1,1)", PICTURE, 200, None, PAID, 0),
    ("poll(large,2,2)", PICTURE, 200, None, PAID, 0),
    ("poll(html,99)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("poll(half,99)+reconnect(99)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("poll(large,100,99)", BAD_ANSWER, 200, None, MAYBE, 0),
    ("poll(404)", REJECTED, 404, None, MAYBE, 0),
    ("poll(401)", REJECTED, 401, None, MAYBE, 0),
    # the picture
    ("download(slow,0.1)", PICTURE, 200, None, PAID, 0),
    ("download(once)", PICTURE, 200, None, PAID, 0),
    ("download(key)", PICTURE, 200, None, PAID, 0),
    ("download(moved)", PICTURE, 200, None, PAID, 0),
    ("download(503,2)", PICTURE, 200, None, PAID, 0),
    ("download(429,1)", PICTURE, 200, None, PAID, 0),
    ("download(close,1)", PICTURE, 200, None, PAID, 0),
    ("download(cut,0.5,2)", PICTURE, 200, None, PAID, 0),
    ("download(503,3)", OVERLOADED, 503, "PICTURE", PAID, 0),
    ("download(cut,0.5,3)", TRANSPORT, None, "PICTURE", PAID, 0),
    ("download(404)", BAD_ANSWER, 404, "PICTURE_STATUS", PAID, 0),
    ("download(410)", BAD_ANSWER, 410, "PICTURE_STATUS", PAID, 0),
    ("download(403,2)", BAD_ANSWER, 403, "PICTURE_STATUS", PAID, 0),
    ("download(html)", BAD_ANSWER, 200, "PICTURE_BODY", PAID, 0),
    ("download(empty)", BAD_ANSWER, 200, "PICTURE_BODY", PAID, 0),
    ("download(large,100)", BAD_ANSWER, 200, "PICTURE_SIZE", PAID, 0),
    ("download(redirect)", BAD_ANSWER, 200, "REDIRECT", PAID, 0),
    ("other_host(ftp://127.0.0.1/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(http://example.com/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(http://user@127.0.0.1/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(https://10.1.2.3/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(https://192.168.0.1/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(https://169.254.169.254/latest)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
    ("other_host(http://[::1/a.png)", BAD_ANSWER, 200, "PICTURE_ADDRESS", PAID, 0),
]


async def _run(driver: TurbotextDriver, simulator: TurbotextSimulator, call: MakeCall, text: str) -> AttemptOutcome:
    simulator.scenario(text)
    return await driver.call(call())


@pytest.mark.parametrize(
    ("scenario", "verdict", "status", "code", "booked", "again"), ANSWERS, ids=[row[0] for row in ANSWERS]
)
async def test_answer(
    simulator: TurbotextSimulator,
    context: ssl.SSLContext,
    make_call: MakeCall,
    scenario: str,
    verdict: Verdict,
    status: int | None,
    code: str | None,
    booked: str,
    again: int | None,
) -> None:
    driver = driver_for(simulator, context, picture_cap=4_000_000)
    outcome = await _run(driver, simulator, make_call, scenario)
    seen = (outcome.verdict, outcome.http_status, outcome.error_code, outcome.again)
    assert seen == (verdict, status, code, again), outcome
    money = (outcome.cost_microusd, outcome.possibly_billed)
    assert money == {PAID: (PRICE, False), MAYBE: (0, True), NOTHING: (0, False)}[booked]
    assert (outcome.picture is not None) == (verdict is PICTURE)
    assert (outcome.message is not None) == (verdict is not PICTURE)
    (record,) = simulator.calls  # one create_queue, whatever happened
    assert not record.charged_microusd or booked != NOTHING
    if record.charged_microusd and "create(" not in scenario:
        assert outcome.response_id == str(record.queueid)


async def test_the_picture_is_drawn_from_the_guests_photo(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    outcome = await _run(driver, simulator, make_call, "ok")
    assert outcome.picture is not None
    image = pyvips.Image.new_from_file(str(outcome.picture.path), fail_on="truncated")
    assert (image.width, image.height) == (1024, 683)
    left, right = image.crop(100, 100, 200, 100), image.crop(700, 100, 200, 100)
    assert left[0].avg() > left[2].avg() + 80
    assert right[2].avg() > right[0].avg() + 80
    assert outcome.picture.mime == "application/octet-stream"
    assert outcome.model_version == "generate_image2image"
    assert outcome.response_id == str(simulator.calls[0].queueid)


@pytest.mark.parametrize(
    ("scenario", "mime", "start"), [("typed", "image/png", b"\x89PNG"), ("jpeg+typed", "image/jpeg", b"\xff\xd8\xff")]
)
async def test_what_the_download_says_it_is(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, scenario: str, mime: str, start: bytes
) -> None:
    outcome = await _run(driver, simulator, make_call, scenario)
    assert outcome.picture is not None
    assert outcome.picture.mime == mime
    assert outcome.picture.path.read_bytes().startswith(start)


@pytest.mark.parametrize("scenario", ["typed(image/webp)", "jpeg+typed(image/png)", "jpeg+typed(video/mp4)"])
async def test_a_picture_of_another_format_than_said_is_taken_for_what_it_is(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, tmp_path: Path, scenario: str
) -> None:
    outcome = await _run(driver, simulator, make_call, scenario)
    assert outcome.picture is not None
    assert verify(outcome.picture.path, tmp_path / "reply").mime == "image/jpeg"


async def test_half_a_picture_is_found_out_and_not_drawn_again(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, tmp_path: Path
) -> None:
    outcome = await _run(driver, simulator, make_call, "half_picture+typed")
    assert outcome.picture is not None
    with pytest.raises(PictureError):
        verify(outcome.picture.path, tmp_path / "reply")
    assert (outcome.again, outcome.cost_microusd) == (0, PRICE)


async def test_messages_say_what_the_provider_said(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    failed = await _run(driver, simulator, make_call, "failed(no face)")
    html = await _run(driver, simulator, make_call, "download(html)")
    gone = await _run(driver, simulator, make_call, "download(410)")
    moved = await _run(driver, simulator, make_call, "download(redirect)")
    assert failed.message == "no face"
    assert "a text came instead of the picture" in (html.message or "")
    assert gone.message == "the picture is gone (status 410)"
    assert "foreign host, example.com" in (moved.message or "")


async def test_the_deadline_while_the_job_is_being_made(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    simulator.scenario("reconnect(99999)")
    outcome = await driver.call(make_call(seconds=1.5))
    assert (outcome.verdict, outcome.again, outcome.possibly_billed) == (Verdict.TIMEOUT, 0, True)
    assert outcome.response_id == str(simulator.calls[0].queueid)
    assert simulator.calls[0].polls > 1


async def test_the_deadline_while_get_result_fails_says_how(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    simulator.scenario("reconnect(99999)+poll(502,99999)")
    outcome = await driver.call(make_call(seconds=1.5))
    assert (outcome.verdict, outcome.message, outcome.again) == (Verdict.TIMEOUT, "status 502", 0)


async def test_the_deadline_before_there_is_an_id(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    simulator.scenario("create(hang)")
    outcome = await driver.call(make_call(seconds=0.3))
    assert (outcome.verdict, outcome.possibly_billed, outcome.response_id) == (Verdict.TIMEOUT, True, None)


@pytest.mark.parametrize(("status", "billed"), [(502, True), (400, False)])
async def test_the_deadline_while_an_error_is_being_explained(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, status: int, billed: bool
) -> None:
    async def serve(request: Request, answer: Answer) -> None:
        await answer.start(status, {}, 1000)
        await trio.sleep_forever()

    server = SimulatorServer(serve)
    await nursery.start(server.run)
    outcome = await TurbotextDriver("k", ssl_context=context, base_url=server.base_url).call(make_call(seconds=1.0))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TIMEOUT, billed)


async def test_the_deadline_while_the_picture_comes_is_paid(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    simulator = TurbotextSimulator(api_key=KEY, fixed_answer=b"picture")
    await nursery.start(simulator.run)
    simulator.scenario("download(hang,99)")
    outcome = await driver_for(simulator, context).call(make_call(seconds=1.5))
    assert (outcome.verdict, outcome.cost_microusd, outcome.possibly_billed) == (Verdict.TIMEOUT, PRICE, False)


async def test_a_call_without_time_asks_nobody(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    outcome = await driver.call(make_call(seconds=-1))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TIMEOUT, False)
    assert not simulator.calls


@pytest.mark.alone
async def test_a_get_result_that_never_answers_is_asked_again(
    simulator: TurbotextSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    simulator.scenario("poll(hang,2)")
    outcome = await driver_for(simulator, context, poll_timeout=0.5).call(make_call())
    assert outcome.verdict is Verdict.PICTURE
    assert simulator.calls[0].polls == 3


@pytest.mark.parametrize(("header", "wait"), [("7", 7.0), ("0.5", 0.5), ("soon", 1.0), ("-3", 1.0), ("inf", 1.0)])
async def test_how_long_to_wait_after_a_quota(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, header: str, wait: float
) -> None:
    async def serve(request: Request, answer: Answer) -> None:
        await answer.json(429, {"success": False, "error": "slowly"}, {"Retry-After": header})

    server = SimulatorServer(serve)
    await nursery.start(server.run)
    outcome = await TurbotextDriver("k", ssl_context=context, base_url=server.base_url).call(make_call())
    assert (outcome.verdict, outcome.message, outcome.retry_after) == (Verdict.QUOTA, "slowly", wait)


def test_how_long_until_the_next_get_result() -> None:
    busy = AttemptOutcome(Verdict.OVERLOADED, retry_after=4.0)
    assert wait_after(Reply(action="reconnect"), 2.5) == 2.5
    assert wait_after(AttemptOutcome(Verdict.TRANSPORT), 2.5) == 2.5
    assert (wait_after(busy, 2.5), wait_after(busy, 5.0)) == (4.0, 5.0)
    assert wait_after(AttemptOutcome(Verdict.QUOTA, retry_after=3600.0), 2.5) == 10.0


async def test_a_quota_in_get_result_is_waited_for(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    outcome = await _run(driver, simulator, make_call, "poll(429,1)")
    assert outcome.verdict is Verdict.PICTURE


async def test_a_refused_job_is_told_and_not_booked(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    outcome = await driver.call(make_call(content="[sim:no_such]"))
    assert (outcome.verdict, outcome.error_code, outcome.again) == (Verdict.REJECTED, "CREATE", 0)
    assert outcome.message == "simulator: no such scenario: no_such"
    assert (outcome.cost_microusd, outcome.possibly_billed) == (0, False)
