"""Approving and rejecting: once is as good as twice, expired is too late, and races end in one of the two."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
import trio
import trio.testing

from tests.gallery.conftest import Ask
from tests.gallery.given import HOUR, expire, now, put_job, put_result, quiet
from tests.lab.house import ADMIN, Lab


def reason(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["failure_reason"]


async def queue(client: httpx.AsyncClient, slot: str, **params: str | int) -> list[UUID]:
    response = await client.get(f"/api/slots/{slot}/moderation", params=params)
    assert response.status_code == 200, response.text
    return [UUID(item["job_id"]) for item in response.json()["data"]]


def test_a_decision_is_made_repeated_changed_and_taken_back(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        async with lab.api() as client:
            approved = (await client.post(f"/api/results/{job_id}/approve")).json()
            assert (approved["job_id"], approved["slot_id"], approved["decided_by"]) == (str(job_id), slot, ADMIN)
            assert approved["approved_at"] is not None
            assert approved["rejected_at"] is None
            assert (await client.post(f"/api/results/{job_id}/approve")).json() == approved
            rejected = (await client.post(f"/api/results/{job_id}/reject")).json()
            assert rejected["approved_at"] is None
            assert rejected["rejected_at"] > approved["approved_at"]
            assert (await client.post(f"/api/results/{job_id}/reject")).json() == rejected
            nothing = (await client.post(f"/api/results/{job_id}/undecide")).json()
            assert (nothing["approved_at"], nothing["rejected_at"], nothing["decided_by"]) == (None, None, None)
            assert (await client.post(f"/api/results/{job_id}/undecide")).json() == nothing

    ask(conversation)


def test_what_cannot_be_decided_on(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        expired = await put_result(lab, slot)
        await expire(lab, expired, timedelta())  # at exactly this moment
        at_work = await put_job(lab, slot, status="processing")
        async with lab.api() as client:
            for decision in ("approve", "reject", "undecide"):
                response = await client.post(f"/api/results/{expired}/{decision}")
                assert reason(response) == (410, "result_expired"), decision
                for unknown in (at_work, UUID(int=1), "x", "%00", "..%2f..", "1" * 3000):
                    response = await client.post(f"/api/results/{unknown}/{decision}")
                    assert reason(response) == (404, "not_found"), unknown
        row = await lab.house.db.fetchrow("SELECT * FROM result WHERE job_id = $1", expired)
        assert row is not None
        assert (row["approved_at"], row["rejected_at"], row["decided_by"]) == (None, None, None)

    ask(conversation)


def test_the_queue_holds_what_waits_newest_first(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        put = [await put_result(lab, slot, at=now() - n * HOUR) for n in range(5)]
        expired = await put_result(lab, slot)
        await expire(lab, expired)
        await put_result(lab, slot, source="ui_test")
        async with lab.api() as client:
            assert await queue(client, slot) == put
            assert await queue(client, slot, limit=2) == put[:2]
            page = (await client.get(f"/api/slots/{slot}/moderation", params={"limit": 2})).json()
            assert await queue(client, slot, limit=3, cursor=page["meta"]["next_cursor"]) == put[2:]
            await client.post(f"/api/results/{put[0]}/approve")
            await client.post(f"/api/results/{put[1]}/reject")
            assert await queue(client, slot) == put[2:]
            assert await queue(client, slot, state="approved") == put[:1]
            assert await queue(client, slot, state="rejected") == put[1:2]
            assert reason(await client.get("/api/slots/nothing/moderation")) == (404, "slot_not_found")
            assert reason(await client.get("/api/slots/%00/moderation")) == (404, "slot_not_found")
            for wrong in ({"state": "x"}, {"limit": 51}, {"cursor": "x"}, {"sort": "up"}):
                response = await client.get(f"/api/slots/{slot}/moderation", params=wrong)
                assert reason(response) == (422, "validation_failed"), wrong

    ask(conversation)


def test_many_who_decide_at_once_end_with_one_decision(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        answers: list[dict[str, str | None]] = []

        async def decide(decision: str) -> None:
            response = await client.post(f"/api/results/{job_id}/{decision}")
            assert response.status_code == 200
            answers.append(response.json())

        async with lab.api() as client, trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(decide, "approve")
                nursery.start_soon(decide, "reject")
        assert len(answers) == 12
        for each in answers:
            assert (each["approved_at"] is None) != (each["rejected_at"] is None)
        row = await lab.house.db.fetchrow("SELECT approved_at, rejected_at FROM result WHERE job_id = $1", job_id)
        assert row is not None
        assert (row["approved_at"] is None) != (row["rejected_at"] is None)
        await quiet(lab)

    ask(conversation)


def test_nobody_approves_what_expires_while_he_waits(ask: Callable[[Ask], None]) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        answers: list[httpx.Response] = []

        async def approve() -> None:
            answers.append(await client.post(f"/api/results/{job_id}/approve"))

        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with (
            lab.api() as client,
            trio.open_nursery() as nursery,
            lab.house.db.transaction() as transaction,
        ):
            await transaction.execute("SELECT 1 FROM result WHERE job_id = $1 FOR UPDATE", job_id)
            nursery.start_soon(approve)
            with trio.fail_after(20):
                while not await lab.house.db.fetchval(waiting):
                    await trio.testing.wait_all_tasks_blocked(0.01)
            await transaction.execute("UPDATE result SET expires_at = clock_timestamp() WHERE job_id = $1", job_id)
        assert reason(answers[0]) == (410, "result_expired")
        assert await lab.house.db.fetchval("SELECT approved_at FROM result WHERE job_id = $1", job_id) is None

    ask(conversation)


def test_decisions_are_told_to_the_audit(ask: Callable[[Ask], None], caplog: pytest.LogCaptureFixture) -> None:
    async def conversation(lab: Lab, slot: str) -> None:
        job_id = await put_result(lab, slot)
        async with lab.api() as client:
            with caplog.at_level("INFO"):
                for _ in range(2):
                    await client.post(f"/api/results/{job_id}/approve")
        told = [record for record in caplog.records if "result_approve" in record.getMessage()]
        assert len(told) == 1  # the second changed nothing
        assert ADMIN in told[0].getMessage()
        assert str(job_id) in told[0].getMessage()

    ask(conversation)
