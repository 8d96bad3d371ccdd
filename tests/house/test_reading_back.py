"""Reading back over real sockets: jobs, results, the pictures themselves, health, metrics and the contract."""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from tests.house.shared import SharedHouse, shared_house
from tests.lab import http
from tests.lab.house import PASSWORD, Lab, running_house
from tests.lab.waiting import until
from tests.postgres import PostgresServer

PROVIDERS = {
    "provider.gemini": "ok",
    # Which no slot asks:
    "provider.turbotext": "not set up: turbotext has no key: store one in the settings, or set TURBOTEXT_API_KEY",
    "provider.local": "ok",
}
API_KEY = "key-that-nobody-may-see"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
MALFORMED = [
    "x",
    "1",
    "..",
    "%00",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "'%20OR%201=1--",
    "%ff",
    "0" * 5000,
    UNKNOWN + "0",
]

Ask = Callable[[Lab, httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house for all questions that leave it as it was."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("house"), gemini_api_key=API_KEY) as house:
        yield house


@pytest.fixture(scope="module")
def job_id(house: SharedHouse, small_photo: bytes) -> str:
    """A job that has a result."""
    return house.run(_finished_job, small_photo)


@pytest.fixture
def ask(house: SharedHouse) -> Callable[[Ask], None]:
    """Runs a conversation with the shared house in the house's own loop."""

    async def converse(lab: Lab, conversation: Ask) -> None:
        async with http.client(base_url=lab.base_url) as client:
            await conversation(lab, client)
        await lab.rest()

    return lambda conversation: house.run(converse, conversation)


async def _finished_job(lab: Lab, photo: bytes) -> str:
    shot = await lab.shoot(photo)
    found = shot.header("x-job-id")
    assert found is not None
    await lab.rest()
    return found


def problem(response: httpx.Response, status: int, reason: str) -> dict[str, Any]:
    """The members of a problem document, after a look at what all of them have."""
    assert response.status_code == status, response.content[:300]
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    members: dict[str, Any] = response.json()
    assert (members["status"], members["failure_reason"]) == (status, reason)
    assert members["type"] == f"urn:photochanger:problem:{reason}"
    assert members["title"]
    return members


# --- jobs and results -------------------------------------------------------------------------------------------


def test_a_finished_job_says_what_the_booth_got(ask: Callable[[Ask], None], job_id: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        response = await client.get(f"/api/jobs/{job_id}")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        job = response.json()
        assert (job["job_id"], job["slot_id"], job["status"]) == (job_id, "slot-001", "done")
        assert (job["failure_reason"], job["reply_kind"], job["reply_status"]) == (None, "ai", 200)
        assert (job["late"], job["retries"]) == (False, 0)
        assert job["created_at"] <= job["started_at"] <= job["finished_at"] < job["expires_at"]
        assert job["url"] == f"/public/results/{job_id}"

    ask(conversation)


def test_a_failed_job_says_why_and_has_no_result(ask: Callable[[Ask], None], small_photo: bytes) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        lab.simulator.scenario("safety")
        shot = await lab.shoot(small_photo)
        assert shot.problem is not None
        failed = shot.problem["job_id"]
        job = (await client.get(f"/api/jobs/{failed}")).json()
        assert (job["status"], job["failure_reason"]) == ("failed", "provider_refused")
        assert (job["reply_kind"], job["reply_status"], job["url"]) == ("error", 502, None)
        problem(await client.get(f"/api/results/{failed}"), 404, "not_found")
        problem(await client.get(f"/public/results/{failed}"), 404, "not_found")

    ask(conversation)


def test_a_job_at_work_has_no_result_yet(ask: Callable[[Ask], None], small_photo: bytes) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        lab.simulator.scenario("slow(1)")
        calls = len(lab.simulator.calls)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lab.shoot, small_photo)
            await until(lambda: len(lab.simulator.calls) > calls)
            running = str((await lab.job())["id"])
            job = (await client.get(f"/api/jobs/{running}")).json()
            assert (job["status"], job["reply_kind"], job["finished_at"]) == ("processing", None, None)
            problem(await client.get(f"/api/results/{running}"), 404, "not_found")
            problem(await client.get(f"/public/results/{running}"), 404, "not_found")
        assert (await client.get(f"/api/results/{running}")).status_code == 200

    ask(conversation)


def test_a_result_is_described_as_it_is(ask: Callable[[Ask], None], job_id: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        response = await client.get(f"/api/results/{job_id}")
        assert response.status_code == 200
        result = response.json()
        picture = (await client.get(result["url"])).content
        assert result["bytes"] == len(picture)
        assert result["sha256"] == hashlib.sha256(picture).hexdigest()
        assert (result["mime"], result["width"], result["height"]) == ("image/jpeg", 1200, 896)
        assert (result["job_id"], result["slot_id"], result["late"]) == (job_id, "slot-001", False)
        assert "path" not in result

    ask(conversation)


@pytest.mark.parametrize("route", ["/api/jobs", "/api/results", "/public/results"])
def test_unknown_and_malformed_ids_are_nothing(ask: Callable[[Ask], None], route: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        for wrong in [UNKNOWN, *MALFORMED]:
            members = problem(await client.get(f"{route}/{wrong}"), 404, "not_found")
            assert members.keys() == {"type", "title", "status", "failure_reason"}

    ask(conversation)


# --- the picture ------------------------------------------------------------------------------------------------


def test_the_picture_comes_whole_with_a_strong_etag(ask: Callable[[Ask], None], job_id: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        response = await client.get(f"/public/results/{job_id}")
        assert response.status_code == 200
        assert response.headers["content-type"] == "image/jpeg"
        assert response.headers["content-length"] == str(len(response.content))
        assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["x-content-type-options"] == "nosniff"
        head = await client.head(f"/public/results/{job_id}")
        assert (head.status_code, head.content) == (200, b"")
        for name in ("content-type", "content-length", "etag", "accept-ranges"):
            assert head.headers[name] == response.headers[name]

    ask(conversation)


def test_a_picture_that_one_has_is_not_sent_again(ask: Callable[[Ask], None], job_id: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        url = f"/public/results/{job_id}"
        etag = (await client.head(url)).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = await client.get(url, headers={"If-None-Match": known})
            assert (response.status_code, response.content) == (304, b""), known
            assert response.headers["etag"] == etag
        assert (await client.get(url, headers={"If-None-Match": '"other"'})).status_code == 200

    ask(conversation)


def test_ranges_are_exact(ask: Callable[[Ask], None], job_id: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        url = f"/public/results/{job_id}"
        whole = await client.get(url)
        data, size, etag = whole.content, len(whole.content), whole.headers["etag"]
        for asked, start, stop in (
            ("bytes=0-99", 0, 100),
            ("bytes=100-", 100, size),
            ("bytes=-100", size - 100, size),
            (f"bytes=0-{size * 2}", 0, size),
            (f"bytes={size - 1}-{size - 1}", size - 1, size),
        ):
            response = await client.get(url, headers={"Range": asked})
            assert response.status_code == 206, asked
            assert response.content == data[start:stop]
            assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
            assert response.headers["content-length"] == str(stop - start)
        for asked in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}"):
            response = await client.get(url, headers={"Range": asked})
            problem(response, 416, "invalid_request")
            assert response.headers["content-range"] == f"bytes */{size}"
        for headers in (
            {"Range": "bytes=0-1,5-6"},
            {"Range": "lines=1-2"},
            {"Range": "nonsense"},
            {"Range": "bytes=0-99", "If-Range": '"other"'},
        ):
            response = await client.get(url, headers=headers)
            assert (response.status_code, response.content) == (200, data), headers
        response = await client.get(url, headers={"Range": "bytes=0-99", "If-Range": etag})
        assert (response.status_code, response.content) == (206, data[:100])

    ask(conversation)


def test_an_expired_picture_is_gone_and_its_files_with_it(ask: Callable[[Ask], None], small_photo: bytes) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        expired, other = [await _finished_job(lab, small_photo) for _ in range(2)]
        for table in ("result", "media_object"):
            statement = f"UPDATE {table} SET expires_at = now() - interval '1 second' WHERE job_id = $1"
            await lab.house.db.execute(statement, uuid.UUID(expired))
        assert len(_files_of(lab, expired)) == 2
        problem(await client.get(f"/api/results/{expired}"), 404, "not_found")
        problem(await client.get(f"/api/jobs/{expired}"), 404, "not_found")
        for _ in range(2):
            problem(await client.get(f"/public/results/{expired}"), 410, "result_expired")
            assert _files_of(lab, expired) == []
        assert (await client.head(f"/public/results/{expired}")).status_code == 410
        rows = await lab.house.db.fetch("SELECT job_id, scope, cleaned_at FROM media_object")
        cleaned = {row["scope"] for row in rows if row["cleaned_at"] is not None}
        assert cleaned == {"result", "preview", "original"}
        assert {row["job_id"] for row in rows if row["cleaned_at"] is not None} == {uuid.UUID(expired)}
        assert (await client.get(f"/public/results/{other}")).status_code == 200
        assert len(_files_of(lab, other)) == 2

    ask(conversation)


def test_a_picture_whose_file_was_lost_is_not_found(ask: Callable[[Ask], None], small_photo: bytes) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        lost = await _finished_job(lab, small_photo)
        next(path for path in _files_of(lab, lost) if path.suffix == ".jpg").unlink()
        problem(await client.get(f"/public/results/{lost}"), 404, "not_found")

    ask(conversation)


def _files_of(lab: Lab, job_id: str) -> list[Path]:
    return [path for path in (lab.var / "media" / "results").rglob("*") if job_id in path.name]


# --- health, metrics, contract ----------------------------------------------------------------------------------


def test_a_healthy_house_says_so(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        for path in ("/healthz", "/readyz"):
            response = await client.get(path)
            assert response.status_code == 200
            checks = {"database": "ok", "media": "ok", **PROVIDERS}
            assert response.json() == {"status": "ok", "ready": True, "checks": checks}

    ask(conversation)


def test_metrics_can_be_parsed_and_hold_no_secrets(ask: Callable[[Ask], None], job_id: str, small_photo: bytes) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        await lab.shoot(small_photo, password="wrong-password-of-somebody")
        await lab.shoot(small_photo, slot="slot-nobody-knows")
        response = await client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name: family for family in text_string_to_metric_families(response.text)}
        counted = {
            (sample.labels["slot"], sample.labels["outcome"]): sample.value
            for sample in families["photochanger_ingest"].samples
            if sample.name == "photochanger_ingest_total"
        }
        assert counted["slot-001", "ok"] >= 1
        assert counted["slot-001", "invalid_credentials"] >= 1
        assert counted["unknown", "slot_not_found"] >= 1
        [picture] = [
            sample.value
            for sample in families["photochanger_attempts"].samples
            if sample.name.endswith("_total") and sample.labels == {"provider": "gemini", "outcome": "picture"}
        ]
        assert picture >= 1
        assert all(family.documentation for family in families.values())
        for secret in (PASSWORD, "wrong-password", "nobody-knows", API_KEY, str(lab.var), "postgres", job_id):
            assert secret not in response.text

    ask(conversation)


def test_the_contract_is_valid_and_names_every_route(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        response = await client.get("/openapi.json")
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        contract = response.json()
        assert contract["openapi"].startswith("3.1")
        validate(contract)
        app = lab.house.server._app
        routes = {
            (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        described = {(path, method) for path, methods in contract["paths"].items() for method in methods}
        assert described == routes

    ask(conversation)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/api",
        "/api/jobs/",
        "/public/results/",
        "/static/x",
        "/docs/x/y",
        "/%00",
        "/..",
        "//",
    ],
)
def test_unknown_routes_are_problems(ask: Callable[[Ask], None], path: str) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        for method in ("GET", "POST", "DELETE"):
            problem(await client.request(method, httpx.URL(lab.base_url + path)), 404, "not_found")

    ask(conversation)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/ingest/slot-001", {"POST", "OPTIONS"}),
        (f"/api/jobs/{UNKNOWN}", {"GET", "HEAD", "OPTIONS"}),
        (f"/public/results/{UNKNOWN}", {"GET", "HEAD", "OPTIONS"}),
        ("/healthz", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_wrong_methods_are_told_the_right_ones(ask: Callable[[Ask], None], path: str, allowed: set[str]) -> None:
    async def conversation(lab: Lab, client: httpx.AsyncClient) -> None:
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - allowed:
            response = await client.request(method, path)
            problem(response, 405, "method_not_allowed")
            assert {name.strip() for name in response.headers["allow"].split(",")} == allowed

    ask(conversation)


# --- without the database ---------------------------------------------------------------------------------------


async def test_without_the_database_reading_waits_and_photos_do_not(
    tmp_path: Path, postgres_url: str, postgres_server: PostgresServer, small_photo: bytes
) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    async with (
        running_house(tmp_path, postgres_url) as lab,
        http.client(base_url=lab.base_url) as client,
    ):
        before = await _finished_job(lab, small_photo)

        await trio.to_thread.run_sync(postgres_server.sql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        lab.house.db.disconnect("the test took it away")
        for path in (f"/api/jobs/{before}", f"/api/results/{before}", f"/public/results/{before}"):
            response = await client.get(path)
            members = problem(response, 503, "database_unavailable")
            assert int(response.headers["retry-after"]) == members["retry_after"] > 0
            assert "the test took it away" not in response.text
        problem(await client.get("/api/jobs/malformed"), 404, "not_found")

        shot = await lab.shoot(small_photo)
        assert (shot.verdict, shot.status) == ("modified", 200)
        await until(lambda: name in lab.house.db.state.reason)  # which names the server's address, too
        for path in ("/healthz", "/readyz"):
            response = await client.get(path)
            assert response.status_code == 200
            waiting = "2 changes wait for the database"  # the photo's attempt, and its end
            checks = {"database": "unavailable", "media": "ok", "journal": waiting, **PROVIDERS}
            assert response.json() == {"status": "degraded", "ready": True, "checks": checks}
        assert (await client.get("/metrics")).status_code == 200

        await trio.to_thread.run_sync(postgres_server.sql, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        photographed = shot.header("x-job-id")
        await until(lambda: lab.house.db.state.available and lab.house.journal.depth == 0)
        for job in (before, photographed):
            assert (await client.get(f"/api/jobs/{job}")).json()["status"] == "done"
            assert (await client.get(f"/public/results/{job}")).status_code == 200
        assert (await client.get(f"/public/results/{photographed}")).content == shot.body
        await client.aclose()
        await lab.rest()
