"""Bad input gets a clear answer, and nothing lost: one table, over real sockets, against the whole house."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from photochanger.domain.reasons import REASONS, Reason
from tests.house import bad_input_census
from tests.house.bad_input import WRONG, Heard, begin, good
from tests.house.bad_input_census import Census
from tests.house.bad_input_rows import ABANDONED, DISABLED, NO_PASSWORD, ROWS, SMALL, SMALL_LIMIT, UPLOAD_TIMEOUT, Row
from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import PASSWORD, Lab
from tests.lab.waiting import until
from tests.postgres import PostgresServer

CROWDED = "slot-005"
SPOILT = "slot-006"
KNOWN_MEMBERS = {"type", "title", "status", "detail", "instance", "failure_reason", "job_id", "retry_after"}


@pytest.fixture(scope="module")
def patient(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house with the timeouts that it has by default."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("patient")) as house:
        house.run(furnish)
        yield house


@pytest.fixture(scope="module")
def impatient(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house whose uploads have to be quick."""
    with shared_house(postgres_server, tmp_path_factory.mktemp("impatient"), upload_timeout=UPLOAD_TIMEOUT) as house:
        house.run(furnish)
        yield house


async def furnish(lab: Lab) -> None:
    """Slots of all kinds, and one photo, so that what is made once for all is there before anything is counted."""
    await lab.set_slot(DISABLED, is_active=False)
    await lab.set_slot(SMALL, size_limit_bytes=SMALL_LIMIT)
    await lab.set_slot(NO_PASSWORD, secret_hash=None)
    await lab.shoot(good())
    await lab.rest()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_bad_input(row: Row, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> None:
    house: SharedHouse = request.getfixturevalue("impatient" if row.impatient else "patient")
    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, "photochanger"):
        house.run(check, row)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert PASSWORD not in caplog.text
    assert WRONG not in caplog.text


async def check(lab: Lab, row: Row) -> None:
    """Send the row, judge the answer, then look at what is left."""
    lab.simulator.reset()
    before = await bad_input_census.take_at_rest(lab)
    started = trio.current_time()
    heard = await row.send(lab)
    assert trio.current_time() - started < row.within
    check_answer(lab, row, heard)
    after = await bad_input_census.take_at_rest(lab, like=before)
    check_nothing_left(before, after)
    await check_kept(lab, row, before, after)


def check_answer(lab: Lab, row: Row, heard: Heard) -> None:
    assert heard.status == row.status, heard.body[:500]
    if heard.headers is None:
        return
    if row.kept is not None:
        assert heard.kept == row.kept
    assert heard.kept == (heard.headers.get("connection", "").lower() != "close")
    assert heard.headers["content-length"] == str(len(heard.body))
    assert heard.headers["cache-control"] == "no-store"
    assert heard.picture == (row.status == 200)
    if row.status != 200:
        check_problem(lab, row, heard)


def check_problem(lab: Lab, row: Row, heard: Heard) -> None:
    """RFC 9457, in our words only."""
    assert heard.headers is not None
    assert heard.headers["content-type"] == "application/problem+json"
    problem = json.loads(heard.body)
    assert problem.keys() <= KNOWN_MEMBERS
    assert problem["failure_reason"] == row.reason
    assert problem["status"] == row.status == REASONS[Reason(problem["failure_reason"])].status
    assert problem["type"] == f"urn:photochanger:problem:{row.reason}"
    assert problem["title"] == REASONS[Reason(problem["failure_reason"])].en
    told = heard.body.decode() + str(heard.headers)
    for secret in (PASSWORD, WRONG, str(lab.var), "Traceback", ".py", "/tmp", "postgres", "asyncpg", "<script"):
        assert secret not in told


def check_nothing_left(before: Census, after: Census) -> None:
    """`Lab.rest` has looked at rows, permits, connections and temp files; this is the rest of it."""
    assert after.tasks == before.tasks
    assert after.descriptors == before.descriptors
    assert after.leased == before.leased == 0
    assert after.folders == before.folders == frozenset()


