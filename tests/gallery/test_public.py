"""The public gallery: who sees which pictures, in which order, and what nobody learns."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from tests.gallery.conftest import Ask
from tests.gallery.given import HOUR, expire, now, put_job, put_result
from tests.lab.house import Lab


async def ids(client: httpx.AsyncClient, path: str) -> list[UUID]:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    return [UUID(item["url"].rpartition("/")[2]) for item in response.json()["data"]]


def test_the_last_ten_newest_first_and_the_rest_behind_a_cursor(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        put = [await put_result(lab, slot, at=now() - n * HOUR) for n in range(12)]
        async with lab.api(None) as client:
            path = f"/public/slots/{slot}"
            assert await ids(client, path) == put[:10]
            first = (await client.get(path, params={"limit": 5})).json()
            second = (await client.get(path, params={"limit": 5, "cursor": first["meta"]["next_cursor"]})).json()
            third = (await client.get(path, params={"limit": 5, "cursor": second["meta"]["next_cursor"]})).json()
            shown = [item["url"].rpartition("/")[2] for page in (first, second, third) for item in page["data"]]
            assert shown == [str(each) for each in put]
            assert third["meta"]["next_cursor"] is None
            for wrong in ("0", "51", "x", "-1", "9" * 30):
                response = await client.get(path, params={"limit": wrong})
                assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "limit")
            for wrong in ("x", "WyIyMDI2Il0", "é" * 32, "A" * 251):
                response = await client.get(path, params={"cursor": wrong})
                assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "cursor"), wrong

    ask(conversation)


def test_pictures_of_one_moment_are_neither_lost_nor_shown_twice(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        moment = now() - HOUR
        put = {await put_result(lab, slot, at=moment) for _ in range(7)}
        seen: list[UUID] = []
        after = ""
        async with lab.api(None) as client:
            while True:
                query = {"limit": "2"} | ({"cursor": after} if after else {})
                page = (await client.get(f"/public/slots/{slot}", params=query)).json()
                seen += [UUID(item["url"].rpartition("/")[2]) for item in page["data"]]
                after = page["meta"]["next_cursor"]
                if after is None:
                    break
        assert len(seen) == 7
        assert set(seen) == put

    ask(conversation)


def test_only_pictures_that_guests_may_see(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        shown = await put_result(lab, slot)
        for source in ("ui_test", "rerun", "canary"):
            await put_result(lab, slot, source=source)
        await put_result(lab, "slot-002")
        await put_job(lab, slot, status="failed", reason="provider_error")
        await put_job(lab, slot, status="processing")
        expired, rejected = await put_result(lab, slot), await put_result(lab, slot)
        await expire(lab, expired, timedelta())  # at exactly this moment
        async with lab.api() as client:
            assert (await client.post(f"/api/results/{rejected}/reject")).status_code == 200
            assert await ids(client, f"/public/slots/{slot}") == [shown]
            await lab.set_slot(slot, moderated=True)
            assert await ids(client, f"/public/slots/{slot}") == []
            assert (await client.post(f"/api/results/{shown}/approve")).status_code == 200
            assert await ids(client, f"/public/slots/{slot}") == [shown]

    ask(conversation)


def test_an_item_says_nothing_of_the_work(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public", name="Secret stage")
        job_id = await put_result(lab, slot)
        async with lab.api(None) as client:
            response = await client.get(f"/public/slots/{slot}")
            [item] = response.json()["data"]
            assert item.keys() == {"taken_at", "url", "preview_url", "width", "height", "expires_at"}
            assert (item["url"], item["preview_url"]) == (
                f"/public/results/{job_id}",
                f"/public/results/{job_id}/preview",
            )
            assert item["taken_at"].endswith("Z")
            for secret in ("guest-name-on-card", "Secret stage", "gemini", "local"):
                assert secret not in response.text

    ask(conversation)


def test_a_closed_gallery_looks_like_a_slot_that_is_not_there(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await put_result(lab, slot)
        async with lab.api(None) as client:
            answers = []
            for gallery, path in (
                ("off", f"/public/slots/{slot}"),
                ("off", "/public/slots/slot-that-never-was"),
                ("token", f"/public/slots/{slot}"),
                ("token", f"/public/slots/{slot}?key="),
                ("token", f"/public/slots/{slot}?key=wrong"),
                ("token", f"/public/slots/{slot}?key=%C3%A9%F0%9F%98%80"),
                ("token", f"/public/slots/{slot}?key={lab.house.seals.gallery_key(lab.house.slots.all()[0])}"),
                ("off", f"/public/slots/{slot}?key=wrong"),
                ("off", "/public/slots/%2e%2e%2f%2e%2e%2fetc"),
                ("off", "/public/slots/%00"),
                ("off", "/public/slots/%ff"),
                ("off", f"/public/slots/{'x' * 3000}"),
            ):
                await lab.set_slot(slot, gallery=gallery)
                response = await client.get(path)
                headers = {name: value for name, value in response.headers.items() if name != "date"}
                answers.append((response.status_code, response.content, headers))
            assert answers == [answers[0]] * len(answers)
            assert answers[0][0] == 404

    ask(conversation)


def test_a_key_opens_one_gallery_until_it_is_replaced(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="token")
        job_id = await put_result(lab, slot)
        async with lab.api() as admin, lab.api(None) as client:
            link = (await admin.get(f"/api/slots/{slot}/gallery-link")).json()
            assert link["url"].startswith(f"{lab.base_url}/public/slots/{slot}?key=")
            assert link["gallery"] == "token"
            assert link["qr_svg"].startswith("<?xml")
            assert await ids(client, link["url"]) == [job_id]
            response = await client.get(link["url"])
            assert response.headers["cache-control"].startswith("private, max-age=")
            await lab.set_slot(slot, gallery_generation=2)
            assert (await client.get(link["url"])).status_code == 404
            again = (await admin.get(f"/api/slots/{slot}/gallery-link")).json()
            assert await ids(client, again["url"]) == [job_id]
            await lab.set_slot(slot, gallery="public")
            assert (await admin.get(f"/api/slots/{slot}/gallery-link")).json()["url"] == (
                f"{lab.base_url}/public/slots/{slot}"
            )
            await lab.set_slot(slot, gallery="off")
            assert (await client.get(again["url"])).status_code == 404
            refused = await admin.get(f"/api/slots/{slot}/gallery-link")
            assert (refused.status_code, refused.json()["failure_reason"]) == (409, "not_possible_now")
            unknown = await admin.get("/api/slots/nothing/gallery-link")
            assert (unknown.status_code, unknown.json()["failure_reason"]) == (404, "slot_not_found")

    ask(conversation)


def test_what_a_client_has_already_is_not_sent_again(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        await put_result(lab, slot)
        async with lab.api(None) as client:
            path = f"/public/slots/{slot}"
            first = await client.get(path)
            assert first.headers["cache-control"] == "public, max-age=5"
            assert first.headers["vary"] == "Accept"
            same = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == first.headers["etag"]
            await put_result(lab, slot)
            other = await client.get(path, headers={"If-None-Match": first.headers["etag"]})
            assert other.status_code == 200
            assert other.headers["etag"] != first.headers["etag"]
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")

    ask(conversation)


@pytest.mark.parametrize(
    ("accept", "mime"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.9", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("text/html", "text/html"),
        ("nonsense", "application/json"),
    ],
)
def test_a_browser_gets_a_page(ask: Callable[[Ask], None], accept: str | None, mime: str) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        job_id = await put_result(lab, slot)
        async with lab.api(None) as client:
            client.headers.pop("accept")
            response = await client.get(f"/public/slots/{slot}", headers={"Accept": accept} if accept else {})
            assert response.status_code == 200
            assert response.headers["content-type"].partition(";")[0] == mime
            assert f"/public/results/{job_id}/preview" in response.text
            if mime == "text/html":
                assert "default-src 'none'" in response.headers["content-security-policy"]
                assert "<script" not in response.text
            else:
                json.loads(response.text)

    ask(conversation)


def test_without_the_database_it_says_so(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, gallery="public")
        pool, lab.house.db._pool = lab.house.db._pool, None
        try:
            async with lab.api(None) as client:
                response = await client.get(f"/public/slots/{slot}")
                assert (response.status_code, response.json()["failure_reason"]) == (503, "database_unavailable")
        finally:
            lab.house.db._pool = pool

    ask(conversation)
