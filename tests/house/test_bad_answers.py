"""Answers that are no answers: each has its clear error, harms nobody else, and is never asked for a second time."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from photochanger.providers.overrides import write_override
from photochanger.providers.simulator import Answer
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from supervisors import Snapshot
from tests.house.given import CHARGED, GivenAnswers, Play, body_of, with_bytes, with_picture
from tests.house.shared import SharedHouse, shared_house, without_hedges
from tests.lab import pictures
from tests.lab.house import PASSWORD, Lab
from tests.lab.process import free_port
from tests.postgres import PostgresServer

LOCAL = {"provider": "local", "operation": "look", "settings": {"look": "mono"}}
KEYS = {"gemini_api_key": "key-of-gemini-1234", "turbotext_api_key": "key-of-turbotext-1234"}
HTML = b"<!DOCTYPE html><html><script>alert(1)</script><p>Bad gateway</html>"


@pytest.fixture(scope="module")
def given() -> GivenAnswers:
    """Gemini, as a test wants it to be."""
    return GivenAnswers()


@pytest.fixture(scope="module")
def elsewhere() -> GivenAnswers:
    """Another host: whoever is sent there must not go."""
    return GivenAnswers(with_picture(pictures.photo(320, 240)))


@pytest.fixture(scope="module")
def turbotext() -> TurbotextSimulator:
    """Turbotext's imitation, which knows bad answers by name."""
    return TurbotextSimulator(port=free_port())


@pytest.fixture(scope="module")
def house(
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    given: GivenAnswers,
    elsewhere: GivenAnswers,
    turbotext: TurbotextSimulator,
) -> Iterator[SharedHouse]:
    """A house with all of them, whose breakers are kept closed: here each bad answer has to be met."""

    async def furnish(lab: Lab) -> None:
        for server in (given.server, elsewhere.server, turbotext):
            await lab.background.start(server.run)
        for name in lab.house.groups:
            await write_override(lab.house.db, name, "closed", by="test")
        await lab.house.overrides.refresh()
        await without_hedges(lab)
        plan = {"provider": "turbotext", "operation": "generate_image2image", "settings": {"content": "a painting"}}
        for slot in ("slot-003", "slot-004"):
            await lab.set_slot(slot, **plan)
        for slot in ("slot-002", "slot-004"):
            await lab.set_slot(slot, fallbacks=[LOCAL])

    port = free_port()
    changes: dict[str, Any] = {
        "port": port,
        "public_base_url": f"http://127.0.0.1:{port}",
        "gemini_base_url": given.base_url,
        "turbotext_base_url": turbotext.base_url,
        "rate_burst": 10_000,
    }
    with shared_house(postgres_server, tmp_path_factory.mktemp("bad-answers"), **(changes | KEYS)) as house:
        house.run(furnish)
        yield house


def restarts(tree: Snapshot) -> int:
    """Of all that lives in the house."""
    return tree.restarts + sum(map(restarts, tree.children))


@dataclass(frozen=True)
class Bad:
    """What is answered, and what must come of it: verdict of the attempt, the booth's status and reason.

    `cost` None: what was expected of it, since nobody knows.
    """

    outcome: str
    reason: str = "provider_error"
    status: int = 502
    cost: int | None = CHARGED
    possibly_billed: bool = False


