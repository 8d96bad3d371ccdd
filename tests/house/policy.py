"""What the tests of the policy ask of a house again and again: plans, posts with headers, the bill."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import trio

from photochanger.demo.dslr import Shot
from tests.lab import http
from tests.lab.house import PASSWORD, Lab

FLASH = "gemini-3.1-flash-image"
LITE = "gemini-3.1-flash-lite-image"
LOCAL = {"provider": "local", "operation": "look", "settings": {"look": "sepia"}}


def gemini(scenario: str = "", model: str = FLASH) -> dict[str, Any]:
    """A plan for Gemini; `scenario` is what the simulator does with each of its calls."""
    prompt = f"Paint it. [sim:{scenario}]" if scenario else "Paint it."
    return {"provider": "gemini", "operation": "edit", "settings": {"prompt": prompt, "model": model}}


async def set_plans(lab: Lab, *plans: dict[str, Any], slot: str = "slot-001", **columns: Any) -> None:
    """Give a slot these plans in this order, and other columns with them."""
    await lab.set_slot(slot, **plans[0], fallbacks=list(plans[1:]), **columns)


async def post(
    lab: Lab, photo: bytes, *, slot: str = "slot-001", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send a photo with headers that the booth does not send."""
    async with http.client(timeout=60) as client:
        return await client.post(
            lab.url(slot),
            files={"fileToUpload": ("a.jpg", photo, "image/jpeg")},
            data={"password": PASSWORD},
            headers=dict(headers or {}),
        )


async def get(lab: Lab, path: str) -> httpx.Response:
    """Ask the house for something."""
    async with http.client(timeout=60) as client:
        return await client.get(lab.base_url + path)


async def shoot_at_once(lab: Lab, photos: Sequence[tuple[bytes, str]], **options: Any) -> list[Shot]:
    """Send photos to slots at the same moment; what came of them, in their order."""
    shots: dict[int, Shot] = {}

    async def one(number: int, photo: bytes, slot: str) -> None:
        shots[number] = await lab.shoot(photo, slot=slot, **options)

    async with trio.open_nursery() as nursery:
        for number, (photo, slot) in enumerate(photos):
            nursery.start_soon(one, number, photo, slot)
    return [shots[number] for number in range(len(photos))]


def reason_of(shot: Shot) -> tuple[int | None, str | None]:
    """The status and the failure reason that the booth got."""
    return shot.status, (shot.problem or {}).get("failure_reason")


async def job_of(lab: Lab, shot: Shot) -> dict[str, Any]:
    """The row of the job that answered this shot."""
    job_id = shot.header("x-job-id")
    assert job_id is not None
    return await lab.job(job_id)


async def outcomes(lab: Lab, job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Of a job's attempts the model and the outcome, in order."""
    return [(attempt["model"], attempt["outcome"]) for attempt in await lab.attempts(job["id"])]


async def booked(lab: Lab) -> int:
    """Microusd that the rows say were spent; of jobs and attempts alike."""
    attempts = int(await lab.house.db.fetchval("SELECT coalesce(sum(cost_microusd), 0) FROM attempt"))
    jobs = int(await lab.house.db.fetchval("SELECT coalesce(sum(cost_microusd), 0) FROM job"))
    assert attempts == jobs
    return attempts


async def the_bill_is_booked(lab: Lab) -> None:
    """What the provider charged is booked, to a hundredth."""
    spent, charged = await booked(lab), lab.simulator.charged_microusd
    assert charged > 0
    assert abs(spent - charged) <= charged / 100, (spent, charged)
