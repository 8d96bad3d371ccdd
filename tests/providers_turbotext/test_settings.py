"""A slot's settings and templates: what passes, and sentences that name the field that is wrong."""

import ssl
from typing import Any

import pytest

from photochanger.errors import ConfigError
from photochanger.providers.base import Driver
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.settings import PROMPT_LIMIT, TurbotextSettings, parse_settings
from tests.providers_turbotext.conftest import KEY

IMAGE, MIX, FAKE = "generate_image2image", "mix_images", "deepfake_photo"


@pytest.fixture
def driver(context: ssl.SSLContext) -> TurbotextDriver:
    return TurbotextDriver(KEY, ssl_context=context)


def test_everything_may_be_left_out() -> None:
    assert parse_settings({}) == TurbotextSettings()


def test_all_that_may_be_said() -> None:
    settings = {
        "content": "Как комикс",
        "strength": 80,
        "seed": 10_000_000_000,
        "scale": 0.1,
        "negative_prompt": "bad " * 80,
        "original_language": "ru",
        "user_id": 12,
        "face_restore": True,
    }
    parsed = parse_settings(settings)
    assert {name: getattr(parsed, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"content": ""}, "content: must not be empty"),
        ({"content": "x" * (PROMPT_LIMIT + 1)}, "content: has 5001 characters"),
        ({"content": "\ud800"}, "content: is not valid Unicode"),
        ({"content": 1}, "content: expected"),
        ({"strength": 81}, "strength: expected `int` <= 80"),
        ({"strength": -1}, "strength: expected `int` >= 0"),
        ({"strength": "40"}, "strength: expected"),
        ({"seed": 0}, "seed: expected"),
        ({"seed": 10_000_000_001}, "seed: expected"),
        ({"scale": 0.05}, "scale: expected"),
        ({"scale": 20.5}, "scale: expected"),
        ({"scale": float("nan")}, "scale: "),
        ({"negative_prompt": "bad " * 81}, "negative_prompt: has 81 words, at most 80"),
        ({"negative_prompt": " "}, "negative_prompt: must not be empty"),
        ({"original_language": "Russian"}, "original_language: expected"),
        ({"user_id": 0}, "user_id: expected"),
        ({"face_restore": "True"}, "face_restore: expected"),
        ({"prompt": "x"}, "prompt: object contains unknown field"),
    ],
)
def test_what_does_not_pass(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_settings(settings)
    assert str(error.value).startswith(says)


@pytest.mark.parametrize(
    ("operation", "settings", "roles"),
    [
        (IMAGE, {"content": "x", "strength": 1}, []),
        (IMAGE, {"content": "x"}, ["style", "style", "face"]),  # another plan of the slot may use them
        (MIX, {}, ["style"]),
        (MIX, {"content": "x"}, ["body", "style"]),
        (FAKE, {"face_restore": False}, ["style", "body"]),
    ],
)
def test_plans_that_work(driver: TurbotextDriver, operation: str, settings: dict[str, Any], roles: list[str]) -> None:
    driver.check(operation, parse_settings(settings), roles)


@pytest.mark.parametrize(
    ("operation", "settings", "roles", "says"),
    [
        ("edit", {}, [], "operation: turbotext has no operation 'edit'"),
        (IMAGE, {}, [], "content: generate_image2image needs a prompt"),
        (IMAGE, {"content": "x", "face_restore": True}, [], "face_restore: generate_image2image has no such parameter"),
        (MIX, {"strength": 3}, ["style"], "strength: mix_images has no such parameter"),
        (MIX, {}, [], "templates: mix_images needs exactly one picture with the role 'style', not 0"),
        (MIX, {}, ["style", "style"], "templates: mix_images needs exactly one picture with the role 'style', not 2"),
        (MIX, {}, ["body"], "templates: "),
        (FAKE, {}, ["style"], "templates: deepfake_photo needs exactly one picture with the role 'body', not 0"),
        (FAKE, {"content": "x"}, ["body"], "content: deepfake_photo has no such parameter"),
    ],
)
def test_plans_that_do_not(
    driver: TurbotextDriver, operation: str, settings: dict[str, Any], roles: list[str], says: str
) -> None:
    with pytest.raises(ConfigError) as error:
        driver.check(operation, parse_settings(settings), roles)
    assert str(error.value).startswith(says)


def test_what_the_driver_says_of_itself(context: ssl.SSLContext) -> None:
    driver: Driver = TurbotextDriver(KEY, ssl_context=context, price_microusd=12_345)
    settings = driver.parse_settings({"content": "x"})
    expected = driver.expects(settings)
    assert (driver.name, sorted(driver.accepts)) == ("turbotext", ["image/jpeg", "image/png"])
    assert (driver.needs_public_address, driver.cap, driver.missing) == (True, 180.0, None)
    assert TurbotextDriver.operations == (IMAGE, MIX, FAKE)
    assert driver.estimate_microusd(settings) == 12_345
    assert expected.p50 < expected.p90 < expected.p95
    assert driver.model_of(settings) == "photo_ai"
