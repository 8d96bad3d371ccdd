"""Keys that are exchanged while a job runs, and keys that are tried."""

import ssl
from typing import Any

import pytest
import trio

from photochanger.domain.outcome import Verdict
from photochanger.errors import ConfigError
from photochanger.providers.base import Keyed
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.lab.process import free_port
from tests.providers_turbotext.conftest import KEY, MakeCall, driver_for

OTHER = "another-key-0123456789"


async def test_a_job_is_followed_with_the_key_that_made_it(
    simulator: TurbotextSimulator, context: ssl.SSLContext, make_call: MakeCall, nursery: trio.Nursery
) -> None:
    driver = driver_for(simulator, context)
    simulator.scenario("reconnect(3)")

    async def keep(_handle: str) -> None:
        driver.use_key(OTHER)  # the job is made, and not yet asked for

    outcome = await driver.call(make_call(change={"on_handle": keep}))
    assert outcome.verdict is Verdict.PICTURE, outcome
    refused = await driver.call(make_call())
    assert (refused.verdict, refused.http_status) == (Verdict.REJECTED, 401)
    driver.use_key(KEY)
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


def test_what_cannot_be_a_key_changes_nothing(context: ssl.SSLContext) -> None:
    driver = TurbotextDriver(KEY, ssl_context=context)
    with pytest.raises(ConfigError, match=r"^the key: has characters that no key has$"):
        driver.use_key("two words")
    with pytest.raises(ConfigError, match=r"^TURBOTEXT_API_KEY: has"):
        TurbotextDriver("two words", ssl_context=context)
    assert driver.missing is None
    assert KEY not in repr(driver) + repr(vars(driver))
    driver.use_key(" ")
    assert driver.missing == "turbotext has no key: store one in the settings, or set TURBOTEXT_API_KEY"


async def test_a_key_is_tried(simulator: TurbotextSimulator, driver: TurbotextDriver) -> None:
    assert isinstance(driver, Keyed)
    assert (await driver.check_key()).verdict == "accepted"
    assert (await driver.check_key(OTHER)).verdict == "refused"
    assert (simulator.key_checks, len(simulator.calls)) == (2, 0)


async def test_without_a_key_or_a_way_there_is_no_trying(context: ssl.SSLContext) -> None:
    assert (await TurbotextDriver(None, ssl_context=context).check_key()).verdict == "missing"
    nowhere = TurbotextDriver(KEY, ssl_context=context, base_url=f"http://127.0.0.1:{free_port()}/api_ai")
    assert (await nowhere.check_key()).verdict == "unreachable"


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"success": True, "queueid": 7}, "accepted"),
        (200, {"success": True, "error": "", "data": {}}, "accepted"),
        (200, {"action": "reconnect"}, "accepted"),
        (200, {"success": False, "error": f"wrong API key {KEY}"}, "refused"),
        (200, {"success": False, "error": "Нет доступа к API"}, "refused"),
        (200, {"error": f"unknown token {KEY}"}, "refused"),
        (200, {"success": False, "error": f"something else {KEY}"}, "unclear"),
        (200, "<html>", "unclear"),
        (401, {"success": False}, "refused"),
        (403, "<html>", "refused"),
        (429, {}, "quota"),
        (500, f"<html>{KEY}", "unreachable"),
        (404, "<html>", "unclear"),
        (302, "", "unclear"),
    ],
)
async def test_what_the_answers_are_taken_for(
    nursery: trio.Nursery, context: ssl.SSLContext, status: int, body: Any, verdict: str
) -> None:
    async def play(request: Request, answer: Answer) -> None:
        assert (request.method, request.path) == ("POST", "/api_ai/available_api")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        await answer.json(status, body)

    server = SimulatorServer(play)
    await nursery.start(server.run)
    driver = TurbotextDriver(KEY, ssl_context=context, base_url=f"{server.base_url}/api_ai")
    found = await driver.check_key()
    assert found.verdict == verdict
    assert KEY not in found.detail
