"""Guest links, their QR codes, and shares: who can make one, what it opens, when it ends."""

import hmac
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import segno
import trio

from photochanger.gallery.addresses import Addresses
from photochanger.gallery.seals import Seals
from tests.gallery.conftest import Ask
from tests.gallery.given import now, picture, put_job, put_result, quiet
from tests.lab.house import READER, Lab, running_house

OTHER = Seals(b"another house's secret, 32 bytes")


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["failure_reason"]


# --- guest links ------------------------------------------------------------------------------------------------


def test_a_token_is_short_and_always_the_same() -> None:
    seals, again = Seals(b"k" * 32), Seals(b"k" * 32)
    job_id = uuid4()
    token = seals.guest(job_id)
    assert token == again.guest(job_id)
    assert len(token) == 32
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert seals.job_of(token) == job_id
    assert OTHER.job_of(token) is None
    assert seals.job_of(seals.share(2_000_000_000)) is None  # a token of one kind is none of another
    assert seals.shared_until(token) is None


def test_no_bit_of_a_token_can_be_changed() -> None:
    seals = Seals(b"k" * 32)
    raw = urlsafe_b64decode(seals.guest(uuid4()))
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert seals.job_of(urlsafe_b64encode(changed).decode()) is None


@pytest.mark.parametrize("token", ["", "x", "=" * 32, "A" * 31, "A" * 33, "é" * 32, "A" * 31 + "\n", "A" * 32 + "\n"])
def test_what_is_no_token_opens_nothing(token: str) -> None:
    assert Seals(b"k" * 32).job_of(token) is None
    assert Seals(b"k" * 32).shared_until(token) is None


def test_macs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bool] = []
    compare = hmac.compare_digest

    def noted(one: bytes, other: bytes) -> bool:
        compared.append(compare(one, other))
        return compared[-1]

    monkeypatch.setattr(hmac, "compare_digest", noted)
    seals = Seals(b"k" * 32)
    assert seals.job_of(seals.guest(UUID(int=7))) == UUID(int=7)
    assert seals.job_of("A" * 32) is None
    assert seals.shared_until("A" * 32) is None
    assert compared == [True, False, False]


