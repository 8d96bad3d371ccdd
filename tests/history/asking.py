"""What the tests of jobs ask of a house again and again."""

from typing import Any

import httpx

from photochanger.demo.dslr import Shot
from tests.lab.house import ADMIN, Lab
from tests.lab.waiting import until


async def ask(lab: Lab, path: str, who: str | None = ADMIN, **query: Any) -> httpx.Response:
    """GET as this account; None = as a stranger."""
    async with lab.api(who) as client:
        return await client.get(path, params=query)


async def tell(lab: Lab, path: str, who: str | None = ADMIN, **options: Any) -> httpx.Response:
    """POST as this account."""
    async with lab.api(who) as client:
        return await client.post(path, **options)


def refused(response: httpx.Response) -> tuple[int, str]:
    """The status and the reason of a problem."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["failure_reason"]


def job_id_of(shot: Shot) -> str:
    """The job that answered this shot."""
    found = shot.header("x-job-id")
    assert found is not None
    return found


async def finished(lab: Lab, photo: bytes, **options: Any) -> str:
    """The id of a job that is over."""
    shot = await lab.shoot(photo, **options)
    await lab.rest()
    return job_id_of(shot)


async def at_work(lab: Lab, calls: int = 1) -> str:
    """The id of the newest job, once the provider has been asked `calls` times."""
    await until(lambda: len(lab.simulator.calls) >= calls)
    return str((await lab.job())["id"])
