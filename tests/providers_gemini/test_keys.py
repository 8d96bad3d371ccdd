"""Keys that are exchanged while the driver works, and keys that are tried."""

import ssl
from typing import Any

import pytest
import trio

from photochanger.domain.outcome import Verdict
from photochanger.errors import ConfigError
from photochanger.providers.base import Keyed
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.simulator import Answer, Request, SimulatorServer
from tests.lab.process import free_port
from tests.providers_gemini.conftest import KEY, MakeCall

OTHER = "AIzaSy-another-key-0123456789"


async def test_the_next_call_shows_the_new_key(driver: GeminiDriver, make_call: MakeCall) -> None:
    driver.use_key(OTHER)
    refused = await driver.call(make_call())
    assert (refused.verdict, refused.error_code) == (Verdict.REJECTED, "API_KEY_INVALID")
    driver.use_key(f" {KEY}\n")
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "ключ", "nul\0"])
def test_what_cannot_be_a_key_changes_nothing(context: ssl.SSLContext, key: str) -> None:
    driver = GeminiDriver(KEY, ssl_context=context)
    with pytest.raises(ConfigError, match=r"^the key: has characters that no key has$"):
        driver.use_key(key)
    with pytest.raises(ConfigError, match=r"^GEMINI_API_KEY: has"):
        GeminiDriver(key, ssl_context=context)
    assert driver.missing is None
    assert KEY not in repr(driver) + repr(vars(driver))
    driver.use_key(None)
    assert driver.missing == "gemini has no key: store one in the settings, or set GEMINI_API_KEY"


async def test_a_call_keeps_its_key_to_the_end_and_blots_it_out(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    shown: list[str | None] = []

    async def echo(request: Request, answer: Answer) -> None:
        key = request.headers.get("x-goog-api-key")
        shown.append(key)
        driver.use_key(OTHER)  # while this call runs
        await answer.json(400, {"error": {"code": 400, "message": f"bad key {key}, not {OTHER}", "status": "X"}})

    server = SimulatorServer(echo)
    await nursery.start(server.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=server.base_url)
    first, second = await driver.call(make_call()), await driver.call(make_call())
    assert shown == [KEY, OTHER]
    assert first.message == f"bad key ***, not {OTHER}"
    assert second.message == "bad key ***, not ***"


@pytest.mark.parametrize(("key", "verdict"), [(None, "accepted"), (KEY, "accepted"), (OTHER, "refused")])
async def test_a_key_is_tried(driver: GeminiDriver, simulator: GeminiSimulator, key: str | None, verdict: str) -> None:
    assert isinstance(driver, Keyed)
    assert (await driver.check_key(key)).verdict == verdict
    assert simulator.key_checks == 1
    assert not simulator.calls  # nothing that costs
    driver.use_key(OTHER)
    assert (await driver.check_key(KEY)).verdict == "accepted"
    assert (await driver.check_key()).verdict == "refused"


async def test_without_a_key_or_a_way_there_is_no_trying(context: ssl.SSLContext) -> None:
    assert (await GeminiDriver(None, ssl_context=context).check_key()).verdict == "missing"
    nowhere = GeminiDriver(KEY, ssl_context=context, base_url=f"http://127.0.0.1:{free_port()}")
    found = await nowhere.check_key()
    assert (found.verdict, found.detail) == ("unreachable", "Google could not be reached.")


def error(code: int, status: str, reason: str | None = None) -> dict[str, Any]:
    """An error of Google's, whose words repeat the key."""
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": code, "message": f"{KEY} <script>", "status": status, "details": details}}


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"models": [], "nextPageToken": "x"}, "accepted"),
        (200, {"models": [{"name": "x" * 300_000}]}, "accepted"),
        (200, {}, "unclear"),
        (200, {"models": "none"}, "unclear"),
        (200, [{"models": []}], "unclear"),
        (200, "<html>a proxy's own page</html>", "unclear"),
        (200, error(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), "refused"),
        (400, error(400, "INVALID_ARGUMENT", "API_KEY_INVALID"), "refused"),
        (400, [error(400, "INVALID_ARGUMENT", "API_KEY_INVALID")], "refused"),
        (400, error(400, "FAILED_PRECONDITION"), "refused"),
        (403, error(403, "PERMISSION_DENIED", "SERVICE_DISABLED"), "refused"),
        (403, error(403, "PERMISSION_DENIED", KEY), "refused"),
        (401, "no", "refused"),
        (429, error(429, "RESOURCE_EXHAUSTED"), "quota"),
        (500, error(500, "INTERNAL"), "unreachable"),
        (503, "<html>", "unreachable"),
        (400, error(400, "INVALID_ARGUMENT"), "unclear"),
        (404, "<html>", "unclear"),
        (302, "", "unclear"),
    ],
)
async def test_googles_own_words_go_nowhere(
    nursery: trio.Nursery, context: ssl.SSLContext, status: int, body: Any, verdict: str
) -> None:
    async def play(request: Request, answer: Answer) -> None:
        assert (request.method, request.path, request.query) == ("GET", "/v1beta/models", "pageSize=1")
        await answer.json(status, body)

    server = SimulatorServer(play)
    await nursery.start(server.run)
    found = await GeminiDriver(KEY, ssl_context=context, base_url=server.base_url).check_key()
    assert found.verdict == verdict
    assert KEY not in found.detail
    assert "script" not in found.detail


async def test_who_does_not_answer_is_not_waited_for(
    nursery: trio.Nursery, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_request: Request, _answer: Answer) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr("photochanger.providers.gemini.check.PATIENCE", 0.2)
    server = SimulatorServer(hang)
    await nursery.start(server.run)
    found = await GeminiDriver(KEY, ssl_context=context, base_url=server.base_url).check_key()
    assert (found.verdict, found.detail) == ("unreachable", "Google did not answer within 0.2 s.")
