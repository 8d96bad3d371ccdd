"""A photo in, the processed photo out, and what is left of it afterwards."""

import hashlib
from pathlib import Path

import pytest
import trio

from photochanger.media.vips import Image
from tests.house.shared import without_hedges
from tests.lab import http
from tests.lab.house import PASSWORD, Lab


def size_of(data: bytes) -> tuple[int, int]:
    image = Image.new_from_buffer(data, "")
    return image.width, image.height


async def test_the_booth_gets_a_picture_made_from_its_photo(lab: Lab, small_photo: bytes) -> None:
    shot = await lab.shoot(small_photo)
    assert (shot.verdict, shot.status) == ("modified", 200)
    assert shot.header("content-type") == "image/jpeg"
    assert shot.header("content-length") == str(len(shot.body))
    assert shot.header("transfer-encoding") is None
    assert shot.header("cache-control") == "no-store"
    assert shot.header("x-photochanger-result") == "ai"
    job_id = shot.header("x-job-id")
    assert shot.header("link") == f'</public/results/{job_id}>; rel="alternate"'
    assert size_of(shot.body) == (1200, 896)  # Gemini's own size for 4:3
    await lab.rest()

    job = await lab.job(job_id)
    assert (job["status"], job["failure_reason"], job["reply_kind"], job["reply_status"]) == ("done", None, "ai", 200)
    assert job["request_sha256"] == hashlib.sha256(small_photo).digest()
    assert job["request_bytes"] == len(small_photo)
    assert job["photo_name"] == "IMG_0003.JPG"
    assert job["client_fields"]["version"] == "3.30.2"
    assert "password" not in job["client_fields"]
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] <= job["deadline"]
    [attempt] = await lab.attempts(job["id"])
    assert (attempt["provider"], attempt["model"], attempt["outcome"]) == (
        "gemini",
        "gemini-3.1-flash-image",
        "picture",
    )
    assert attempt["finish_reason"] == "STOP"
    assert attempt["response_id"]
    assert attempt["tokens"]["total"] > 0
    assert job["cost_microusd"] == attempt["cost_microusd"] > 60_000
    [call] = lab.simulator.calls
    assert call.verdict == "ok"

    results = [path for path in (lab.var / "media" / "results").rglob("*") if path.is_file()]
    assert {path.suffix for path in results} == {".jpg", ".webp"}
    preview = next(path for path in results if path.suffix == ".webp")
    assert max(size_of(preview.read_bytes())) == 512


async def test_a_client_that_asks_for_json_gets_a_description(lab: Lab, small_photo: bytes) -> None:
    async with http.client() as client:
        response = await client.post(
            lab.url(),
            files={"fileToUpload": ("a.jpg", small_photo, "image/jpeg")},
            data={"password": PASSWORD},
            headers={"Accept": "application/json"},
        )
    body = response.json()
    assert response.status_code == 200
    assert response.headers["x-job-id"] == body["job_id"]
    assert body["result"] == "ai"
    assert body["url"] == f"/public/results/{body['job_id']}"
    await lab.rest()


async def test_png_is_answered_only_where_the_slot_allows_it(lab: Lab, small_photo: bytes) -> None:
    lab.simulator.default("ok_png")
    assert (await lab.shoot(small_photo)).header("content-type") == "image/jpeg"
    await lab.set_slot(allow_png=True)
    assert (await lab.shoot(small_photo)).header("content-type") == "image/png"
    await lab.rest()


async def test_fifteen_slots_at_once(lab: Lab, small_photo: bytes) -> None:
    await without_hedges(lab)
    shots = {}

    async def one(slot: str) -> None:
        shots[slot] = await lab.shoot(small_photo, slot=slot, timeout=60)

    async with trio.open_nursery() as nursery:
        for number in range(1, 16):
            nursery.start_soon(one, f"slot-{number:03d}")
    assert {shot.verdict for shot in shots.values()} == {"modified"}
    assert len(lab.simulator.calls) == 15
    await lab.rest()


@pytest.mark.parametrize("scenario", ["no_image", "error(500)", "error(503)", "html(502)", "close"])
async def test_what_a_retry_can_help_is_tried_again(lab: Lab, small_photo: bytes, scenario: str) -> None:
    lab.simulator.scenario(scenario)
    shot = await lab.shoot(small_photo)
    assert shot.verdict == "modified"
    await lab.rest()
    job = await lab.job(shot.header("x-job-id"))
    assert (job["status"], job["retries"]) == ("done", 1)
    first, second = await lab.attempts(job["id"])
    assert first["outcome"] != "picture"
    assert second["outcome"] == "picture"
    assert job["cost_microusd"] == first["cost_microusd"] + second["cost_microusd"]


async def test_a_local_look_needs_no_provider(lab: Lab, small_photo: bytes) -> None:
    await lab.set_slot(provider="local", operation="look", settings={"look": "sepia"})
    shot = await lab.shoot(small_photo)
    assert (shot.verdict, shot.header("x-photochanger-result")) == ("modified", "local")
    assert not lab.simulator.calls
    await lab.rest()


async def test_the_spool_file_holds_what_was_sent(lab: Lab, small_photo: bytes, tmp_path: Path) -> None:
    lab.simulator.scenario("slow(0.3)")
    path = tmp_path / "sent.jpg"
    path.write_bytes(small_photo)
    assert (await lab.shoot(path)).verdict == "modified"
    await lab.rest()


async def test_a_slot_that_is_set_up_wrongly_says_so_and_pays_nothing(lab: Lab, small_photo: bytes) -> None:
    await lab.set_slot(settings={"prompt": "", "model": "gemini-3.1-flash-image"})
    shot = await lab.shoot(small_photo)
    assert (shot.status, (shot.problem or {}).get("failure_reason")) == (502, "provider_error")
    assert not lab.simulator.calls
    await lab.rest()
    assert (await lab.job())["status"] == "failed"
    assert await lab.count("attempt") == 0
