"""Template pictures as references: their order, their number, their price. And what `check` lets through."""

import base64
import ssl
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import pyvips
import trio

from photochanger.domain.outcome import Verdict
from photochanger.errors import ConfigError
from photochanger.providers.base import Call, PreparedPhoto, TemplateImage
from photochanger.providers.gemini.driver import BASE_URL, GeminiDriver
from photochanger.providers.gemini.models import LIMITS, PICTURES, expected_of, limits_of
from photochanger.providers.gemini.settings import parse_settings
from photochanger.providers.gemini.simulator import GeminiSimulator
from tests.providers_gemini.conftest import KEY, MakeCall, photo_of
from tests.providers_gemini.test_request import Listener

SETTINGS = parse_settings({"prompt": "x"})


@pytest.fixture
def templates(tmp_path: Path, jpeg: bytes) -> list[PreparedPhoto]:
    """A PNG, a WebP and a JPEG."""
    image = pyvips.Image.new_from_buffer(jpeg, "").copy_memory()
    made = []
    for name, mime in (("a.png", "image/png"), ("b.webp", "image/webp"), ("c.jpg", "image/jpeg")):
        path = tmp_path / name
        image.resize(0.5).write_to_file(str(path))
        made.append(photo_of(path, mime=mime))
    return made


@pytest.fixture
def idle(context: ssl.SSLContext) -> GeminiDriver:
    """A driver that is only asked, never called."""
    return GeminiDriver(KEY, ssl_context=context)


def with_templates(call: Call, photos: list[PreparedPhoto]) -> Call:
    return replace(call, templates=tuple(TemplateImage(f"role {n}", photo) for n, photo in enumerate(photos)))


async def test_the_photo_first_the_templates_in_their_order_the_prompt_last(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, templates: list[PreparedPhoto]
) -> None:
    listener = Listener()
    await nursery.start(listener.server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=listener.server.base_url)
    call = with_templates(make_call(prompt="like the others"), templates)
    await driver.call(call)
    (got,) = listener.requests
    assert got.headers["content-length"] == str(got.size)
    *pictures, text = msgspec.json.decode(got.body)["contents"][0]["parts"]
    assert text == {"text": "like the others"}
    assert pictures == [
        {"inlineData": {"mimeType": photo.mime, "data": base64.b64encode(photo.path.read_bytes()).decode()}}
        for photo in [call.photo, *templates]
    ]


async def test_every_picture_is_counted_and_the_photo_is_what_is_drawn(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, templates: list[PreparedPhoto]
) -> None:
    alone = await driver.call(make_call())
    outcome = await driver.call(with_templates(make_call(), templates))
    assert outcome.verdict is Verdict.PICTURE
    assert simulator.calls[1].pictures == ("inline",) * 4
    assert simulator.calls[1].photo_size == (96, 64)
    assert simulator.calls[1].charged_microusd == outcome.cost_microusd > alone.cost_microusd


async def test_fourteen_pictures_pass_and_fifteen_do_not(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, photo: PreparedPhoto
) -> None:
    full = with_templates(make_call(), [photo] * (PICTURES - 1))
    assert (await driver.call(full)).verdict is Verdict.PICTURE
    assert len(simulator.calls[0].pictures) == 14
    driver.check("edit", SETTINGS, ["style"] * 13)
    outcome = await driver.call(with_templates(make_call(), [photo] * PICTURES))
    assert (outcome.verdict, outcome.error_code) == (Verdict.REJECTED, "TEMPLATES")
    assert len(simulator.calls) == 1
    with pytest.raises(ConfigError, match=r"^templates: gemini-3.1-flash-image takes 13 beside .* not 14$"):
        driver.check("edit", SETTINGS, ["style"] * 14)


async def test_a_template_that_is_no_picture_is_refused_by_the_provider(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, tmp_path: Path
) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff nothing behind the mark")
    outcome = await driver.call(with_templates(make_call(), [photo_of(path)]))
    assert (outcome.verdict, outcome.http_status) == (Verdict.REJECTED, 400)
    assert "process" in (outcome.message or "")
    assert simulator.charged_microusd == 0


async def test_a_template_that_is_gone_is_our_fault(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall, templates: list[PreparedPhoto]
) -> None:
    templates[2].path.unlink()
    outcome = await driver.call(with_templates(make_call(), templates))
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.STORAGE, False)
    assert not simulator.calls


@pytest.mark.parametrize("operation", ["sing", "", "x" * 500])
def test_other_operations_are_refused(idle: GeminiDriver, operation: str) -> None:
    with pytest.raises(ConfigError, match=r"^operation: .*\(edit\)$") as error:
        idle.check(operation, SETTINGS, [])
    assert len(str(error.value)) < 120


@pytest.mark.parametrize(
    ("key", "base", "missing"),
    [
        (KEY, BASE_URL, None),
        (None, BASE_URL, "gemini has no key: store one in the settings, or set GEMINI_API_KEY"),
        (" ", BASE_URL, "gemini has no key: store one in the settings, or set GEMINI_API_KEY"),
        (None, "http://127.0.0.1:9", None),
    ],
)
def test_what_is_missing_is_said(context: ssl.SSLContext, key: str | None, base: str, missing: str | None) -> None:
    assert GeminiDriver(key, ssl_context=context, base_url=base).missing == missing


@pytest.mark.parametrize("model", [*LIMITS, "gemini-9-image"])
def test_what_is_expected_of_a_model(idle: GeminiDriver, model: str) -> None:
    for thinking in (None, *limits_of(model).thinking):
        expected = idle.expects(parse_settings({"prompt": "x", "model": model, "thinking_level": thinking}))
        assert 0 < expected.p50 < expected.p90 < expected.p95 < idle.cap


def test_pro_and_thinking_take_longer() -> None:
    flash, thinking = expected_of("gemini-3.1-flash-image", None), expected_of("gemini-3.1-flash-image", "HIGH")
    pro = expected_of("gemini-3-pro-image", None)
    assert flash.p50 < thinking.p50 < pro.p50
    assert flash.p95 < thinking.p95 < pro.p95
    assert expected_of("gemini-3.1-flash-image", "MINIMAL") == flash
    assert expected_of("gemini-3-pro-image", "HIGH") == pro  # it always thinks