async def check_kept(lab: Lab, row: Row, before: Census, after: Census) -> None:
    """What was counted, booked and stored: all of it for a photo that was taken, nothing otherwise."""
    outcome = row.outcome or row.reason or "ok"
    assert after.counted - before.counted == Counter({(row.slot, outcome): 1})
    assert after.calls - before.calls == row.calls
    new_rows = {table: after.rows[table] - before.rows[table] for table in after.rows}
    new_files = sorted(after.files - before.files)
    if not row.job:
        assert not any(new_rows.values())
        assert new_files == []
        return
    job = await lab.job()
    assert PASSWORD not in str(job)
    assert {name: job[name] for name in row.job} == row.job
    [attempt] = await lab.attempts(job["id"])
    assert attempt["outcome"] == row.attempt
    [original] = [name for name in new_files if name.startswith("originals/")]
    assert Path(original).stem == str(job["id"])
    new_files.remove(original)
    if job["status"] == "done":
        assert new_rows == {"job": 1, "attempt": 1, "result": 1, "media_object": 3}
        assert [Path(name).suffix for name in new_files] == [".jpg", ".webp"]
    else:
        assert new_rows == {"job": 1, "attempt": 1, "result": 0, "media_object": 1}
        assert new_files == []
        assert attempt["possibly_billed"]
        assert job["cost_microusd"] == attempt["cost_microusd"] > 0
        assert lab.simulator.calls[-1].client_gone


def test_a_client_that_leaves_before_its_turn(patient: SharedHouse) -> None:
    async def queue_and_leave(lab: Lab) -> None:
        lab.simulator.reset()
        lab.simulator.default("hang")
        await lab.set_slot(CROWDED, permits=1)
        before = await bad_input_census.take_at_rest(lab)
        at_work = await begin(lab, slot=CROWDED)
        await until(lambda: len(lab.simulator.calls) == 1)
        queued = await begin(lab, slot=CROWDED)
        await until(lambda: lab.house.lanes.statistics()[CROWDED] == (1, 1))
        queued.reset()
        await until(lambda: lab.house.lanes.statistics()[CROWDED] == (1, 0))
        await until(lambda: lab.house.lanes.in_flight == 1)
        job = await lab.job()
        assert {name: job[name] for name in ABANDONED} == ABANDONED
        assert await lab.attempts(job["id"]) == []
        at_work.reset()
        after = await bad_input_census.take_at_rest(lab, like=before)
        check_nothing_left(before, after)
        assert after.calls == 1
        assert after.counted - before.counted == Counter({(CROWDED, "client_gone"): 2})

    try:
        patient.run(queue_and_leave)
    finally:
        patient.run(forget_scenarios)


async def forget_scenarios(lab: Lab) -> None:
    lab.simulator.reset()


def test_a_disk_that_takes_nothing_is_told_as_such(patient: SharedHouse) -> None:
    async def spoil_and_shoot(lab: Lab) -> None:
        before = await bad_input_census.take_at_rest(lab)
        in_the_way = lab.var / "media" / "temp" / SPOILT
        in_the_way.touch()
        try:
            shot = await lab.shoot(good(), slot=SPOILT)
        finally:
            in_the_way.unlink()
        assert shot.status == 503
        assert shot.problem is not None
        assert shot.problem["failure_reason"] == "storage_unavailable"
        assert str(lab.var) not in shot.body.decode()
        check_nothing_left(before, await bad_input_census.take_at_rest(lab, like=before))
        assert (await lab.shoot(good(), slot=SPOILT)).status == 200
        folders = [lab.var / "media" / "temp", *(lab.var / "media" / "temp").iterdir()]
        assert {folder.stat().st_mode & 0o077 for folder in folders} == {0}
        await lab.rest()

    patient.run(spoil_and_shoot)
