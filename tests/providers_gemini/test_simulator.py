"""The simulator itself: what it refuses, how it is told what to do, and that it really draws from the photo."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpcore
import msgspec
import pytest
import pyvips
import trio

from photochanger.domain.outcome import Verdict
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.gemini.simulator.picture import SIZES_3, output_size, photo_size, transform
from photochanger.providers.simulator import ScenarioError
from tests.providers_gemini.conftest import HANG_GUARD, KEY, MakeCall

MODEL = "gemini-3.1-flash-image"


async def ask(
    simulator: GeminiSimulator,
    body: Any,
    *,
    path: str = f"/v1beta/models/{MODEL}:generateContent",
    method: str = "POST",
    key: str | None = KEY,
) -> tuple[int, Any, dict[str, str]]:
    """Status, decoded JSON and headers of a request made without the driver."""
    return await send(simulator, method, path, body, key, {})


async def send(
    simulator: GeminiSimulator, method: str, path: str, body: Any, key: str | None, more: Mapping[str, str]
) -> tuple[int, Any, dict[str, str]]:
    """The same with `more` headers; bytes are sent as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = [("Host", "simulator"), ("Content-Length", str(len(content))), *more.items()]
    if key:
        headers.append(("x-goog-api-key", key))
    async with httpcore.AsyncConnectionPool() as pool:
        with trio.fail_after(HANG_GUARD):
            response = await pool.request(method, simulator.base_url + path, headers=headers, content=content)
    names = {name.decode().lower(): value.decode() for name, value in response.headers}
    return response.status, msgspec.json.decode(response.content), names


def request(jpeg: bytes, text: str = "draw", **config: Any) -> dict[str, Any]:
    data = base64.b64encode(jpeg).decode()
    parts = [{"inlineData": {"mimeType": "image/jpeg", "data": data}}, {"text": text}]
    return {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}


def picture_of(reply: dict[str, Any]) -> pyvips.Image:
    data = reply["candidates"][0]["content"]["parts"][0]["inlineData"]["data"]
    return pyvips.Image.new_from_buffer(base64.b64decode(data), "")


# --- refusing -------------------------------------------------------------------------------------------------------