def test_a_guest_gets_the_picture_or_its_description(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        async with lab.api() as admin, lab.api(None) as client:
            link = (await admin.get(f"/api/jobs/{job_id}/guest-link")).json()
            assert link["url"] == f"{lab.base_url}/r/{lab.house.seals.guest(job_id)}"
            browser = "text/html,application/xhtml+xml,image/avif,image/webp,*/*;q=0.8"
            for accept in ("*/*", browser, "image/*", "image/jpeg, application/json;q=0.5"):
                response = await client.get(link["url"], headers={"Accept": accept})
                assert (response.status_code, response.content) == (200, picture()), accept
                assert response.headers["content-type"] == "image/jpeg"
                assert response.headers["vary"] == "Accept"
            for accept in ("application/json", "application/json, */*;q=0.1"):
                response = await client.get(link["url"], headers={"Accept": accept})
                view = response.json()
                assert view.keys() == {"taken_at", "url", "preview_url", "mime", "width", "height", "expires_at"}
                assert view["url"] == f"/public/results/{job_id}"
                assert response.headers["vary"] == "Accept"
            saved = await client.get(link["url"], params={"download": 1}, headers={"Accept": "application/json"})
            assert saved.content == picture()
            assert saved.headers["content-disposition"].startswith("attachment; filename=20")
            ranged = await client.get(link["url"], headers={"Range": "bytes=0-9"})
            assert (ranged.status_code, ranged.content) == (206, picture()[:10])

    ask(conversation)


def test_a_link_is_there_before_its_picture(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        at_work = await put_job(lab, slot, status="processing")
        failed = await put_job(lab, slot, status="failed", reason="provider_error")
        unwritten = uuid4()  # its row is on the way
        async with lab.api() as admin, lab.api(None) as client:
            assert (await admin.get(f"/api/jobs/{at_work}/guest-link")).status_code == 200
            assert reason(await admin.get(f"/api/jobs/{unwritten}/guest-link")) == (404, "not_found")
            for job_id in (at_work, unwritten):
                response = await client.get(f"/r/{lab.house.seals.guest(job_id)}")
                assert reason(response) == (404, "not_found")
                assert response.headers["retry-after"] == "5"
                code = await client.get(f"/r/{lab.house.seals.guest(job_id)}/qr.svg")
                assert code.status_code == 200
            for token in (lab.house.seals.guest(failed), "A" * 32, OTHER.guest(at_work)):
                response = await client.get(f"/r/{token}")
                assert reason(response) == (404, "not_found")
                assert "retry-after" not in response.headers

    ask(conversation)


def test_a_moderated_picture_waits_for_its_approval(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, moderated=True)
        job_id = await put_result(lab, slot)
        async with lab.api() as client:
            path = f"/r/{lab.house.seals.guest(job_id)}"
            pending = await client.get(path)
            assert reason(pending) == (404, "not_found")
            await client.post(f"/api/results/{job_id}/approve")
            assert (await client.get(path)).status_code == 200
            await client.post(f"/api/results/{job_id}/reject")
            rejected = await client.get(path)
            assert (rejected.status_code, rejected.content) == (404, pending.content)  # the decision is nobody's matter
            await lab.house.db.execute("UPDATE slot SET archived_at = now() WHERE id = $1", slot)
            await client.post(f"/api/results/{job_id}/undecide")
            assert (await client.get(path)).status_code == 404

    ask(conversation)


def test_tokens_of_guests_are_in_no_log(ask: Callable[[Ask], None], caplog: pytest.LogCaptureFixture) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        async with lab.api() as client:
            token = lab.house.seals.guest(job_id)
            with caplog.at_level("INFO", "photochanger"):
                assert (await client.get(f"/r/{token}")).status_code == 200
                assert (await client.get(f"/r/{token}/qr.png")).status_code == 200
                shared = (await client.post("/api/share")).json()["url"]
                assert (await client.get(shared)).status_code == 200
                await quiet(lab)
            assert "/r/…" in caplog.text
            assert "gallery_share" in caplog.text
            assert token not in caplog.text
            assert shared.rpartition("/")[2] not in caplog.text

    ask(conversation)


# --- QR codes ---------------------------------------------------------------------------------------------------


def test_codes_are_pictures_that_only_real_links_have(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        token = lab.house.seals.guest(uuid4())
        async with lab.api(None) as client:
            svg = await client.get(f"/r/{token}/qr.svg")
            assert svg.headers["content-type"].startswith("image/svg+xml")
            assert "<svg" in svg.text
            assert "<script" not in svg.text
            png = await client.get(f"/r/{token}/qr.png")
            assert png.headers["content-type"] == "image/png"
            assert png.content.startswith(b"\x89PNG")
            for kind in ("svg", "png"):
                assert reason(await client.get(f"/r/{'A' * 32}/qr.{kind}")) == (404, "not_found")
                assert reason(await client.get(f"/r/..%2f..%2fetc/qr.{kind}")) == (404, "not_found")

    ask(conversation)


def test_a_host_of_the_clients_own_poisons_nothing(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        token = lab.house.seals.guest(await put_result(lab, slot))
        async with lab.api() as client:
            own = await client.get(f"/r/{token}/qr.svg")
            evil = await client.get(f"/r/{token}/qr.svg", headers={"Host": "evil.example"})
            assert evil.content != own.content
            assert own.headers["cache-control"] == evil.headers["cache-control"] == "no-store"
            assert (await client.get(f"/r/{token}/qr.svg")).content == own.content
            for host in (
                "a b",
                "evil.example/path",
                "user@evil.example",
                "evil.example:80:80",
                "a\tb",
                "<b>",
                "[::1",
                "",
            ):
                response = await client.get(f"/r/{token}/qr.svg", headers={"Host": host})
                assert response.status_code == 400, host

    ask(conversation)


async def test_a_fixed_address_counts_whatever_the_client_says(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url, public_base_url="https://photos.example.org/booth") as lab:
        job_id = await put_job(lab, status="processing")
        async with lab.api() as client:
            client.headers["Host"] = "evil.example"
            link = (await client.get(f"/api/jobs/{job_id}/guest-link")).json()["url"]
            assert link == f"https://photos.example.org/booth/r/{lab.house.seals.guest(job_id)}"
            shared = (await client.post("/api/share")).json()["url"]
            assert shared.startswith("https://photos.example.org/booth/public/share/")
            first = await client.get(f"/r/{lab.house.seals.guest(job_id)}/qr.png")
            assert first.headers["cache-control"] == "public, max-age=86400"
            second = await client.get(f"/r/{lab.house.seals.guest(job_id)}/qr.png", headers={"Host": "other.example"})
            assert second.content == first.content
        await quiet(lab)


def test_an_address_is_fixed_only_where_one_is_set() -> None:
    assert Addresses("https://a.example").are_fixed
    assert not Addresses(None).are_fixed


# --- shares -----------------------------------------------------------------------------------------------------


def test_a_share_shows_all_slots_for_a_quarter_of_an_hour(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        await lab.set_slot(slot, moderated=True)
        waiting, approved = await put_result(lab, slot), await put_result(lab, slot)
        put = [await put_result(lab, "slot-003") for _ in range(12)]
        async with lab.api() as client, lab.api(None) as guest:
            await client.post(f"/api/results/{approved}/approve")
            made = await client.post("/api/share")
            assert made.status_code == 201
            left = httpx.Response(200, content=made.content).json()["expires_at"]
            assert abs((_time(left) - now()) - timedelta(minutes=15)) < timedelta(seconds=20)
            response = await guest.get(made.json()["url"])
            shared = {each["slot_id"]: each["pictures"] for each in response.json()["data"]}
            assert [each["url"] for each in shared[slot]] == [f"/public/results/{approved}"]
            assert [each["url"] for each in shared["slot-003"]] == [f"/public/results/{id}" for id in put[:1:-1]]
            assert str(waiting) not in response.text
            assert "slot-015" not in shared
            few = (await guest.get(made.json()["url"], params={"limit": 2})).json()["data"]
            assert max(len(each["pictures"]) for each in few) == 2
            assert response.headers["cache-control"].startswith("private")
            page = await guest.get(made.json()["url"], headers={"Accept": "text/html"})
            assert f"<h2>{slot}</h2>" in page.text
            assert (await guest.get(f"/public/slots/{slot}")).status_code == 404  # the slot's own gallery stays closed

    ask(conversation)


def test_a_share_ends_and_cannot_be_made_up(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        async with lab.api(None) as client:
            moment = int(now().timestamp())
            for token, status in (
                (lab.house.seals.share(moment + 2), 200),
                (lab.house.seals.share(moment), 410),  # over at exactly this moment
                (lab.house.seals.share(moment - 900), 410),
                (OTHER.share(moment + 900), 404),
                ("A" * 32, 404),
                ("..%2f..%2fetc", 404),
                ("%00", 404),
            ):
                assert (await client.get(f"/public/share/{token}")).status_code == status, token

    ask(conversation)


def test_links_are_made_by_those_who_may(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        for username, status in ((None, 401), (READER, 403)):
            async with lab.api(username) as client:
                for method, path in (
                    ("POST", "/api/share"),
                    ("GET", f"/api/slots/{slot}/gallery-link"),
                    ("GET", f"/api/jobs/{job_id}/guest-link"),
                    ("POST", f"/api/results/{job_id}/approve"),
                    ("POST", f"/api/results/{job_id}/reject"),
                    ("POST", f"/api/results/{job_id}/undecide"),
                    ("GET", f"/api/slots/{slot}/moderation"),
                    ("GET", f"/api/slots/{slot}/results.zip"),
                    ("GET", "/api/results.zip"),
                    ("POST", f"/api/slots/{slot}/cleanup"),
                ):
                    assert (await client.request(method, path)).status_code == status, path

    ask(conversation)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_drawing_holds_nobody_up(ask: Callable[[Ask], None], monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    make = segno.make

    def drawn(*args: Any, **options: Any) -> Any:
        threads.append(threading.get_ident())
        return make(*args, **options)

    monkeypatch.setattr(segno, "make", drawn)

    async def conversation(lab: Lab, slot: str) -> None:
        statuses: list[int] = []

        async def look() -> None:
            statuses.append((await client.get(f"/r/{lab.house.seals.guest(uuid4())}/qr.png")).status_code)

        async with lab.api(None) as client, trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(look)
        assert statuses == [200] * 20
        assert len(threads) == 20
        assert threading.get_ident() not in threads  # the house's loop runs in this one
        await quiet(lab)

    ask(conversation)
