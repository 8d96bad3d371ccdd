"""Every scenario of the simulator, over a real socket, and the outcome the driver makes of it."""

import pytest
import pyvips
import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.simulator import GeminiSimulator
from tests.providers_gemini.conftest import HANG_GUARD, MakeCall

PICTURE, NO_IMAGE, REFUSED, REJECTED = Verdict.PICTURE, Verdict.NO_IMAGE, Verdict.REFUSED, Verdict.REJECTED
QUOTA, OVERLOADED, TRANSPORT, BAD_ANSWER = Verdict.QUOTA, Verdict.OVERLOADED, Verdict.TRANSPORT, Verdict.BAD_ANSWER

ANSWERS = [
    # scenario, verdict, HTTP status, finish reason, error code
    ("ok", PICTURE, 200, "STOP", None),
    ("ok+chunked", PICTURE, 200, "STOP", None),
    ("ok_png", PICTURE, 200, "STOP", None),
    ("text_before", PICTURE, 200, "STOP", None),
    ("text_after", PICTURE, 200, "STOP", None),
    ("drafts(3)", PICTURE, 200, "STOP", None),
    ("drafts(10,thought)", PICTURE, 200, "STOP", None),
    ("drip(0.2)", PICTURE, 200, "STOP", None),
    ("slow(0.1)", PICTURE, 200, "STOP", None),
    ("text_only", NO_IMAGE, 200, "STOP", None),
    ("no_image", NO_IMAGE, 200, "NO_IMAGE", None),
    ("image_other", NO_IMAGE, 200, "IMAGE_OTHER", None),
    ("other", NO_IMAGE, 200, "OTHER", None),
    ("image_safety", REFUSED, 200, "IMAGE_SAFETY", None),
    ("safety", REFUSED, 200, "SAFETY", None),
    ("prohibited_content", REFUSED, 200, "PROHIBITED_CONTENT", None),
    ("image_prohibited_content", REFUSED, 200, "IMAGE_PROHIBITED_CONTENT", None),
    ("recitation", REFUSED, 200, "RECITATION", None),
    ("image_recitation", REFUSED, 200, "IMAGE_RECITATION", None),
    ("blocklist", REFUSED, 200, "BLOCKLIST", None),
    ("spii", REFUSED, 200, "SPII", None),
    ("language", REFUSED, 200, "LANGUAGE", None),
    ("max_tokens", REJECTED, 200, "MAX_TOKENS", None),
    ("malformed_function_call", REJECTED, 200, "MALFORMED_FUNCTION_CALL", None),
    ("unexpected_tool_call", REJECTED, 200, "UNEXPECTED_TOOL_CALL", None),
    ("too_many_tool_calls", REJECTED, 200, "TOO_MANY_TOOL_CALLS", None),
    ("finish(SOMETHING_NEW)", REJECTED, 200, "SOMETHING_NEW", None),
    ("finish(NO_IMAGE,null)", NO_IMAGE, 200, "NO_IMAGE", None),
    ("finish(NO_IMAGE,absent)", NO_IMAGE, 200, "NO_IMAGE", None),
    ("finish(IMAGE_SAFETY,null,silent)", REFUSED, 200, "IMAGE_SAFETY", None),
    ("finish(SAFETY,absent,silent)", REFUSED, 200, "SAFETY", None),
    ("block", REFUSED, 200, "PROHIBITED_CONTENT", None),
    ("block(SAFETY,null)", REFUSED, 200, "SAFETY", None),
    ("block(OTHER,empty)", REFUSED, 200, "OTHER", None),
    ("bare", BAD_ANSWER, 200, None, None),
    ("error_ok", OVERLOADED, 200, None, "UNAVAILABLE"),
    ("error_ok(400)", REJECTED, 200, None, "INVALID_ARGUMENT"),
    ("html(200)", BAD_ANSWER, 200, None, None),
    ("truncated", BAD_ANSWER, 200, None, None),
    ("bad_base64", BAD_ANSWER, 200, "STOP", None),
    ("error(400)", REJECTED, 400, None, "INVALID_ARGUMENT"),
    ("location", REJECTED, 400, None, "FAILED_PRECONDITION"),
    ("error(401)", REJECTED, 401, None, "UNAUTHENTICATED"),
    ("error(403)", REJECTED, 403, None, "PERMISSION_DENIED"),
    ("error(404)", REJECTED, 404, None, "NOT_FOUND"),
    ("error(408)", OVERLOADED, 408, None, "DEADLINE_EXCEEDED"),
    ("error(500)", OVERLOADED, 500, None, "INTERNAL"),
    ("error(501)", REJECTED, 501, None, "UNIMPLEMENTED"),
    ("error(502)", OVERLOADED, 502, None, "UNAVAILABLE"),
    ("error(503)", OVERLOADED, 503, None, "UNAVAILABLE"),
    ("error(503)+list", OVERLOADED, 503, None, "UNAVAILABLE"),
    ("error(504)", OVERLOADED, 504, None, "DEADLINE_EXCEEDED"),
    ("html", OVERLOADED, 502, None, None),
    ("html(403)", REJECTED, 403, None, None),
    ("redirect", REJECTED, 307, None, "REDIRECT"),
    ("quota_day", QUOTA, 429, None, "RESOURCE_EXHAUSTED"),
    ("quota_zero", QUOTA, 429, None, "RESOURCE_EXHAUSTED"),
    ("quota_wait", QUOTA, 429, None, "RESOURCE_EXHAUSTED"),
    ("quota_wait+list", QUOTA, 429, None, "RESOURCE_EXHAUSTED"),
    ("error(429)", QUOTA, 429, None, "RESOURCE_EXHAUSTED"),
    ("early(503)", OVERLOADED, 503, None, "UNAVAILABLE"),
    ("cut(0.5)", TRANSPORT, 200, None, None),
    ("cut(0.5)+chunked", TRANSPORT, 200, None, None),
    ("reset(0.5)", TRANSPORT, 200, None, None),
    ("cut(0)", TRANSPORT, 200, None, None),
    ("close", TRANSPORT, None, None, None),
    ("refuse", TRANSPORT, None, None, None),
    ("error(503)+cut(0.5)", OVERLOADED, 503, None, None),
    ("large(5)", BAD_ANSWER, 200, None, None),
    ("large(5)+chunked", BAD_ANSWER, 200, None, None),
    ("not_picture", PICTURE, 200, "STOP", None),  # whether it is one is not the driver's to say
    ("half_picture", PICTURE, 200, "STOP", None),
]