def _with(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return body | more


def _part(body: dict[str, Any], **blob: Any) -> dict[str, Any]:
    inline = body["contents"][0]["parts"][0]["inlineData"] | blob
    return {"contents": [{"parts": [{"inlineData": inline}, {"text": "x"}]}]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: _with(body, aspectRatio="1:1"), "aspectRatio"),
        (lambda body: _with(body, generationConfig={"aspectRatio": "1:1"}), "aspectRatio"),
        (lambda body: _with(body, generationConfig={"imageConfig": {"imageSize": "2k"}}), "image_size"),
        (lambda body: _with(body, generationConfig={"imageConfig": {"aspectRatio": "auto"}}), "aspect_ratio"),
        (lambda body: _with(body, generationConfig={"responseModalities": ["VIDEO"]}), "response_modalities"),
        (lambda body: _with(body, generationConfig={"responseModalities": ["TEXT"]}), "modalities"),
        (lambda body: _with(body, generationConfig={"thinkingConfig": {"thinkingLevel": "max"}}), "thinking_level"),
        (lambda body: _with(body, safetySettings=[{"category": "HARM_CATEGORY_X", "threshold": "OFF"}]), "safety"),
        (
            lambda body: _with(body, safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}] * 2),
            "at most one",
        ),
        (lambda body: _with(body, contents=[]), "contents"),
        (lambda body: _with(body, contents={}), "list"),
        (lambda body: _part(body, data="QUJ"), "Base64"),
        (lambda body: _part(body, data="QU_-"), "Base64"),
        (lambda body: _part(body, data=None), "Base64"),
        (lambda body: _part(body, data=base64.b64encode(b"BM bitmap").decode()), "not valid"),
        (lambda body: _part(body, mimeType="image/png"), "not valid"),
        (lambda body: _part(body, mimeType="image/bmp"), "MIME"),
        (lambda body: _part(body, data=base64.b64encode(b"\xff\xd8\xff nothing").decode()), "process"),
        (lambda body: {"contents": [{"parts": [{"text": "x", "inlineData": {}}]}]}, "one initialized"),
        (lambda body: b"{", "Invalid JSON"),
        (lambda body: b"[]", "message"),
        (lambda body: {}, "contents"),
    ],
)
async def test_it_is_strict(simulator: GeminiSimulator, jpeg: bytes, change: Any, says: str) -> None:
    status, reply, _ = await ask(simulator, change(request(jpeg)))
    assert (status, reply["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert says in reply["error"]["message"]
    assert simulator.calls[-1].verdict.startswith("invalid: ")


@pytest.mark.parametrize(
    ("config", "more"),
    [({"imageConfig": {"imageSize": "1K"}}, {}), ({}, {"systemInstruction": {"parts": [{"text": "x"}]}})],
)
async def test_the_old_model_takes_less(simulator: GeminiSimulator, jpeg: bytes, config: Any, more: Any) -> None:
    path = "/v1beta/models/{}:generateContent"
    body = request(jpeg, "[sim:no_image]", **config) | more
    assert (await ask(simulator, body, path=path.format("gemini-2.5-flash-image")))[0] == 400
    assert (await ask(simulator, body, path=path.format(MODEL)))[0] == 200


@pytest.mark.parametrize("model", ["gemini-3-pro-image-preview", "gemini-2.5-flash-image-preview", "gpt"])
async def test_models_that_are_gone(simulator: GeminiSimulator, jpeg: bytes, model: str) -> None:
    status, reply, _ = await ask(simulator, request(jpeg), path=f"/v1beta/models/{model}:generateContent")
    assert (status, reply["error"]["status"]) == (404, "NOT_FOUND")
    assert f"models/{model} is not found" in reply["error"]["message"]


async def test_v1_does_not_know_modalities(simulator: GeminiSimulator, jpeg: bytes) -> None:
    path = f"/v1/models/{MODEL}:generateContent"
    status, reply, _ = await ask(simulator, request(jpeg, responseModalities=["IMAGE"]), path=path)
    assert (status, "responseModalities" in reply["error"]["message"]) == (400, True)


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_the_key_is_asked_for(simulator: GeminiSimulator, jpeg: bytes, key: str | None) -> None:
    status, reply, _ = await ask(simulator, request(jpeg), key=key)
    assert (status, reply["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


async def test_snake_case_is_understood_and_camel_case_answered(simulator: GeminiSimulator, jpeg: bytes) -> None:
    data = base64.b64encode(jpeg).decode()
    body = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/jpeg", "data": data}}]}],
        "generation_config": {"image_config": {"aspect_ratio": "1:1"}, "response_modalities": ["IMAGE"]},
    }
    status, reply, headers = await ask(simulator, body)
    assert status == 200
    assert headers["x-simulated"] == "gemini"
    assert set(reply) == {"candidates", "usageMetadata", "modelVersion", "responseId"}
    image = picture_of(reply)
    assert (image.width, image.height) == (1024, 1024)


async def test_other_addresses_are_not_found(simulator: GeminiSimulator) -> None:
    async with httpcore.AsyncConnectionPool() as pool:
        assert (await pool.request("GET", simulator.base_url + "/v1beta/model")).status == 404


# --- drawing --------------------------------------------------------------------------------------------------------


def test_the_drawing_is_made_of_the_photo(jpeg: bytes) -> None:
    """Left red, right blue as in the photo, ink where its dark stripe begins, and not simply the photo."""
    drawn = pyvips.Image.new_from_buffer(transform(jpeg, (1264, 848), "label"), "")
    left, right = drawn.crop(100, 100, 300, 100), drawn.crop(864, 100, 300, 100)
    assert left[0].avg() > left[2].avg() + 80
    assert right[2].avg() > right[0].avg() + 80
    plain = pyvips.Image.thumbnail_buffer(jpeg, 1264, height=848, size="both", crop="centre")
    assert (drawn - plain).abs().avg() > 10
    mirrored = pyvips.Image.new_from_buffer(jpeg, "").fliphor().jpegsave_buffer()
    other = pyvips.Image.new_from_buffer(transform(bytes(mirrored), (1264, 848), "label"), "")
    assert (drawn - other).abs().avg() > 50


def test_the_mark_is_in_the_picture(jpeg: bytes) -> None:
    drawn = pyvips.Image.new_from_buffer(transform(jpeg, (1264, 848), "label"), "")
    band = drawn.crop(10, 800, 1244, 38)
    assert band.avg() < 90
    assert band.max() > 200  # the letters
    assert drawn(632, 2)[0] > 200  # the frame
    assert drawn(632, 2)[2] < 100


def test_it_draws_without_fonts(jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fontless(*_: object, **__: object) -> None:
        raise pyvips.Error("no fonts")

    monkeypatch.setattr(pyvips.Image, "text", staticmethod(fontless))
    assert transform(jpeg, (1024, 1024), "label")


def _turned(image: pyvips.Image) -> pyvips.Image:
    """The same photo, stored lying on its side with an EXIF note to turn it."""
    image = image.rot270().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    return image


@pytest.mark.parametrize("kind", ["alpha.png", "grey.jpg", "cmyk.jpg", "deep.png", "turned.jpg", "plain.webp"])
def test_any_photo_can_be_drawn(jpeg: bytes, tmp_path: Path, kind: str) -> None:
    image = pyvips.Image.new_from_buffer(jpeg, "").copy_memory()
    path = tmp_path / kind
    made = {
        "alpha.png": lambda: image.addalpha().pngsave(str(path)),
        "grey.jpg": lambda: image.colourspace("b-w").jpegsave(str(path)),
        "cmyk.jpg": lambda: image.colourspace("cmyk").jpegsave(str(path)),
        "deep.png": lambda: image.colourspace("rgb16").pngsave(str(path)),
        "turned.jpg": lambda: _turned(image).jpegsave(str(path)),
        "plain.webp": lambda: image.webpsave(str(path)),
    }
    made[kind]()
    drawn = pyvips.Image.new_from_buffer(transform(path.read_bytes(), (896, 1152), "label", png=True), "")
    assert (drawn.width, drawn.height, drawn.bands, drawn.format) == (896, 1152, 3, "uchar")


def test_a_turned_photo_is_drawn_upright(jpeg: bytes) -> None:
    image = pyvips.Image.new_from_buffer(jpeg, "").copy_memory()
    turned = bytes(_turned(image).jpegsave_buffer(Q=95))
    assert photo_size(turned) == (96, 64)
    upright, drawn = (pyvips.Image.new_from_buffer(transform(data, (1264, 848), "x"), "") for data in (jpeg, turned))
    assert (upright - drawn).abs().avg() < 3


def test_without_a_photo_something_is_drawn() -> None:
    assert pyvips.Image.new_from_buffer(transform(None, (1024, 1024), "label"), "").deviate() > 20


@pytest.mark.parametrize(
    ("model", "ratio", "tier", "photo", "size"),
    [
        (MODEL, None, "1K", (6000, 4000), (1264, 848)),
        (MODEL, None, "1K", (4000, 6000), (848, 1264)),
        (MODEL, None, "2K", (4000, 3000), (2400, 1792)),
        (MODEL, None, "1K", (9000, 1000), (1584, 672)),
        (MODEL, None, "1K", None, (1024, 1024)),
        (MODEL, "9:16", "4K", (6000, 4000), (3072, 5504)),
        ("gemini-2.5-flash-image", None, "1K", (6000, 4000), (1248, 832)),
    ],
)
def test_output_sizes(model: str, ratio: str | None, tier: str, photo: Any, size: tuple[int, int]) -> None:
    assert output_size(model, ratio, tier, photo) == size


def test_each_ratio_is_its_own_nearest() -> None:
    for ratio, size in SIZES_3.items():
        assert output_size(MODEL, None, "1K", size) == SIZES_3[ratio]


# --- being told what to do ------------------------------------------------------------------------------------------


async def test_queue_then_default(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall) -> None:
    simulator.scenario("no_image", "error(503)")
    simulator.default("safety")
    verdicts = [(await driver.call(make_call())).verdict for _ in range(4)]
    assert verdicts == [Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.REFUSED, Verdict.REFUSED]


async def test_a_tag_in_the_prompt_comes_before_the_queue(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.scenario("safety")
    assert (await driver.call(make_call(prompt="x [sim:no_image] [sim:slow(0.01)]"))).verdict is Verdict.NO_IMAGE
    assert (await driver.call(make_call())).verdict is Verdict.REFUSED
    assert [call.scenario for call in simulator.calls] == ["no_image+slow", "safety"]


async def test_a_mix_is_the_same_for_the_same_seed(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.default("safety")
    runs = []
    for seed in (1, 1, 2):
        simulator.mix({"no_image": 0.3, "error(500)": 0.2}, seed)
        runs.append([(await driver.call(make_call())).verdict for _ in range(25)])
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {Verdict.NO_IMAGE, Verdict.OVERLOADED, Verdict.REFUSED}


@pytest.mark.parametrize(
    "text", ["no_imag", "", "slow(", "slow(x)", "ok+no_image", "error(99)", "early(400)+ok", "drafts(x)"]
)
def test_what_is_not_a_scenario(text: str) -> None:
    with pytest.raises(ScenarioError):
        GeminiSimulator().scenario(text)


async def test_an_unknown_tag_is_told(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall) -> None:
    outcome = await driver.call(make_call(prompt="[sim:no_imag]"))
    assert (outcome.verdict, outcome.message) == (Verdict.REJECTED, "simulator: no such scenario: no_imag")


async def test_control_over_http(simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall) -> None:
    where = "/_sim/scenarios"
    orders = {"queue": ["no_image"], "mix": {"error(500)": 1}, "seed": 3, "default": "safety"}
    status, state, _ = await ask(simulator, orders, path=where)
    assert (status, state) == (200, {"queue": ["no_image"], "mix": {"error(500)": 1.0}, "default": "safety"})
    assert (await driver.call(make_call())).verdict is Verdict.NO_IMAGE
    assert (await driver.call(make_call())).verdict is Verdict.OVERLOADED
    _, told, _ = await ask(simulator, b"", path="/_sim/calls", method="GET")
    assert [call["verdict"] for call in told["calls"]] == ["NO_IMAGE", "500"]
    assert told["calls"][0]["photo_size"] == [96, 64]
    status, told, _ = await ask(simulator, {"queue": ["nonsense"]}, path=where)
    assert (status, "nonsense" in told["error"]) == (400, True)
    for wrong in (b"{", {"queue": "ok"}, {"other": 1}, {"mix": {"ok": 2}}):
        assert (await ask(simulator, wrong, path=where))[0] == 400
    assert (await ask(simulator, b"", path=where, method="DELETE"))[1]["default"] == "ok"
    assert (await ask(simulator, b"", path="/_sim/calls", method="DELETE"))[1] == {"calls": []}
    assert (await ask(simulator, b"", path="/_sim/other", method="GET"))[0] == 404


async def test_the_fixed_answer_is_given_back(
    nursery: trio.Nursery, context: Any, make_call: MakeCall, tmp_path: Path
) -> None:
    answer = tmp_path / "answer.jpg"
    answer.write_bytes(bytes(range(256)) * 4000)
    simulator = GeminiSimulator(api_key=KEY, fixed_answer=answer)
    await nursery.start(simulator.run)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url)
    outcome = await driver.call(make_call())
    assert outcome.picture is not None
    assert outcome.picture.path.read_bytes() == answer.read_bytes()
    assert outcome.cost_microusd > 0
    wrong = GeminiDriver("wrong", ssl_context=context, base_url=simulator.base_url)
    assert (await wrong.call(make_call())).error_code == "API_KEY_INVALID"


async def test_a_restarted_simulator_keeps_its_port(jpeg: bytes) -> None:
    simulator = GeminiSimulator(api_key=KEY)
    addresses = set()
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(simulator.run)
            addresses.add(simulator.base_url)
            assert (await ask(simulator, request(jpeg, "[sim:no_image]")))[0] == 200
            nursery.cancel_scope.cancel()
    assert len(addresses) == 1


async def test_one_broken_connection_does_not_end_the_server(simulator: GeminiSimulator, jpeg: bytes) -> None:
    for rubbish in (b"\x16\x03\x01", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", b""):
        stream = await trio.open_tcp_stream("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))
        async with stream:
            await stream.send_all(rubbish)
    assert (await ask(simulator, request(jpeg, "[sim:no_image]")))[0] == 200


async def test_two_requests_on_one_connection(simulator: GeminiSimulator) -> None:
    async with httpcore.AsyncConnectionPool() as pool:
        for _ in range(2):
            assert (await pool.request("GET", simulator.base_url + "/_sim/calls")).status == 200
            assert simulator.connections == 1


async def test_expect_continue_is_answered(simulator: GeminiSimulator) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", int(simulator.base_url.rpartition(":")[2]))
    async with stream:
        with trio.fail_after(HANG_GUARD):
            await stream.send_all(
                b"POST /_sim/scenarios HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 100")
            await stream.send_all(b"{}")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
