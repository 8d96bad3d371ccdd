"""The simulator itself: what it refuses, how it is told what to do, and that it really fetches and draws."""

import ssl
from typing import Any
from urllib.parse import urlencode

import httpcore
import msgspec
import pytest
import trio

from photochanger.domain.outcome import Verdict
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.simulator import ScenarioError
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.providers_turbotext.conftest import HANG_GUARD, KEY, PRICE, MakeCall, Shelf, driver_for, photo_of

FORM = "application/x-www-form-urlencoded"


async def ask(
    simulator: TurbotextSimulator,
    form: Any,
    *,
    method: str = "generate_image2image",
    key: str | None = KEY,
    content_type: str = FORM,
    path: str | None = None,
    verb: str = "POST",
) -> tuple[int, Any]:
    """Status and decoded JSON of a request made without the driver."""
    content = form if isinstance(form, bytes) else urlencode(form).encode()
    headers = [("Host", "simulator"), ("Content-Length", str(len(content))), ("Content-Type", content_type)]
    if key:
        headers.append(("Authorization", f"Bearer {key}"))
    url = simulator.site + path if path else f"{simulator.base_url}/{method}"
    async with httpcore.AsyncConnectionPool() as pool:
        with trio.fail_after(HANG_GUARD):
            response = await pool.request(verb, url, headers=headers, content=content)
    return response.status, msgspec.json.decode(response.content)


def create(url: str, **more: Any) -> dict[str, Any]:
    return {"do": "create_queue", "url": url, "content": "As a comic", **more}


@pytest.fixture
def link(shelf: Shelf, photo: PreparedPhoto) -> Any:
    with shelf.publish(photo) as url:
        yield url


# --- refusing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"content": ""}, "content: wrong value"),
        ({"content": None}, "content: required"),
        ({"url": None}, "url: required"),
        ({"url": "guest.jpg"}, "url: wrong value"),
        ({"url": "https://booth.example/guest"}, "url: wrong value"),
        ({"url": "https://booth.example/guest.webp"}, "url: wrong value"),
        ({"strength": "81"}, "strength: wrong value"),
        ({"strength": "-1"}, "strength: wrong value"),
        ({"strength": "4.5"}, "strength: wrong value"),
        ({"seed": "0"}, "seed: wrong value"),
        ({"seed": "10000000001"}, "seed: wrong value"),
        ({"scale": "0"}, "scale: wrong value"),
        ({"scale": "nan"}, "scale: wrong value"),
        ({"scale": "x"}, "scale: wrong value"),
        ({"negative_prompt": "bad " * 81}, "negative_prompt: wrong value"),
        ({"prompt": "x"}, "prompt: unknown parameter"),
        ({"face_restore": "True"}, "face_restore: unknown parameter"),
        ({"webhook": "https://booth.example/"}, "webhook: this imitation does not call back"),
        ({"do": "paint"}, "do: create_queue or get_result"),
        ({"do": None}, "do: create_queue or get_result"),
    ],
)
async def test_it_is_strict(simulator: TurbotextSimulator, link: str, change: dict[str, Any], says: str) -> None:
    form = {name: value for name, value in (create(link) | change).items() if value is not None}
    assert await ask(simulator, form) == (200, {"success": False, "error": says})
    assert simulator.charged_microusd == 0


@pytest.mark.parametrize("value", ["true", "1", "false", ""])
async def test_face_restore_is_written_as_in_python(simulator: TurbotextSimulator, link: str, value: str) -> None:
    form = {"do": "create_queue", "url": link, "url_image_target": link, "face_restore": value}
    assert (await ask(simulator, form, method="deepfake_photo"))[1]["error"] == "face_restore: wrong value"


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", ""])
async def test_forms_only(simulator: TurbotextSimulator, link: str, content_type: str) -> None:
    status, reply = await ask(simulator, create(link), content_type=content_type)
    assert (status, reply["success"]) == (415, False)


