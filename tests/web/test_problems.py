"""Every failure is one problem document, in the caller's language, without a word of ours that is not meant for it."""

from uuid import UUID

import pytest
import trio
from quart import abort, g
from quart_trio import QuartTrio

from photochanger.domain.reasons import REASONS, Reason
from photochanger.errors import ConfigError, DatabaseUnavailable, PictureError, Refusal, StorageUnavailable
from photochanger.web.app import create_app
from photochanger.web.problems import UNAVAILABLE_RETRY_AFTER, canned
from tests.web.client import get
from tests.web.conftest import House

JOB = UUID(int=7)


async def fail(failure: Exception) -> None:
    raise failure


def failing_app(failure: Exception) -> QuartTrio:
    app = create_app()

    @app.get("/fail")
    async def plain() -> str:
        raise failure

    @app.get("/nursery")
    async def nursery() -> str:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(fail, failure)
            await trio.sleep_forever()
        raise AssertionError

    @app.get("/job")
    async def job() -> str:
        g.job_id = JOB
        raise failure

    return app


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("path", ["/fail", "/nursery"])
async def test_every_reason_has_its_status_and_sentence(house: House, reason: Reason, path: str) -> None:
    await house.serve(failing_app(Refusal(reason, "Because.", retry_after=3, job_id=JOB)))
    client = await house.connect()
    for language, title in (("en", REASONS[reason].en), ("ru", REASONS[reason].ru)):
        answer = await client.ask(get(path, f"Accept-Language: {language}"))
        assert answer.status == REASONS[reason].status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-language"] == language
        assert answer.headers["retry-after"] == "3"
        assert "server" not in answer.headers
        assert answer.json == {
            "type": f"urn:photochanger:problem:{reason}",
            "title": title,
            "status": REASONS[reason].status,
            "detail": "Because.",
            "failure_reason": reason.value,
            "job_id": str(JOB),
            "retry_after": 3,
        }


@pytest.mark.parametrize("reason", [Reason.PAYLOAD_TOO_LARGE, Reason.UPLOAD_TIMEOUT, Reason.INVALID_REQUEST])
def test_what_any_body_may_meet_is_told_of_no_photo(reason: Reason) -> None:
    """A login, too, may be too large or too slow."""
    told = REASONS[reason].en + REASONS[reason].ru
    assert not [word for word in ("photo", "slot", "отограф", "лот") if word in told]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        ("de", "en"),
        ("en-GB, ru;q=0.5", "en"),
        ("de, ru;q=0", "en"),
        ("*;q=x,,;", "en"),
    ],
)
async def test_language(house: House, header: str, language: str) -> None:
    await house.serve(create_app())
    client = await house.connect()
    answer = await client.ask(get("/nowhere", *([f"Accept-Language: {header}"] if header else [])))
    assert answer.json["title"] == getattr(REASONS[Reason.NOT_FOUND], language)
    assert set(answer.json) == {"type", "title", "status", "failure_reason"}


@pytest.mark.parametrize(
    ("failure", "reason", "detail", "retry_after"),
    [
        (DatabaseUnavailable("host secret.example lost"), "database_unavailable", None, UNAVAILABLE_RETRY_AFTER),
        (StorageUnavailable("/secret/path is full"), "storage_unavailable", None, UNAVAILABLE_RETRY_AFTER),
        (PictureError(Reason.UNDECODABLE_IMAGE, "Half of it."), "undecodable_image", "Half of it.", None),
        (ConfigError("secret"), "internal_error", None, None),
        (ZeroDivisionError("secret"), "internal_error", None, None),
        (trio.TooSlowError(), "internal_error", None, None),
        (OSError(5, "secret"), "internal_error", None, None),
    ],
)
@pytest.mark.parametrize("path", ["/fail", "/nursery"])
async def test_other_failures(
    house: House, failure: Exception, reason: str, detail: str | None, retry_after: int | None, path: str
) -> None:
    await house.serve(failing_app(failure))
    client = await house.connect()
    answer = await client.ask(get(path))
    assert answer.status == answer.json["status"] == REASONS[Reason(reason)].status
    assert answer.json["failure_reason"] == reason
    assert answer.json.get("detail") == detail
    assert answer.json.get("retry_after") == retry_after
    assert b"secret" not in answer.body


async def test_the_job_is_named_when_the_handler_knows_it(house: House) -> None:
    await house.serve(failing_app(ValueError()))
    answer = await (await house.connect()).ask(get("/job"))
    assert answer.json["job_id"] == str(JOB)


async def test_bugs_are_logged_with_their_traceback(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.serve(failing_app(ZeroDivisionError("the text")))
    await (await house.connect()).ask(get("/fail?password=hunter2"))
    assert "GET '/fail' failed" in caplog.text
    assert "ZeroDivisionError: the text" in caplog.text
    assert "hunter2" not in caplog.text


async def test_expected_failures_are_not_logged_as_bugs(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.serve(failing_app(Refusal(Reason.SLOT_BUSY)))
    await (await house.connect()).ask(get("/nursery"))
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("order", [1, -1])
async def test_of_a_group_the_bug_is_told_and_all_is_logged(
    house: House, caplog: pytest.LogCaptureFixture, order: int
) -> None:
    failures: list[Exception] = [Refusal(Reason.SLOT_BUSY), ExceptionGroup("inner", [ZeroDivisionError("the text")])]
    await house.serve(failing_app(ExceptionGroup("outer", failures[::order])))
    answer = await (await house.connect()).ask(get("/fail"))
    assert answer.json["failure_reason"] == "internal_error"
    assert "ZeroDivisionError: the text" in caplog.text


async def test_an_error_handler_that_fails_is_still_500(house: House) -> None:
    await house.serve(failing_app(Refusal("no such reason", "x")))  # type: ignore[arg-type]
    answer = await (await house.connect()).ask(get("/fail"))
    assert (answer.status, answer.json["failure_reason"]) == (500, "internal_error")


async def test_what_quart_refuses_keeps_status_and_headers(house: House) -> None:
    app = create_app()

    @app.post("/only-post")
    async def only_post() -> str:
        return ""

    @app.get("/abort/<int:status>")
    async def aborting(status: int) -> str:
        abort(status)

    @app.get("/folder/")
    async def folder() -> str:
        return ""

    await house.serve(app)
    client = await house.connect()
    answer = await client.ask(get("/only-post"))
    assert (answer.status, answer.json["failure_reason"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}
    for status, reason in [
        (400, "invalid_request"),
        (404, "not_found"),
        (406, "invalid_request"),
        (408, "upload_timeout"),
        (410, "result_expired"),
        (413, "payload_too_large"),
        (415, "unsupported_media_type"),
        (418, "invalid_request"),
        (500, "internal_error"),
        (503, "internal_error"),
    ]:
        answer = await client.ask(get(f"/abort/{status}"))
        assert (answer.status, answer.json["status"], answer.json["failure_reason"]) == (status, status, reason)
    answer = await client.ask(get("/folder"))
    assert (answer.status, answer.headers["location"]) == (308, "http://x/folder/")
    head = await client.ask(b"HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.status, head.body) == (404, b"")


def test_canned_answers_close() -> None:
    status, headers, body = canned(Reason.QUEUE_FULL, retry_after=1)
    fields = dict(headers)
    assert status == 429
    assert fields[b"content-length"] == str(len(body)).encode()
    assert fields[b"connection"] == b"close"
