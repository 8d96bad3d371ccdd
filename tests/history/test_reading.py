"""Lists and details of jobs: who is told what, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.history.asking import ask, finished, refused, tell
from tests.house.shared import SharedHouse
from tests.lab.house import READER, Lab

PUBLIC = {
    *("job_id", "slot_id", "status", "failure_reason", "reply_kind", "reply_status", "replied_at", "late", "retries"),
    *("created_at", "started_at", "finished_at", "expires_at", "url"),
}


async def listed(lab: Lab, **query: Any) -> list[str]:
    """The ids that one page shows."""
    answer = await ask(lab, "/api/jobs", READER, **query)
    assert answer.status_code == 200, answer.text
    return [job["job_id"] for job in answer.json()["data"]]


async def aged(lab: Lab, job_id: str, age: timedelta) -> None:
    """The job began so long ago, and its result is as old."""
    await lab.house.db.execute("UPDATE job SET created_at = created_at - $2::interval WHERE id = $1", UUID(job_id), age)
    statement = "UPDATE result SET expires_at = expires_at - $2::interval WHERE job_id = $1"
    await lab.house.db.execute(statement, UUID(job_id), age)


def test_a_stranger_is_told_how_it_stands_and_no_more(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo)
        stranger = (await ask(lab, f"/api/jobs/{job_id}", None)).json()
        assert set(stranger) == PUBLIC
        assert (stranger["status"], stranger["url"]) == ("done", f"/public/results/{job_id}")
        result = (await ask(lab, f"/api/results/{job_id}", None)).json()
        assert not {"attempt_id", "provider", "model", "cost_microusd", "attempts"} & set(result)

    house.run(scene)


def test_whoever_may_read_statistics_is_told_all_of_it(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        await lab.set_slot("slot-002", hedge=False)
        lab.simulator.scenario("no_image")
        job_id = await finished(lab, small_photo, slot="slot-002")
        job = (await ask(lab, f"/api/jobs/{job_id}", READER)).json()
        row = await lab.job(job_id)
        assert set(job) > PUBLIC
        assert (job["source"], job["provider"], job["photo_name"]) == ("ingest", "gemini", row["photo_name"])
        assert job["cost_microusd"] == row["cost_microusd"] > 0
        assert job["request_sha256"] == row["request_sha256"].hex()
        assert "password" not in job["client_fields"]
        assert job["received_at"] <= job["created_at"] <= job["replied_at"]
        assert job["original_until"] is not None
        first, second = job["attempts"]
        assert (first["outcome"], first["finish_reason"], first["number"]) == ("no_image", "NO_IMAGE", 1)
        assert (second["outcome"], second["http_status"], second["number"]) == ("picture", 200, 2)
        assert second["tokens"]["total"] > 0
        result = (await ask(lab, f"/api/results/{job_id}", READER)).json()
        assert (result["provider"], result["model"]) == ("gemini", second["model"])
        assert result["cost_microusd"] == second["cost_microusd"]
        assert result["attempts"] == [first, second]

    house.run(scene)


def test_strangers_are_told_until_the_result_has_expired(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        done = await finished(lab, small_photo)
        lab.simulator.scenario("safety")
        failed = await finished(lab, small_photo)
        for job_id in (done, failed):
            await aged(lab, job_id, timedelta(hours=71))
            assert (await ask(lab, f"/api/jobs/{job_id}", None)).status_code == 200
            await aged(lab, job_id, timedelta(hours=2))
            assert refused(await ask(lab, f"/api/jobs/{job_id}", None)) == (404, "not_found")
            known = (await ask(lab, f"/api/jobs/{job_id}", READER)).json()
            assert (known["url"], known["preview_url"]) == (None, None)
            assert len(known["attempts"]) == 1
            if job_id == done:
                assert refused(await ask(lab, f"/api/results/{done}", None)) == (404, "not_found")
                result = (await ask(lab, f"/api/results/{done}", READER)).json()
                assert (result["url"], result["cost_microusd"]) == (None, known["cost_microusd"])
                assert result["attempts"] == known["attempts"]
        assert refused(await ask(lab, f"/public/results/{done}", None)) == (410, "result_expired")

    house.run(scene)


def test_strangers_are_told_nothing_of_a_rejected_picture(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo, slot="slot-009")
        assert (await tell(lab, f"/api/results/{job_id}/reject")).status_code == 200
        assert refused(await ask(lab, f"/api/results/{job_id}", None)) == (404, "not_found")
        job = (await ask(lab, f"/api/jobs/{job_id}", None)).json()
        assert (job["status"], job["url"]) == ("done", None)
        known = (await ask(lab, f"/api/jobs/{job_id}", READER)).json()
        assert (known["url"], known["preview_url"]) == (None, None)
        result = (await ask(lab, f"/api/results/{job_id}", READER)).json()
        assert (result["url"], result["provider"]) == (None, "gemini")
        [listed] = (await ask(lab, "/api/jobs", READER, slot="slot-009")).json()["data"]
        assert (listed["url"], listed["preview_url"]) == (None, None)
        assert listed["expires_at"] == known["expires_at"]
        [recent] = (await ask(lab, "/api/stats/slot-009/recent_results", READER)).json()["data"]
        assert recent["url"] is None
        assert (await tell(lab, f"/api/results/{job_id}/undecide")).status_code == 200
        for path in (f"/api/results/{job_id}", f"/api/jobs/{job_id}"):
            assert (await ask(lab, path, None)).json()["url"] == f"/public/results/{job_id}"

    house.run(scene)


def test_a_token_that_is_worth_nothing_is_no_stranger(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        job_id = await finished(lab, small_photo)
        async with lab.api(None) as client:
            answer = await client.get(f"/api/jobs/{job_id}", headers={"Authorization": "Bearer x.y.z"})
        assert refused(answer) == (401, "unauthenticated")
        assert refused(await ask(lab, "/api/jobs", None)) == (401, "unauthenticated")
        assert (await ask(lab, "/api/jobs", READER)).status_code == 200

    house.run(scene)


def test_filters_find_what_they_say(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        since = datetime.now(UTC).isoformat()
        good = await finished(lab, small_photo, slot="slot-003")
        lab.simulator.scenario("safety")
        bad = await finished(lab, small_photo, slot="slot-003")
        name = f"Öl_{uuid4().hex}_100%.JPG"
        await lab.house.db.execute("UPDATE job SET photo_name = $1 WHERE id = $2", name, UUID(good))
        for query, expected in (
            ({}, [bad, good]),
            ({"status": "done"}, [good]),
            ({"status": "failed"}, [bad]),
            ({"status": "processing"}, []),
            ({"reason": "provider_refused"}, [bad]),
            ({"reason": "cancelled"}, []),
            ({"source": "ingest"}, [bad, good]),
            ({"source": "canary"}, []),
            ({"provider": "gemini"}, [bad, good]),
            ({"provider": "local"}, []),
            ({"to": since}, []),
            ({"photo": name}, [good]),
            ({"photo": name[:20].upper()}, [good]),
            ({"photo": name.lower()}, [good]),
            ({"photo": name[1:]}, []),  # how it begins, not what is in it
            ({"photo": name[:5] + "%"}, []),  # and no pattern
            ({"status": "done", "photo": name, "provider": "gemini", "limit": 1}, [good]),
        ):
            assert await listed(lab, **({"slot": "slot-003", "from": since} | query)) == expected, query
        assert (await listed(lab, **{"from": since}))[:2] == [bad, good]
        assert await listed(lab, slot="slot-404") == []
        row = (await ask(lab, "/api/jobs", slot="slot-003", limit=1)).json()["data"][0]
        assert (row["job_id"], row["status"], row["reply_status"], row["url"]) == (bad, "failed", 502, None)

    house.run(scene)


def test_pages_follow_each_other(house: SharedHouse, small_photo: bytes) -> None:
    async def scene(lab: Lab) -> None:
        jobs = [await finished(lab, small_photo, slot="slot-004") for _ in range(5)]
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            answer = (await ask(lab, "/api/jobs", slot="slot-004", limit=2, **cursor)).json()
            found += [job["job_id"] for job in answer["data"]]
            if answer["meta"]["next_cursor"] is None:
                break
            cursor = {"cursor": answer["meta"]["next_cursor"]}
            await finished(lab, small_photo, slot="slot-004")  # what is newer moves nothing
        assert found == jobs[::-1]

    house.run(scene)


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"limit": 10**30},
        {"status": "gone"},
        {"reason": "none_of_ours"},
        {"source": ""},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-14:00"},
        {"from": "2026-01-01T00:00:00"},
        {"from": "yesterday"},
        {"cursor": "x"},
        {"cursor": "é"},
        {"photo": ""},
        {"photo": "x" * 256},
        {"photo": "a\0b"},
        {"slot": "x" * 65},
        {"sort": "created_at"},
        {"offset": 10},
    ],
)
def test_what_makes_no_sense_is_refused(house: SharedHouse, query: dict[str, Any]) -> None:
    async def scene(lab: Lab) -> None:
        answer = await ask(lab, "/api/jobs", READER, **query)
        assert refused(answer) == (422, "validation_failed")
        [error] = answer.json()["errors"]
        assert error["field"] in query

    house.run(scene)


def test_odd_text_is_looked_for_as_it_is(house: SharedHouse) -> None:
    async def scene(lab: Lab) -> None:
        for text in ("%", "_", "'; DROP TABLE job; --", "\\", "\U0010ffff", "ǅ", "\ufffd", "$1"):
            assert await listed(lab, photo=text) == [], text
        assert await listed(lab, photo="%", slot="' OR true --") == []

    house.run(scene)