@pytest.mark.parametrize("key", [None, "another"])
async def test_the_key_is_asked_for(simulator: TurbotextSimulator, link: str, key: str | None) -> None:
    assert await ask(simulator, create(link), key=key) == (401, {"success": False, "error": "wrong api key"})


@pytest.mark.parametrize("body", [b"do", b"\xff=1", b"do=create_queue&do=create_queue", b"", b"do=%FF"])
async def test_forms_that_cannot_be_read(simulator: TurbotextSimulator, body: bytes) -> None:
    assert (await ask(simulator, body))[1]["success"] is False


@pytest.mark.parametrize("method", ["generate_text", "", "../x"])
async def test_other_methods_are_not_there(simulator: TurbotextSimulator, method: str) -> None:
    async with httpcore.AsyncConnectionPool() as pool:
        for verb, path in (("POST", f"/api_ai/{method}"), ("GET", "/api_ai/mix_images"), ("GET", "/image/x.png")):
            assert (await pool.request(verb, simulator.site + path)).status == 404


async def test_a_queue_belongs_to_its_method(simulator: TurbotextSimulator, link: str) -> None:
    _, made = await ask(simulator, create(link))
    asked = {"do": "get_result", "queueid": made["queueid"]}
    wrong = {"success": False, "error": "queueid: no such queue"}
    assert (await ask(simulator, asked, method="mix_images"))[1] == wrong
    assert (await ask(simulator, asked | {"queueid": 1}))[1] == wrong
    assert (await ask(simulator, {"do": "get_result"}))[1] == wrong
    assert (await ask(simulator, asked))[1]["success"] is True


# --- fetching and drawing -------------------------------------------------------------------------------------------


async def test_it_fetches_what_it_works_on(simulator: TurbotextSimulator, shelf: Shelf, link: str) -> None:
    _, made = await ask(simulator, create(link))
    assert made == {"success": True, "queueid": simulator.calls[0].queueid}
    assert [method for method, _ in shelf.asked] == ["GET"]
    assert simulator.calls[0].photo_bytes > 500


@pytest.mark.parametrize("content", [b"GIF89a", b"\xff\xd8\xff no picture"])
async def test_a_photo_that_is_none_fails(
    nursery: trio.Nursery, shelf: Shelf, photo: PreparedPhoto, content: bytes
) -> None:
    photo.path.write_bytes(content)
    simulator = TurbotextSimulator()
    await nursery.start(simulator.run)
    with shelf.publish(photo_of(photo.path)) as url:
        _, reply = await ask(simulator, create(url))
        if reply["success"]:
            _, reply = await ask(simulator, {"do": "get_result", "queueid": reply["queueid"]})
    assert reply["success"] is False
    assert "the picture" in reply["error"]


async def test_the_reply_at_the_end(simulator: TurbotextSimulator, link: str) -> None:
    simulator.scenario("reconnect(1)", "reconnect(1,false)+relative", "absolute", "stray")
    replies = []
    for polls in (2, 2, 1):
        _, made = await ask(simulator, create(link))
        replies.append(
            [(await ask(simulator, {"do": "get_result", "queueid": made["queueid"]}))[1] for _ in range(polls)]
        )
    (first, top), (second, relative), (absolute,) = replies
    assert first == {"action": "reconnect"}
    assert second == {"success": False, "error": "", "action": "reconnect"}
    assert top["uploaded_image"].startswith(f"{simulator.site}/download.php?f=")
    assert "image" not in top["data"]
    assert "uploaded_image" not in relative
    assert relative["data"]["image"][0].startswith("image/")
    assert absolute["data"]["face_restore"] == "False"
    _, made = await ask(simulator, create(link))
    with pytest.raises(msgspec.DecodeError):
        await ask(simulator, {"do": "get_result", "queueid": made["queueid"]})


# --- telling it what to do ------------------------------------------------------------------------------------------


