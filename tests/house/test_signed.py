"""Signed photos through the whole house: our own example client is taken, all else is refused before it costs money.

And what is secret is told to nobody: not to the client, not to the log, not to Prometheus.
"""

import base64
import logging
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from photochanger.ingest.signature import HEADERS, QUERY, TOLERANCE
from photochanger.providers.base import FileSlice, PreparedPhoto
from photochanger.slots.house_key import house_secret
from photochanger.slots.signing import PREFIX, derived_key, shown
from tests.house.bad_input import CONTENT_TYPE, END, good, part
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.ingest.signing import digest, signature
from tests.lab import http, pictures
from tests.lab.house import PASSWORD, Lab, running_house
from tests.lab.process import ROOT, environment
from tests.postgres import PostgresServer

CLIENT = ROOT / "ops" / "clients" / "signed_post.py"
EITHER, SIGNED_ONLY, PASSWORD_ONLY, NEW_KEY = "slot-001", "slot-002", "slot-003", "slot-004"
PUBLIC = "https://booth.example"
BODY = part("fileToUpload", good(), "a.jpg") + END


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house with a slot of each kind."""
    var = tmp_path_factory.mktemp("signed")
    with shared_house(postgres_server, var, answer=good(), rate_burst=10_000, public_base_url=PUBLIC) as house:
        house.run(furnish)
        yield house


async def furnish(lab: Lab) -> None:
    await without_hedges(lab)
    await lab.set_slot(SIGNED_ONLY, auth="signature")
    await lab.set_slot(PASSWORD_ONLY, auth="password")
    await lab.set_slot(NEW_KEY, signing_generation=2)


@pytest.fixture(scope="module")
def keys(house: SharedHouse) -> dict[str, str]:
    """Each slot's key, that of EITHER as an operator gets it; that of NEW_KEY is the one before."""
    var = house.run(var_of)
    secret = house_secret(var / "secrets")
    others = {slot: shown(derived_key(secret, slot, 1)) for slot in (SIGNED_ONLY, PASSWORD_ONLY, NEW_KEY)}
    return {EITHER: shown_key(var, EITHER)} | others


def shown_key(var: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "photochanger", "signing-key", *arguments],
        cwd=ROOT, env=environment(var), capture_output=True, text=True, timeout=60, check=True,
    ).stdout.strip()  # fmt: skip


async def var_of(lab: Lab) -> Path:
    return lab.var


def key_bytes(key: str) -> bytes:
    return base64.b64decode(key.removeprefix(PREFIX))


@dataclass(frozen=True)
class Request:
    """A signed request, or one that has been spoilt: what is signed is `BODY`, what is sent is `body`."""

    slot: str = EITHER
    key_of: str | None = None
    body: bytes = BODY
    signed_for: str | None = None
    age: int = 0
    announced: bool = True
    place: str = "headers"
    without: str = ""
    nonce: str | None = None

    async def send(self, client: httpx.AsyncClient, keys: Mapping[str, str]) -> httpx.Response:
        path, key = f"/api/ingest/{self.slot}", key_bytes(keys[self.key_of or self.slot])
        at, nonce = int(time.time()) - self.age, self.nonce or secrets.token_hex(16)
        signed = signature(BODY, key=key, target=self.signed_for or path, at=at, nonce=nonce)
        values = [nonce, str(at), f"v1,{signed}", digest(BODY)]
        given = [(place, value) for place, value in enumerate(values) if HEADERS[place] != self.without]
        if not self.announced:
            given = given[:3]
        headers = {HEADERS[place]: value for place, value in given} if self.place in ("headers", "both") else {}
        query = {QUERY[place]: value for place, value in given} if self.place in ("query", "both") else {}
        url = f"{path}?{urlencode(query)}" if query else path
        return await client.post(url, content=self.body, headers={"Content-Type": CONTENT_TYPE} | headers)


def with_password(body: bytes) -> bytes:
    return part("password", PASSWORD.encode()) + body


async def talk(lab: Lab, keys: Mapping[str, str], *requests: Request) -> list[httpx.Response]:
    async with http.client(base_url=lab.base_url, timeout=30) as client:
        return [await request.send(client, keys) for request in requests]