async def check(lab: Lab, photo: bytes, bad: Bad, slots: tuple[str, str], calls: Callable[[], int]) -> str:
    """Shoot at a slot without and with a fallback; what the booth was told."""
    told = ""
    for slot, is_saved in zip(slots, (False, True), strict=True):
        before = calls()
        shot = await lab.shoot(photo, slot=slot)
        await lab.rest()
        assert calls() == before + 1, "it was asked, and perhaps paid for, again"
        if is_saved:
            assert (shot.status, shot.verdict) == (200, "modified")
            assert shot.header("x-photochanger-result") == "local"
        else:
            assert shot.problem is not None, shot.why
            assert (shot.status, shot.problem["failure_reason"]) == (bad.status, bad.reason)
            told += shot.body.decode() + str(shot.headers)
        job = await lab.job()
        attempts = await lab.attempts(job["id"])
        assert len(attempts) == 1 + is_saved
        attempt = attempts[0]
        assert attempt["outcome"] == bad.outcome, attempt
        cost = attempt["estimate_microusd"] if bad.cost is None else bad.cost
        assert (attempt["cost_microusd"], attempt["possibly_billed"]) == (cost, bad.possibly_billed), attempt
        assert job["cost_microusd"] == cost
        expected = ("done", None) if is_saved else ("failed", bad.reason)
        assert (job["status"], job["failure_reason"]) == expected
        assert len(attempt["message"] or "") <= 500
    assert restarts(lab.house.root.snapshot()) == 0
    return told