async def test_a_mix_is_the_same_for_the_same_seed(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    simulator = TurbotextSimulator(api_key=KEY, fixed_answer=b"picture")
    await nursery.start(simulator.run)
    driver = driver_for(simulator, context)
    simulator.default("forbidden")
    runs = []
    for seed in (1, 1, 2):
        simulator.mix({"failed": 0.3, "create(400)": 0.2}, seed)
        runs.append([(await driver.call(make_call())).verdict for _ in range(20)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {Verdict.NO_IMAGE, Verdict.REJECTED, Verdict.REFUSED}


async def test_the_bill(simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall) -> None:
    """Every job that came into being costs, also where its answer was lost; what was refused does not."""
    simulator.scenario("ok", "failed", "create(close)", "create(502)", "create(html)")
    for _ in range(5):
        await driver.call(make_call())
    assert [call.charged_microusd for call in simulator.calls] == [PRICE, PRICE, PRICE, 0, PRICE]
    assert simulator.charged_microusd == 4 * PRICE
    simulator.reset()
    assert simulator.charged_microusd == 0


@pytest.mark.parametrize(
    "text",
    [
        "no_such",
        "ok+nested",
        "create",
        "create(200)",
        "create(600)",
        "create(nothing)",
        "poll(once)",
        "download(no_id)",
        "create(502,x)",
        "create(slow,x)",
        "create(html,1,2)",
        "reconnect(x)",
        "reconnect(1,maybe)",
        "other_host",
        "slow(x)",
    ],
)
def test_what_is_not_a_scenario(text: str) -> None:
    with pytest.raises(ScenarioError):
        TurbotextSimulator().scenario(text)


async def test_a_tag_in_the_prompt_goes_first(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall
) -> None:
    simulator.default("failed")
    assert (await driver.call(make_call(content="A comic [sim:ok]"))).verdict is Verdict.PICTURE
    assert (await driver.call(make_call(content="A comic"))).verdict is Verdict.NO_IMAGE


async def test_control_over_http(simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall) -> None:
    orders = msgspec.json.encode({"queue": ["failed"], "default": "forbidden"})
    state = {"queue": ["failed"], "mix": {}, "default": "forbidden"}
    assert await ask(simulator, orders, path="/_sim/scenarios") == (200, state)
    verdicts = [(await driver.call(make_call())).verdict for _ in range(2)]
    assert verdicts == [Verdict.NO_IMAGE, Verdict.REFUSED]
    _, told = await ask(simulator, b"", path="/_sim/calls", verb="GET")
    assert [(call["verdict"], call["method"]) for call in told["calls"]] == [
        ("failed", "generate_image2image"),
        ("forbidden", "generate_image2image"),
    ]


async def test_the_allowance_counts_down(nursery: trio.Nursery, link: str) -> None:
    simulator = TurbotextSimulator(allowance=1)
    await nursery.start(simulator.run)
    _, made = await ask(simulator, create(link))
    _, done = await ask(simulator, {"do": "get_result", "queueid": made["queueid"]})
    assert done["limits"] == {"foto_limit": 0, "text_limit": 123}
    assert await ask(simulator, create(link)) == (200, {"success": False, "error": "the photo limit is used up"})
    assert simulator.allowance == 0


async def test_a_job_takes_its_time(nursery: trio.Nursery, link: str) -> None:
    simulator = TurbotextSimulator(seconds=3600)
    await nursery.start(simulator.run)
    _, made = await ask(simulator, create(link))
    for _ in range(3):
        _, reply = await ask(simulator, {"do": "get_result", "queueid": made["queueid"]})
        assert reply == {"action": "reconnect"}


async def test_a_restarted_simulator_keeps_its_port_and_its_queue(link: str) -> None:
    simulator = TurbotextSimulator(api_key=KEY)
    addresses, queueid = set(), None
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(simulator.run)
            addresses.add(simulator.base_url)
            if queueid is None:
                queueid = (await ask(simulator, create(link)))[1]["queueid"]
            else:
                assert (await ask(simulator, {"do": "get_result", "queueid": queueid}))[1]["success"] is True
            nursery.cancel_scope.cancel()
    assert len(addresses) == 1
