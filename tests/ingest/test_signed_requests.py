"""Signed requests over real sockets: the example client, and everything that a forger or a repeater may try."""

import base64
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
import trio
from quart import Response, after_this_request, request
from quart.typing import ResponseTypes

from photochanger.cli import main as photochanger
from photochanger.db.facade import Db
from photochanger.domain.slot import Slot
from photochanger.ingest.nonces import Nonces
from photochanger.ingest.ratelimit import RateLimits
from photochanger.ingest.signature import Signed, decide_auth
from photochanger.ingest.signature_check import SignatureCheck
from photochanger.ingest.upload import Reception, receive
from photochanger.slots.house_key import house_secret
from photochanger.slots.signing import signing_key
from photochanger.web.app import App, create_app
from photochanger.web.serving import Server
from tests.ingest.signing import NONCE, NOW, PATH, headers, signature
from tests.ingest.test_form import CONTENT_TYPE, END
from tests.ingest.test_form import photo as photo_part
from tests.lab import pictures
from tests.web.client import Answer, Client, post

ROOT = Path(__file__).parent.parent.parent
SECRET = b"s" * 32
SLOT = Slot("slot-001", 1, "gemini", "edit")
KEY = signing_key(SECRET, SLOT)
PHOTO = pictures.photo(640, 480)
BODY = photo_part(PHOTO) + END