# --- what is taken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", [EITHER, SIGNED_ONLY])
@pytest.mark.parametrize("place", ["headers", "query"])
def test_our_own_example_client_gets_its_picture(
    house: SharedHouse, keys: Mapping[str, str], tmp_path: Path, slot: str, place: str
) -> None:
    (tmp_path / "photo.jpg").write_bytes(good())
    (tmp_path / "key").write_text(keys[slot] + "\n")
    got = tmp_path / "got.jpg"
    command: list[str | Path] = [
        sys.executable,
        "-I",
        CLIENT,
        house.run(url_of, slot),
        tmp_path / "photo.jpg",
        "--out",
        got,
    ]
    command += ["--key-file", tmp_path / "key", *(["--query"] if place == "query" else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("200 image/jpeg ")
    assert got.read_bytes() == good()  # which the simulator gives to everybody
    house.run(Lab.rest)


async def url_of(lab: Lab, slot: str) -> str:
    return lab.url(slot)


TAKEN = {
    "in headers": Request(),
    "in the query": Request(place="query"),
    "without the body's hash": Request(announced=False),
    "a clock that is a little behind": Request(age=TOLERANCE - 30),
    "a clock that is a little ahead": Request(age=30 - TOLERANCE),
    "of a slot that takes signatures only": Request(SIGNED_ONLY),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_right_signature_is_taken_once(house: SharedHouse, keys: Mapping[str, str], name: str) -> None:
    async def send_twice(lab: Lab) -> None:
        jobs, calls = await lab.count("job"), len(lab.simulator.calls)
        once = replace(TAKEN[name], nonce=secrets.token_hex(16))
        first, again = await talk(lab, keys, once, once)
        assert (first.status_code, first.headers["x-photochanger-result"]) == (200, "ai")
        assert (again.status_code, again.json()["failure_reason"]) == (401, "replayed_nonce")
        await lab.rest()
        assert (await lab.count("job"), len(lab.simulator.calls)) == (jobs + 1, calls + 1)

    house.run(send_twice)


async def test_a_used_nonce_stays_used_over_a_restart(tmp_path: Path, postgres_url: str) -> None:
    once = Request(nonce=secrets.token_hex(16))
    keys: dict[str, str] = {}
    for expected in (200, 401):
        async with running_house(tmp_path, postgres_url, answer=good()) as lab:
            keys = keys or {EITHER: shown_key(tmp_path, EITHER)}
            [answer] = await talk(lab, keys, once)
            assert answer.status_code == expected
            await lab.rest()
            assert len(lab.simulator.calls) == (expected == 200)
    assert answer.json()["failure_reason"] == "replayed_nonce"


# --- what is refused --------------------------------------------------------------------------------------------

CREDENTIALS, EXPIRED = "invalid_credentials", "signature_expired"
REFUSED = {
    "another slot's key": (Request(key_of=SIGNED_ONLY), CREDENTIALS),
    "the key of an earlier generation": (Request(NEW_KEY), CREDENTIALS),
    "signed for another slot": (Request(signed_for="/api/ingest/slot-009"), CREDENTIALS),
    "signed for another query": (Request(signed_for="/api/ingest/slot-001?a=b"), CREDENTIALS),
    "another body": (Request(body=BODY + b"\r\n"), CREDENTIALS),
    "another body, no hash announced": (Request(body=BODY + b"\r\n", announced=False), CREDENTIALS),
    "another photo": (Request(body=BODY.replace(b"a.jpg", b"b.jpg"), announced=False, place="query"), CREDENTIALS),
    "the right password does not help": (Request(body=with_password(BODY)), CREDENTIALS),
    "signed long ago": (Request(age=TOLERANCE + 30), EXPIRED),
    "signed in the future": (Request(age=-TOLERANCE - 30), EXPIRED),
    "no nonce": (Request(without="Webhook-Id"), CREDENTIALS),
    "no timestamp": (Request(without="Webhook-Timestamp"), CREDENTIALS),
    "no signature": (Request(without="Webhook-Signature"), CREDENTIALS),
    "a short nonce": (Request(nonce="0123456789"), CREDENTIALS),
    "in headers and query": (Request(place="both"), CREDENTIALS),
    "a slot that takes its password only": (Request(PASSWORD_ONLY), CREDENTIALS),
    "the same with the password": (Request(PASSWORD_ONLY, body=with_password(BODY)), CREDENTIALS),
    "nothing but the body": (Request(SIGNED_ONLY, place="nowhere"), CREDENTIALS),
    "a password where signatures are asked for": (
        Request(SIGNED_ONLY, place="nowhere", body=with_password(BODY)),
        CREDENTIALS,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_before_it_costs(
    house: SharedHouse, keys: Mapping[str, str], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    request, reason = REFUSED[name]

    async def send(lab: Lab) -> str:
        jobs, calls, nonces = await lab.count("job"), len(lab.simulator.calls), await lab.count("nonce")
        [answer] = await talk(lab, keys, request)
        assert (answer.status_code, answer.json()["failure_reason"]) == (401, reason), answer.text
        await lab.rest()
        assert (await lab.count("job"), len(lab.simulator.calls)) == (jobs, calls)
        assert await lab.count("nonce") == nonces, "strangers could use up other people's nonces"
        async with http.client() as client:
            return answer.text + str(answer.headers) + (await client.get(f"{lab.base_url}/metrics")).text

    with caplog.at_level(logging.DEBUG):
        answered = house.run(send)
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("photochanger"))
    assert logged, "not even the access log"
    told = answered + logged
    for secret in (PASSWORD, *keys.values(), *(key.removeprefix(PREFIX) for key in keys.values())):
        assert secret not in told
    for key in map(key_bytes, keys.values()):
        assert key.hex() not in told
    assert "v1," not in told
    assert "webhook_signature=" not in told


def test_the_contract_tells_how_to_sign(house: SharedHouse) -> None:
    async def read(lab: Lab) -> Any:
        async with http.client(base_url=lab.base_url) as client:
            return (await client.get("/openapi.json")).json()

    contract = house.run(read)
    operation = contract["paths"]["/api/ingest/{slot_id}"]["post"]
    answers = {status: _resolved(contract, answer) for status, answer in operation["responses"].items()}
    parameters = {(each["in"], each["name"]): each for each in operation["parameters"]}
    named = {("header", name) for name in (*HEADERS, "Idempotency-Key")} | {("query", name) for name in QUERY}
    assert set(parameters) == named | {("path", "slot_id")}
    assert not any(parameters[each]["required"] for each in named)
    for reason in (CREDENTIALS, EXPIRED, "replayed_nonce"):
        assert f"`{reason}`" in answers["401"]["description"]
    for reason in ("rate_limited", "slot_busy", "queue_full", "budget_exhausted"):
        assert f"`{reason}`" in answers["429"]["description"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= set(answers["429"]["headers"])
    assert {"RateLimit", "RateLimit-Policy", "Idempotent-Replayed"} <= set(answers["200"]["headers"])


def _resolved(contract: Any, answer: Any) -> Any:
    """An answer that several operations share lies among the components."""
    name = answer.get("$ref", "").removeprefix("#/components/responses/")
    return contract["components"]["responses"][name] if name else answer


# --- names of guests' photos ------------------------------------------------------------------------------------


async def test_the_access_log_names_no_link_to_a_photo(
    tmp_path: Path, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows such a name may fetch a guest's photo: the log says that one was fetched, not which."""
    path = tmp_path / "guest.jpg"
    path.write_bytes(pictures.photo(320, 240))
    size = path.stat().st_size
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(running_house(tmp_path, postgres_url, public_base_url=PUBLIC))
        client = await stack.enter_async_context(http.client(base_url=lab.base_url))
        with caplog.at_level(logging.DEBUG):
            photo = PreparedPhoto(path, "image/jpeg", 320, 240, (FileSlice(0, size),), size)
            with lab.house.links.publish(photo) as url:
                target = url.removeprefix(PUBLIC)
                statuses = [(await client.get(target)).status_code, (await client.head(target + "?x=y")).status_code]
            statuses += [(await client.get(target)).status_code, (await client.post(target)).status_code]
            statuses.append((await client.get("/public/media/" + "0" * 64)).status_code)
            await client.aclose()
            await lab.rest()
        assert statuses == [200, 200, 410, 405, 404]
    lines = [record.getMessage() for record in caplog.records if record.name == "photochanger.access"]
    assert [line.split(" ")[:3] for line in lines[-5:]] == [
        [method, "/public/media/…", str(status)]
        for method, status in zip(("GET", "HEAD", "GET", "POST", "GET"), statuses, strict=True)
    ]
    name = target.rpartition("/")[2]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("photochanger")]
    assert not [message for message in ours if name in message]
