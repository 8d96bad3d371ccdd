"""`/api/templates` asked over HTTP: taken in whole or not at all, shown, bound, and never removed while in use."""

from typing import Any
from uuid import uuid4

import pytest
import trio

from photochanger.slots.library import GRACE
from tests.house.shared import SharedHouse
from tests.lab import pictures
from tests.lab.house import READER, Lab
from tests.media.reading import decoded
from tests.slots.asking import change, made, shown, told
from tests.web.client import Client

STYLE = pictures.photo(200, 150, seed=9)


async def add(lab: Lab, picture: bytes = STYLE, name: str = "style.jpg") -> str:
    """A new template's id."""
    async with lab.api() as api:
        response = await api.post("/api/templates", files={"file": (name, picture)})
    assert response.status_code == 201, response.text
    template_id: str = response.json()["id"]
    assert response.headers["location"] == f"/api/templates/{template_id}"
    return template_id


def files(lab: Lab) -> list[str]:
    return sorted(path.name for path in (lab.var / "media" / "templates").iterdir())


def test_a_picture_is_kept_shown_and_previewed(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            form = {"name": "<b>Стиль</b>"}
            response = await api.post(
                "/api/templates", files={"file": ("a.jpg", pictures.with_all_metadata(STYLE))}, data=form
            )
            view = response.json()
            assert (response.status_code, view["name"], view["mime"]) == (201, "<b>Стиль</b>", "image/jpeg")
            assert (view["width"], view["height"], view["used_by"]) == (200, 150, [])
            assert (await api.get(f"/api/templates/{view['id']}")).json() == view
            assert view in (await api.get("/api/templates")).json()["data"]
            picture = await api.get(view["picture_url"])
            assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
            assert b"Exif" not in picture.content
            assert len(picture.content) == view["bytes"]
            again = await api.get(view["picture_url"], headers={"If-None-Match": picture.headers["etag"]})
            assert again.status_code == 304
            for _ in range(2):  # made, then found
                preview = await api.get(view["preview_url"])
                assert (preview.status_code, preview.headers["content-type"]) == (200, "image/webp")
                assert preview.headers["x-content-type-options"] == "nosniff"
                assert decoded(preview.content).width == 200
        assert lab.temp_files() == []

    house.run(ask)


REFUSED: dict[str, tuple[Any, int, str]] = {
    "a script": ({"file": ("a.jpg", b"#!/bin/sh\nrm -rf /")}, 415, "unsupported_media_type"),
    "an SVG": ({"file": ("a.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"/>')}, 415, "unsupported_media_type"),
    "half a picture": ({"file": ("a.jpg", STYLE[:2000])}, 422, "undecodable_image"),
    "nothing": ({"file": ("a.jpg", b"")}, 422, "undecodable_image"),
    "another field": ({"picture": ("a.jpg", STYLE)}, 400, "invalid_request"),
    "two": ([("file", ("a.jpg", STYLE)), ("file", ("b.jpg", STYLE))], 400, "invalid_request"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_template(house: SharedHouse, case: str) -> None:
    given, status, reason = REFUSED[case]

    async def ask(lab: Lab) -> None:
        before = await lab.count("template_media"), files(lab)
        async with lab.api() as api:
            told(await api.post("/api/templates", files=given), status, reason)
        assert (await lab.count("template_media"), files(lab)) == before
        assert lab.temp_files() == []

    house.run(ask)


def test_what_is_too_large_is_refused_before_it_came(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        client = Client(await trio.open_tcp_stream("127.0.0.1", lab.house.server.port))
        await client.send(upload_head(lab, 60_000_000) + b"the first bytes")
        answer = await client.answer()
        assert (answer.status, answer.json["failure_reason"]) == (413, "payload_too_large")
        await client.stream.aclose()
        await lab.rest()

    house.run(ask)


def upload_head(lab: Lab, length: int) -> bytes:
    """The head of an upload whose body has `length` bytes."""
    headers = {"Host": "x", "Content-Length": str(length), "Content-Type": "multipart/form-data; boundary=x"}
    lines = [f"{name}: {value}" for name, value in (headers | lab.bearer()).items()]
    return "\r\n".join(["POST /api/templates HTTP/1.1", *lines, "", ""]).encode()


def test_an_upload_that_is_cut_short_leaves_nothing(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        before = await lab.count("template_media"), files(lab)
        picture = pictures.photo(1600, 1200)
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        body = head + picture + b"\r\n--x--\r\n"
        for share in (0, len(head), len(body) // 2, len(body) - 3):
            stream = await trio.open_tcp_stream("127.0.0.1", lab.house.server.port)
            await stream.send_all(upload_head(lab, len(body)))
            await stream.send_all(body[:share])
            await trio.testing.wait_all_tasks_blocked(0.05)
            await stream.aclose()
        await lab.rest()
        assert (await lab.count("template_media"), files(lab)) == before

    house.run(ask)


def test_a_template_is_bound_and_unbound_by_version(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id, template = (await made(lab))["id"], await add(lab)
        binding = {"template_id": template, "role": "style"}
        told(await change(lab, slot_id, binding, version=9, path="/templates/0"), 412, "version_conflict")
        response = await change(lab, slot_id, binding, version=1, path="/templates/0")
        assert (response.status_code, response.headers["etag"]) == (200, '"2"')
        assert response.json()["templates"] == [binding | {"position": 0}]
        async with lab.api() as api:
            used = (await api.get(f"/api/templates/{template}")).json()["used_by"]
        assert used == [{"slot_id": slot_id, "position": 0, "role": "style", "archived": False}]
        for body, status in (
            (binding | {"role": "Style"}, 422), (binding | {"role": "style\n"}, 422),
            (binding | {"template_id": str(uuid4())}, 404), (binding | {"template_id": "x"}, 422),
            (binding | {"position": 3}, 422), ({}, 422),
        ):  # fmt: skip
            response = await change(lab, slot_id, body, path="/templates/1")
            assert response.status_code == status, (body, response.text)
        for place, status in (("20", 422), ("-1", 404), ("x", 404), ("9" * 30, 404), ("٣", 404)):
            response = await change(lab, slot_id, binding, path=f"/templates/{place}")
            assert response.status_code == status, place
        response = await change(lab, slot_id, None, path="/templates/1", method="DELETE")
        told(response, 404, "not_found")
        response = await change(lab, slot_id, None, version=2, path="/templates/0", method="DELETE")
        assert (response.status_code, response.json()["templates"], response.json()["version"]) == (200, [], 3)

    house.run(ask)


def test_method_and_template_change_together_or_not_at_all(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id, template = (await made(lab, auth="signature"))["id"], await add(lab)
        method = {"provider": "turbotext", "operation": "mix_images", "settings": {"content": "A film still"}}
        assert "templates" in told(await change(lab, slot_id, method), 422, "validation_failed")
        templates = {"templates": [{"template_id": template, "role": "style"}]}
        both = await change(lab, slot_id, method | templates, version=1)
        assert (both.status_code, both.json()["version"], both.json()["problems"]) == (200, 2, [])
        needed = await change(lab, slot_id, None, path="/templates/0", method="DELETE")
        assert "templates" in told(needed, 422, "validation_failed")
        other_role = {"template_id": template, "role": "body"}
        assert "templates" in told(
            await change(lab, slot_id, other_role, path="/templates/0"), 422, "validation_failed"
        )
        assert (await change(lab, slot_id, {"templates": []})).status_code == 422
        back = {"provider": "local", "operation": "look", "settings": {}, "templates": []}
        assert (await change(lab, slot_id, back, version=2)).json()["version"] == 3

    house.run(ask)


def test_templates_of_a_document_keep_their_places(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id, template = (await made(lab))["id"], await add(lab)

        def bound(*places: int | None) -> dict[str, Any]:
            one = {"template_id": template, "role": "style"}
            return {"templates": [one | ({} if place is None else {"position": place}) for place in places]}

        response = await change(lab, slot_id, bound(None, 5, None, 2))
        assert [each["position"] for each in response.json()["templates"]] == [0, 2, 5, 6]
        same = await change(lab, slot_id, {"templates": response.json()["templates"]})
        assert same.json()["version"] == response.json()["version"]
        wrong: Any
        for wrong in (bound(1, 1), bound(20), bound(-1), bound(19, None), bound(*[None] * 21), {"templates": {}}):
            told(await change(lab, slot_id, wrong), 422, "validation_failed")

    house.run(ask)


def test_one_that_is_in_use_is_not_deleted(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id, archived, template = (await made(lab))["id"], (await made(lab))["id"], await add(lab)
        for each in (slot_id, archived):
            binding = {"template_id": template, "role": "style"}
            assert (await change(lab, each, binding, path="/templates/0")).status_code == 200
        assert (await change(lab, archived, None, method="DELETE")).status_code == 204
        async with lab.api() as api:
            response = await api.delete(f"/api/templates/{template}")
            told(response, 409, "template_in_use")
            assert response.json()["detail"] == f"It belongs to {slot_id}, {archived} (archived)."
            assert (await api.get(f"/api/templates/{template}/picture")).status_code == 200
        assert [name for name in files(lab) if name.startswith(template)] == [f"{template}.jpg"]

    house.run(ask)


def test_a_deleted_one_keeps_its_file_while_photos_may_be_at_work_with_it(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        template, other = await add(lab), await add(lab)
        async with lab.api() as api:
            assert (await api.get(f"/api/templates/{template}/preview")).status_code == 200
            assert (await api.delete(f"/api/templates/{template}")).status_code == 204
            for path in ("", "/picture", "/preview"):
                told(await api.get(f"/api/templates/{template}{path}"), 404, "not_found")
            told(await api.delete(f"/api/templates/{template}"), 404, "not_found")
        library = lab.house.templates
        assert await library.sweep() == 0
        assert f"{template}.jpg" in files(lab)
        longest = 60 + 600  # seconds: the longest window, and late work after it
        assert longest < GRACE
        await lab.house.media.mark_template(f"templates/{other}.jpg")  # as by a deletion that was rolled back
        assert await library.sweep(grace=0) >= 1
        assert not [name for name in files(lab) if name.startswith(template)]
        assert [name for name in files(lab) if name.startswith(other)] == [f"{other}.jpg"]

    house.run(ask)


def test_binding_and_deleting_at_once_never_leave_a_slot_without_its_template(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        slot_id = (await made(lab))["id"]
        ends = set()
        for _ in range(12):
            template = await add(lab)
            answers: dict[str, int] = {}

            async def bind(template: str = template, answers: dict[str, int] = answers) -> None:
                binding = {"template_id": template, "role": "style"}
                answers["bind"] = (await change(lab, slot_id, binding, path="/templates/0")).status_code

            async def delete(template: str = template, answers: dict[str, int] = answers) -> None:
                async with lab.api() as api:
                    answers["delete"] = (await api.delete(f"/api/templates/{template}")).status_code

            async with trio.open_nursery() as nursery:
                nursery.start_soon(bind)
                nursery.start_soon(delete)
            ends.add((answers["bind"], answers["delete"]))
            if answers["bind"] == 200:
                assert (await shown(lab, slot_id))["templates"][0]["template_id"] == template
        assert ends <= {(200, 409), (404, 204), (422, 204)}, ends
        orphans = "SELECT count(*) FROM slot_template WHERE template_id NOT IN (SELECT id FROM template_media)"
        assert await lab.house.db.fetchval(orphans) == 0

    house.run(ask)


@pytest.mark.parametrize(
    "template_id", ["x", "..%2F..%2Fetc%2Fpasswd", "00000000-0000-0000-0000-00000000000g", "%00", "a" * 300]
)
def test_ids_that_are_none(house: SharedHouse, template_id: str) -> None:
    async def ask(lab: Lab) -> None:
        async with lab.api() as api:
            for path in ("", "/picture", "/preview"):
                assert (await api.get(f"/api/templates/{template_id}{path}")).status_code == 404
            assert (await api.delete(f"/api/templates/{template_id}")).status_code == 404

    house.run(ask)


def test_only_those_who_may(house: SharedHouse) -> None:
    async def ask(lab: Lab) -> None:
        template = await add(lab)
        for who, status in ((None, 401), (READER, 403)):
            async with lab.api(who) as api:
                for path in ("", f"/{template}", f"/{template}/picture", f"/{template}/preview"):
                    assert (await api.get(f"/api/templates{path}")).status_code == status
                assert (await api.post("/api/templates", files={"file": ("a.jpg", STYLE)})).status_code == status

    house.run(ask)