class Booths:
    """A server with the parts that judge a signed photo, and a list in place of all that would come after them."""

    def __init__(self, folder: Path, nonces: Nonces, nursery: trio.Nursery) -> None:
        self.slot = SLOT
        self.secret = SECRET
        self.now = float(NOW)
        self.paid: list[bytes] = []
        self.limits = RateLimits(1.0, 50)
        self.nonces = nonces
        self._folder = folder
        self._numbers = itertools.count()
        self._nursery = nursery
        self._threads = trio.CapacityLimiter(4)
        self._clients: list[Client] = []

    async def serve(self) -> None:
        self.server = Server(self._app(), drain_grace=5.0)
        await self._nursery.start(self.server.run)

    def _app(self) -> App:
        app = create_app()

        @app.post("/api/ingest/<slot_id>")
        async def post_photo(slot_id: str) -> Response:
            signed = Signed.from_request(
                request.method, request.scope["raw_path"], request.query_string, request.headers
            )
            assert decide_auth(self.slot, signed) == "signature"
            assert signed is not None
            check = SignatureCheck(self.secret, self.nonces, clock=lambda: self.now)
            check.early(self.slot, signed)
            folder = self._folder / f"job-{next(self._numbers)}"
            reception = Reception(
                request.headers["Content-Type"], folder, max_photo=10_000_000, max_pixels=10**8, signed=True
            )

            async def authorize(_: str | None) -> None:
                await check.whole(self.slot, signed, reception.body_sha256)

            try:
                upload = await receive(
                    request.body,
                    reception,
                    deadline=trio.current_time() + 30,
                    threads=self._threads,
                    authorize=authorize,
                )
            finally:
                reception.close()
            try:
                self.limits.take(self.slot, trio.current_time())
            finally:

                @after_this_request
                async def tell_limits(response: ResponseTypes) -> ResponseTypes:
                    response.headers.extend(self.limits.headers(self.slot, trio.current_time()))
                    return response

            self.paid.append(upload.path.read_bytes())
            return Response(upload.path.read_bytes(), mimetype=upload.probe.mime)

        return app

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}{PATH}"

    async def connect(self) -> Client:
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.server.port))
        self._clients.append(client)
        return client

    async def send(self, parts: dict[str, str], *, body: bytes = BODY, path: str = PATH) -> Answer:
        lines = [f"{name}: {value}" for name, value in parts.items()]
        client = await self.connect()
        return await client.ask(post(path, body, f"Content-Type: {CONTENT_TYPE}", *lines))

    async def reason(self, parts: dict[str, str], *, body: bytes = BODY, path: str = PATH) -> tuple[int, str]:
        """The status and the reason of a refusal, before which nothing was paid for."""
        before = len(self.paid)
        answer = await self.send(parts, body=body, path=path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(self.paid) == before
        return answer.status, answer.json["failure_reason"]

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture
async def booths(tmp_path: Path, db: Db, nursery: trio.Nursery) -> AsyncIterator[Booths]:
    booths = Booths(tmp_path, Nonces(db, clock=lambda: float(NOW)), nursery)
    await booths.serve()
    yield booths
    booths.close()


async def test_a_signed_photo_is_taken_in(booths: Booths) -> None:
    answer = await booths.send(headers(BODY, key=KEY))
    assert (answer.status, answer.body) == (200, PHOTO)
    answer = await booths.send(headers(BODY, key=KEY, nonce="another-nonce-001", announced=True))
    assert (answer.status, answer.body) == (200, PHOTO)
    assert booths.paid == [PHOTO, PHOTO]


async def test_the_signature_may_be_in_the_query_beside_what_else_is_there(booths: Booths) -> None:
    signed = quote("v1," + signature(BODY, key=KEY, target=f"{PATH}?survey=%D1%8F"), safe="")
    query = f"webhook_id={NONCE}&webhook_timestamp={NOW}&survey=%D1%8F&webhook_signature={signed}"
    assert await booths.reason({}, path=f"{PATH}?{query.replace('%8F', '%8E')}") == (401, "invalid_credentials")
    assert (await booths.send({}, path=f"{PATH}?{query}")).status == 200


async def test_every_forgery_is_refused_before_anything_is_paid(booths: Booths) -> None:
    right = headers(BODY, key=KEY)
    wrong = (401, "invalid_credentials")
    assert await booths.reason(headers(BODY, key=b"guessed")) == wrong
    assert await booths.reason(headers(BODY, key=b"guessed", announced=True)) == wrong
    assert await booths.reason(right, body=BODY.replace(b"IMG_0003", b"IMG_0004")) == wrong
    assert await booths.reason(right, body=BODY + b"more") == wrong
    assert await booths.reason(right, path=PATH + "?survey=other") == wrong
    assert await booths.reason(right, path=PATH.replace("slot", "%73lot")) == wrong
    assert await booths.reason(right | {"Webhook-Id": NONCE[::-1]}) == wrong
    assert await booths.reason(right | {"Webhook-Timestamp": str(NOW + 1)}) == wrong
    assert await booths.reason(right | {"Webhook-Timestamp": "now"}) == wrong
    assert await booths.reason(headers(BODY, key=KEY) | {"Webhook-Content-Sha256": "0" * 64}) == wrong
    # None of them has used the nonce up.
    assert (await booths.send(right)).status == 200


async def test_a_replay_is_refused_early_and_late_and_after_a_restart(booths: Booths, db: Db) -> None:
    right = headers(BODY, key=KEY)
    assert (await booths.send(right)).status == 200
    assert await booths.reason(right) == (401, "replayed_nonce")
    booths.nonces = Nonces(db, clock=lambda: booths.now)
    assert await booths.reason(right) == (401, "replayed_nonce")
    booths.now += 301
    assert await booths.reason(right) == (401, "signature_expired")


async def test_of_two_equal_requests_at_the_same_time_one_is_taken(booths: Booths) -> None:
    right = headers(BODY, key=KEY)
    statuses: list[int] = []

    async def send() -> None:
        statuses.append((await booths.send(right)).status)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(send)
    assert sorted(statuses) == [200, 401, 401, 401, 401]
    assert len(booths.paid) == 1


async def test_an_old_signature_is_told_apart(booths: Booths) -> None:
    for at in (NOW - 301, NOW + 301):
        assert await booths.reason(headers(BODY, key=KEY, at=at)) == (401, "signature_expired")


@pytest.mark.parametrize("fault", ["forged", "expired", "replayed"])
async def test_who_cannot_succeed_is_refused_before_the_upload(booths: Booths, fault: str) -> None:
    parts = headers(BODY, key=b"guessed" if fault == "forged" else KEY, announced=fault == "forged")
    if fault == "replayed":
        assert (await booths.send(parts)).status == 200
    elif fault == "expired":
        booths.now += 301
    client = await booths.connect()
    lines = [f"{name}: {value}" for name, value in parts.items()]
    head = post(PATH, b"", f"Content-Type: {CONTENT_TYPE}", "Expect: 100-continue", *lines, length=len(BODY))
    answer = await client.ask(head)
    assert (answer.status, answer.informational) == (401, [])


async def test_a_connection_that_is_cut_in_the_upload_uses_no_nonce_up(booths: Booths) -> None:
    right = headers(BODY, key=KEY)
    client = await booths.connect()
    lines = [f"{name}: {value}" for name, value in right.items()]
    await client.send(post(PATH, BODY[:50_000], f"Content-Type: {CONTENT_TYPE}", *lines, length=len(BODY)))
    client.reset()
    assert (await booths.send(right)).status == 200


async def test_a_new_generation_locks_the_old_key_out(booths: Booths) -> None:
    booths.slot = replace(SLOT, version=2, signing_generation=2)
    assert await booths.reason(headers(BODY, key=KEY)) == (401, "invalid_credentials")
    new = headers(BODY, key=signing_key(SECRET, booths.slot))
    assert (await booths.send(new)).status == 200


async def test_a_database_that_is_away_lets_no_signature_of_a_young_process_through(booths: Booths, db: Db) -> None:
    db.disconnect("gone")
    assert await booths.reason(headers(BODY, key=KEY)) == (503, "database_unavailable")


async def test_the_limits_are_told_with_every_answer(booths: Booths) -> None:
    booths.slot = replace(SLOT, rate_per_minute=1, rate_burst=1)
    answer = await booths.send(headers(BODY, key=KEY))
    assert answer.headers["ratelimit-policy"] == '"house";q=50;w=50, "slot";q=1;w=60'
    assert answer.headers["ratelimit"] == '"house";r=49;t=1, "slot";r=0;t=60'
    answer = await booths.send(headers(BODY, key=KEY, nonce="another-nonce-001"))
    assert (answer.status, answer.json["failure_reason"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) in range(1, 61)
    assert '"slot";r=0;t=' in answer.headers["ratelimit"]
    assert booths.paid == [PHOTO]


# The example client


async def shoot(booths: Booths, folder: Path, *options: str, key: str) -> "subprocess.CompletedProcess[bytes]":
    (folder / "slot-001.key").write_text(key)
    (folder / "Свадьба 1.jpg").write_bytes(PHOTO)
    with trio.fail_after(60):
        return await trio.run_process(
            [
                *(sys.executable, "-I", str(ROOT / "ops/clients/signed_post.py"), booths.url + "?survey=a%20b"),
                *(str(folder / "Свадьба 1.jpg"), "--key-file", str(folder / "slot-001.key")),
                *("--out", str(folder / "out.jpg"), *options),
            ],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )


@pytest.mark.parametrize("options", [(), ("--query",)])
async def test_the_example_client_signs_with_the_key_that_the_command_shows(
    booths: Booths,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
) -> None:
    folder = tmp_path_factory.mktemp("client")
    monkeypatch.setenv("SECRETS_DIR", str(folder / "secrets"))
    assert photochanger(["signing-key", "slot-001", "--generation", "1"]) == 0
    booths.secret = house_secret(folder / "secrets")
    booths.now = time.time()
    done = await shoot(booths, folder, *options, key=capsys.readouterr().out)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().split()[:2] == ["200", "image/jpeg"]
    assert (folder / "out.jpg").read_bytes() == PHOTO == booths.paid[0]


async def test_the_example_client_says_what_the_service_refused(
    booths: Booths, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = await shoot(booths, tmp_path_factory.mktemp("client"), key="whsec_" + base64.b64encode(b"x" * 32).decode())
    assert done.returncode == 1
    assert json.loads(done.stderr)["failure_reason"] == "signature_expired"  # this server's clock stands still
