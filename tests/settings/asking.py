"""Asking a house for its settings, and changing them as an administrator does."""

from typing import Any

import httpx

from tests.lab.house import Lab

URL = "/api/settings"


async def seen(lab: Lab) -> tuple[dict[str, Any], str]:
    """The settings as they are, and their ETag."""
    async with lab.api() as api:
        answer = await api.get(URL)
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.headers["etag"]


async def put(lab: Lab, body: Any, *, etag: str = "*", username: str | None = "serg") -> httpx.Response:
    """Change settings; whatever version there is, unless an ETag is given."""
    async with lab.api(username) as api:
        return await api.put(URL, json=body, headers={"If-Match": etag})


async def changed(lab: Lab, **fields: Any) -> dict[str, Any]:
    """The same, and it must go well; the settings afterwards."""
    answer = await put(lab, fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def fresh(lab: Lab) -> None:
    """Everything is left to the environment again."""
    await changed(lab, reset=list((await seen(lab))[0]["settings"]))


def errors(answer: httpx.Response) -> dict[str, str]:
    """What is wrong, by field."""
    assert (answer.status_code, answer.json()["failure_reason"]) == (422, "validation_failed"), answer.text
    return {each["field"]: each["message"] for each in answer.json()["errors"]}