def check_told(told: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of the provider's words, no secret, and no bug."""
    for word in (*KEYS.values(), PASSWORD, "script", "gateway", "Traceback", "googleapis", "turbotext.ru"):
        assert word not in told
    ours = [record for record in caplog.records if record.name.startswith("photochanger")]
    assert not [record for record in ours if record.exc_info], "a bug, or what is logged as one"
    for record in ours:
        assert not any(secret in record.getMessage() for secret in (*KEYS.values(), PASSWORD))


# --- gemini -----------------------------------------------------------------------------------------------------


async def endless(answer: Answer) -> None:
    """A hundred megabytes that begin as they should."""
    head = json.dumps(body_of(b"")).partition('"data": "')[0].encode() + b'"data": "'
    await answer.start(200, {"Content-Type": "application/json"}, 100_000_000)
    await answer.send(head)
    piece = b"A" * 1_000_000
    while answer.sent + len(piece) < 100_000_000:
        await answer.send(piece)
    await answer.send(b"A" * (100_000_000 - answer.sent))
    await answer.end()


def half_of(body: dict[str, Any]) -> bytes:
    whole = json.dumps(body).encode()
    return whole[: len(whole) // 2]


def flipped(jpeg: bytes) -> bytes:
    """The picture with its last third missing and something else in its place."""
    return jpeg[: len(jpeg) * 2 // 3] + b"\xff\xd9"


UNKNOWN: dict[str, Any] = {"cost": None, "possibly_billed": True}
GEMINI: dict[str, tuple[Callable[[], Play], Bad]] = {
    "html with 200": (lambda: with_bytes(HTML, "text/html"), Bad("bad_answer", **UNKNOWN)),
    "html that says it is json": (lambda: with_bytes(HTML), Bad("bad_answer", **UNKNOWN)),
    "half a json": (lambda: with_bytes(half_of(body_of(pictures.photo(320, 240)))), Bad("bad_answer", **UNKNOWN)),
    "nothing at all": (lambda: with_bytes(b""), Bad("bad_answer", **UNKNOWN)),
    "a json of something else": (lambda: with_bytes(b'["a", 1]'), Bad("bad_answer", **UNKNOWN)),
    "json five thousand deep": (lambda: with_bytes(b"[" * 5000), Bad("bad_answer", **UNKNOWN)),
    "a hundred megabytes": (lambda: endless, Bad("bad_answer", **UNKNOWN)),
    "a damaged picture": (lambda: with_picture(flipped(pictures.photo(600, 400))), Bad("bad_picture")),
    "half a picture": (lambda: with_picture(pictures.half_jpeg()), Bad("bad_picture")),
    "a web page as a picture": (lambda: with_picture(HTML), Bad("bad_picture")),
    "a picture of no pixels to be held": (lambda: with_picture(pictures.bomb_png(), "image/png"), Bad("bad_picture")),
    "a drawing that is a program": (lambda: with_picture(pictures.svg(), "image/jpeg"), Bad("bad_picture")),
}


@pytest.mark.parametrize("name", GEMINI)
def test_bad_answers_of_gemini(
    house: SharedHouse, given: GivenAnswers, small_photo: bytes, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    play, bad = GEMINI[name]
    given.play = play()

    async def shoot(lab: Lab) -> str:
        return await check(lab, small_photo, bad, ("slot-001", "slot-002"), lambda: given.calls)

    with caplog.at_level(logging.DEBUG, "photochanger"):
        told = house.run(shoot)
    check_told(told, caplog)


@pytest.mark.parametrize("said", ["image/jpeg", "image/webp", "image/x-nothing"])
def test_a_picture_of_another_format_than_said_is_a_picture(
    house: SharedHouse, given: GivenAnswers, small_photo: bytes, said: str
) -> None:
    """Its bytes count. What leaves is what we say that it is."""
    given.play = with_picture(pictures.png(), said)

    async def shoot(lab: Lab) -> None:
        before = given.calls
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.verdict, shot.header("content-type")) == (200, "modified", "image/jpeg")
        assert given.calls == before + 1
        await lab.rest()
        assert restarts(lab.house.root.snapshot()) == 0

    house.run(shoot)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_gemini_sends_nobody_to_another_host(
    house: SharedHouse, given: GivenAnswers, elsewhere: GivenAnswers, small_photo: bytes, status: int
) -> None:
    headers = {"Location": f"{elsewhere.base_url}/v1beta/models/x:generateContent"}
    given.play = with_bytes(b"moved", "text/plain", status, headers)

    async def shoot(lab: Lab) -> None:
        bad = Bad("rejected", cost=0)
        await check(lab, small_photo, bad, ("slot-001", "slot-002"), lambda: given.calls)

    house.run(shoot)
    assert elsewhere.calls == 0


# --- turbotext --------------------------------------------------------------------------------------------------

PRICE = 20_000
TURBOTEXT = {
    "html with 200 for a job": ("create(html)", Bad("bad_answer", cost=PRICE, possibly_billed=True)),
    "half a json for a job": ("create(half)", Bad("bad_answer", cost=PRICE, possibly_billed=True)),
    "a hundred megabytes for a job": ("create(large,100)", Bad("bad_answer", cost=PRICE, possibly_billed=True)),
    "a job without a number": ("create(no_id)", Bad("bad_answer", cost=PRICE, possibly_billed=True)),
    "a job that is elsewhere": ("create(redirect,{url})", Bad("rejected", cost=0)),
    "html instead of a picture": ("download(html)", Bad("bad_answer", cost=PRICE)),
    "half a picture": ("half_picture", Bad("bad_picture", cost=PRICE)),
    "a picture that is elsewhere": ("download(redirect,{url})", Bad("bad_answer", cost=PRICE)),
    "a picture of a hundred megabytes": ("download(large,100)", Bad("bad_answer", cost=PRICE)),
    "a picture of no bytes": ("download(empty)", Bad("bad_answer", cost=PRICE)),
    "no picture": ("no_image", Bad("no_image", "provider_no_image", cost=PRICE)),
}


@pytest.mark.parametrize("name", TURBOTEXT)
def test_bad_answers_of_turbotext(
    house: SharedHouse,
    turbotext: TurbotextSimulator,
    elsewhere: GivenAnswers,
    small_photo: bytes,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    scenario, bad = TURBOTEXT[name]

    async def shoot(lab: Lab) -> str:
        turbotext.reset()
        turbotext.default(scenario.format(url=elsewhere.base_url))
        told = await check(lab, small_photo, bad, ("slot-003", "slot-004"), lambda: len(turbotext.calls))
        assert turbotext.charged_microusd <= 2 * PRICE
        return told

    with caplog.at_level(logging.DEBUG, "photochanger"):
        told = house.run(shoot)
    check_told(told, caplog)
    assert elsewhere.calls == 0