async def _run(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str) -> AttemptOutcome:
    simulator.scenario(scenario)
    driver._generation._cap = 4_000_000
    return await driver.call(make_call())


@pytest.mark.parametrize(("scenario", "verdict", "status", "finish", "code"), ANSWERS, ids=[row[0] for row in ANSWERS])
async def test_answer(
    simulator: GeminiSimulator,
    driver: GeminiDriver,
    make_call: MakeCall,
    scenario: str,
    verdict: Verdict,
    status: int | None,
    finish: str | None,
    code: str | None,
) -> None:
    outcome = await _run(simulator, driver, make_call, scenario)
    seen = (outcome.verdict, outcome.http_status, outcome.finish_reason, outcome.error_code)
    assert seen == (verdict, status, finish, code), outcome
    assert (outcome.picture is not None) == (verdict is PICTURE)
    if verdict is not PICTURE and verdict is not BAD_ANSWER and "silent" not in scenario and "block" not in scenario:
        assert outcome.message


@pytest.mark.parametrize(
    ("scenario", "again"),
    [
        ("text_only", 1),
        ("no_image", None),
        ("finish(NO_IMAGE,absent,silent)", None),
        ("image_other", 2),
        ("other", 1),
        ("image_safety", 1),
        ("safety", 0),
        ("prohibited_content", 0),
        ("image_prohibited_content", 0),
        ("recitation", 0),
        ("image_recitation", 0),
        ("blocklist", 0),
        ("spii", 0),
        ("language", 0),
        ("block", 0),
        ("block(SAFETY,null)", 0),
        ("max_tokens", 0),
        ("malformed_function_call", 0),
        ("unexpected_tool_call", 0),
        ("too_many_tool_calls", 0),
        ("finish(SOMETHING_NEW)", 0),
        ("bare", 0),
        ("error(408)", None),
        ("error(500)", None),
        ("error(502)", None),
        ("error(503)", None),
        ("error(504)", None),
        ("html", None),
        ("early(503)", None),
        ("quota_wait", None),
        ("quota_day", None),  # without a delay, so there is no second try
        ("quota_zero", None),
        ("refuse", None),
        ("close", None),
        ("cut(0)", 0),  # the answer had begun: the work was done
        ("cut(0.5)", 0),
        ("reset(0.5)+chunked", 0),
    ],
)
async def test_how_many_more_tries_make_sense(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str, again: int | None
) -> None:
    """None leaves it to the verdict: NO_IMAGE, OVERLOADED, TRANSPORT, QUOTA with a delay: tried as time allows."""
    outcome = await _run(simulator, driver, make_call, scenario)
    assert outcome.again == again
    if again is None:
        assert outcome.verdict in (NO_IMAGE, OVERLOADED, TRANSPORT, QUOTA)
        assert (outcome.retry_after is None) is (scenario != "quota_wait")
    elif again == 0:
        assert outcome.verdict in (REFUSED, REJECTED, BAD_ANSWER, TRANSPORT)


