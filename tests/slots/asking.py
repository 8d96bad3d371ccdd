"""Questions that many tests of the routes ask."""

from typing import Any

import httpx

from tests.lab.house import Lab

LOCAL: dict[str, Any] = {"provider": "local", "operation": "look", "settings": {"look": "mono"}}


async def made(lab: Lab, **fields: Any) -> dict[str, Any]:
    """A new slot as the service shows it; without fields one of the local provider."""
    async with lab.api() as api:
        response = await api.post("/api/slots", json=LOCAL | fields)
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()
    return view


async def change(
    lab: Lab, slot_id: str, fields: Any, *, version: int | str = "*", path: str = "", method: str = "PUT"
) -> httpx.Response:
    """Ask for a change of the slot, or for something below it."""
    tag = "*" if version == "*" else f'"{version}"'
    async with lab.api() as api:
        return await api.request(method, f"/api/slots/{slot_id}{path}", json=fields, headers={"If-Match": tag})


async def shown(lab: Lab, slot_id: str, path: str = "") -> Any:
    """What is answered to a GET, which has to go well."""
    async with lab.api() as api:
        response = await api.get(f"/api/slots/{slot_id}{path}")
    assert response.status_code == 200, response.text
    return response.json()


def told(response: httpx.Response, status: int, reason: str) -> dict[str, str]:
    """The errors of a refusal, by field."""
    assert (response.status_code, response.json()["failure_reason"]) == (status, reason), response.text
    return {each["field"]: each["message"] for each in response.json().get("errors", [])}