@pytest.mark.parametrize("scenario", ["ok", "text_before", "text_after", "drafts(2)", "drafts(2,thought)"])
async def test_the_final_picture_is_the_one_kept(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str
) -> None:
    outcome = await _run(simulator, driver, make_call, scenario)
    assert outcome.picture is not None
    assert outcome.picture.mime == "image/jpeg"
    image = pyvips.Image.new_from_file(str(outcome.picture.path), fail_on="truncated")
    assert (image.width, image.height) == (1264, 848)
    assert image.avg() > 0


async def test_png_is_said_to_be_png(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall) -> None:
    outcome = await _run(simulator, driver, make_call, "ok_png")
    assert outcome.picture is not None
    assert outcome.picture.mime == "image/png"
    assert outcome.picture.path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("scenario", "wait"),
    [
        ("quota_day", None),
        ("quota_zero", None),
        ("quota_wait", 20.04466179),
        ("quota_wait(1.5)+list", 1.5),
        ("error(429)", 1.0),
        ("error(429)+message(Please retry in 837.5ms.)", 0.8375),
        ("error(429)+message(Please retry in 1m2.5s.)", 62.5),
        ("error(429)+message(limit: 0)", None),
        ("error(429)+message(limit: 0.5)", 1.0),
        ("error(503)", None),
    ],
)
async def test_how_long_to_wait(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str, wait: float | None
) -> None:
    assert (await _run(simulator, driver, make_call, scenario)).retry_after == wait


@pytest.mark.parametrize(
    ("scenario", "possibly"),
    [
        ("ok", False),
        ("no_image", False),
        ("no_image+no_usage", True),
        ("image_other", False),  # it says itself that it is not charged
        ("block+no_usage", False),
        ("error(503)", False),
        ("bad_base64", False),  # paid, and known how much
        ("truncated", True),
        ("html(200)", True),
        ("large(5)", True),
        ("cut(0.5)", True),
        ("close", True),
        ("refuse", False),  # the request had not been handed over whole
        ("early(503)", False),
    ],
)
async def test_possibly_billed(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str, possibly: bool
) -> None:
    assert (await _run(simulator, driver, make_call, scenario)).possibly_billed is possibly


@pytest.mark.parametrize(
    "scenario", ["no_image+hang", "no_image+drip(60)", "no_image+drip(60)+chunked", "error(503)+drip(60)"]
)
async def test_the_deadline_bounds_the_whole_exchange(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, scenario: str
) -> None:
    simulator.scenario(scenario)
    with trio.fail_after(HANG_GUARD):
        outcome = await driver.call(make_call(seconds=1))
    assert outcome.verdict is Verdict.TIMEOUT
    assert outcome.possibly_billed is ("error" not in scenario)
    assert simulator.calls[0].server_timeout == "1"


async def test_without_time_nothing_is_sent(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    outcome = await driver.call(make_call(seconds=0))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TIMEOUT, False)
    assert not simulator.calls


async def test_the_reply_is_identified(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall) -> None:
    outcome = await _run(simulator, driver, make_call, "ok+model_version(gemini-9-image)")
    assert outcome.model_version == "gemini-9-image"
    assert outcome.response_id


async def test_usage_and_cost_agree_with_the_bill(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    booked = 0
    for model in ("gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-3.1-flash-lite-image"):
        for scenario in ("ok", "drafts(3)", "no_image", "image_safety", "block", "text_only", "error(503)"):
            simulator.scenario(scenario)
            outcome = await driver.call(make_call(model=model))
            booked += outcome.cost_microusd
            assert simulator.calls[-1].charged_microusd == outcome.cost_microusd, (model, scenario)
    assert booked == simulator.charged_microusd > 0


async def test_a_picture_without_usage_costs_its_list_price(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.scenario("ok+no_usage")
    outcome = await driver.call(make_call(image_size="4K", aspect_ratio="21:9"))
    assert outcome.cost_microusd == 151_000
    assert outcome.picture is not None
    image = pyvips.Image.new_from_file(str(outcome.picture.path))
    assert (image.width, image.height) == (6336, 2688)
