"""What was done: a row and a line per event, told to those who may read settings, and swept in the end."""

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from photochanger.accounts.audit import Audit
from photochanger.accounts.credentials import Account, write_accounts
from photochanger.accounts.sweep import EVERY, Sweeper
from photochanger.accounts.throttle import ACCOUNT_TRIES, ADDRESS_TRIES
from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.errors import DatabaseUnavailable
from tests.accounts.asking import Visitor, reason
from tests.house.shared import SharedHouse
from tests.lab.house import ADMIN, READER, READER_PASSWORD, Lab
from tests.lab.waiting import until
from tests.slots.asking import LOCAL

Event = dict[str, Any]


async def told(lab: Lab, **query: Any) -> list[Event]:
    """What `/api/audit` tells."""
    answer = await Visitor(lab).ask("GET", "/api/audit", headers=lab.bearer(), params=query)
    assert answer.status_code == 200, answer.text
    found: list[Event] = answer.json()["data"]
    return found


@pytest.fixture(autouse=True)
def nothing_yet(request: pytest.FixtureRequest) -> None:
    """Every test with a house begins without events and failures."""
    if "house" in request.fixturenames:
        house: SharedHouse = request.getfixturevalue("house")
        house.run(forget)


async def forget(lab: Lab) -> None:
    await lab.house.db.execute("DELETE FROM audit_event")
    await lab.house.db.execute("DELETE FROM login_throttle")


# --- what is recorded -------------------------------------------------------------------------------------------


def test_logging_in_and_out(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        await visitor.log_in(ADMIN, "wrong")
        page = await visitor.page()
        await page.ask("DELETE", "/api/session", csrf=page.csrf)
        await visitor.log_in("nobody-here", "wrong")
        events = await told(lab)
        assert [(each["action"], each["actor"], each["subject"]) for each in events] == [
            ("login_failed", None, None),
            ("logout", ADMIN, ADMIN),
            ("login", ADMIN, ADMIN),
            ("login_failed", None, ADMIN),
        ]
        assert {each["address"] for each in events} == {visitor.address}
        assert all(each["at"].endswith("Z") and each["detail"] == {} for each in events)

    house.run(go)


def test_a_lock_is_told_once(house: SharedHouse) -> None:
    """What it turns away is not: otherwise a guesser fills the table, at no cost to himself."""

    async def go(lab: Lab) -> None:
        guesser = Visitor(lab)
        for _ in range(ACCOUNT_TRIES + 3):
            await guesser.log_in(READER, "wrong")
        assert [each["subject"] for each in await told(lab, action="account_locked")] == [READER]
        assert len(await told(lab, action="login_failed")) == ACCOUNT_TRIES
        for number in range(ADDRESS_TRIES):
            await guesser.log_in(f"name-{number}", "wrong")
        [event] = await told(lab, action="address_locked")
        assert event["subject"] == event["address"] == guesser.address
        assert len(await told(lab, action="login_failed")) < ADDRESS_TRIES

    house.run(go)


@pytest.mark.parametrize(
    ("method", "path", "body", "action"),
    [
        ("PUT", "/api/settings", {"t_late": 7}, "settings.changed"),
        ("POST", "/api/slots", LOCAL, "slot.created"),
        ("POST", "/api/share", None, "gallery_share"),
    ],
)
def test_an_event_tells_where_it_came_from(
    house: SharedHouse, method: str, path: str, body: Event | None, action: str
) -> None:
    """Not the proxy's address, which says nothing."""

    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        answer = await visitor.ask(method, path, json=body, headers=lab.bearer() | {"If-Match": "*"})
        assert answer.status_code in (200, 201), answer.text
        [event] = await told(lab, action=action)
        assert (event["actor"], event["address"]) == (ADMIN, visitor.address)

    house.run(go)


def test_a_change_of_an_account_is_told(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        book = lab.house.accounts
        before = book.all()
        more = Account("more", before[0].password_hash, frozenset({Permission.STATS_READ}))
        for accounts in ([*before, more], before):
            await trio.to_thread.run_sync(write_accounts, book.path, accounts)
            await book.refresh()
        assert [(each["action"], each["subject"]) for each in await told(lab)] == [
            ("account_removed", "more"),
            ("account_added", "more"),
        ]

    house.run(go)


def test_leaving_early_hides_nothing(house: SharedHouse) -> None:
    """Whoever hangs up while his password is looked at has failed all the same, and it is told."""

    async def go(lab: Lab) -> None:
        async def counted() -> bool:
            return bool(await lab.count("login_throttle") == 2)

        async def recorded() -> bool:
            return bool(await told(lab, action="login_failed"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(Visitor(lab).log_in, ADMIN, "wrong")
            await until(counted)
            nursery.cancel_scope.cancel()
        await until(recorded)

    house.run(go)


# --- record -----------------------------------------------------------------------------------------------------


async def test_an_event_is_a_row_and_a_line(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "photochanger.audit")
    detail = {"field": "permits", "before": 2, "after": [1, None, True, 0.5], "deep": {"er": {"st": "ёж"}}}
    await Audit(db).record("slot_changed", actor="serg", subject="slot-001", address="203.0.113.7", detail=detail)
    [event] = await Audit(db).read(limit=10)
    assert (event.action, event.actor, event.subject, event.address) == (
        "slot_changed",
        "serg",
        "slot-001",
        "203.0.113.7",
    )
    assert event.detail == detail
    [record] = [each for each in caplog.records if each.name == "photochanger.audit"]
    assert json.loads(record.getMessage()) == {
        "actor": "serg",
        "action": "slot_changed",
        "subject": "slot-001",
        "address": "203.0.113.7",
        "detail": detail,
    }


@pytest.mark.parametrize("nasty", ["a\nb", "a\r\nb", "\0", "\ud800", "\x1b[31m", "\u2028", "x" * 100_000, "%s %d"])
async def test_no_text_can_break_a_row_or_a_line(db: Db, caplog: pytest.LogCaptureFixture, nasty: str) -> None:
    caplog.set_level(logging.INFO, "photochanger.audit")
    detail = {nasty: nasty, "list": [nasty, {nasty: nasty}]}
    await Audit(db).record(nasty, actor=nasty, subject=nasty, address=nasty, detail=detail)
    [event] = await Audit(db).read(limit=10)
    assert event.actor == event.subject == event.action
    assert len(event.action) <= 300
    [record] = [each for each in caplog.records if each.name == "photochanger.audit"]
    line = record.getMessage()
    assert len(line.splitlines()) == 1
    assert line.isprintable()


async def test_no_value_can_break_it(db: Db) -> None:
    endless: list[Any] = []
    endless.append(endless)
    detail = {"endless": endless, "object": object(), "huge": 10**400, "float": float("nan"), "bytes": b"\xff"}
    await Audit(db).record("tried", detail=detail)
    assert len(await Audit(db).read(limit=10)) == 1


async def test_without_the_database_it_is_in_the_log_alone(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "photochanger.audit")
    db.disconnect("pulled")
    await Audit(db).record("logout", actor="serg")
    assert '"action": "logout"' in caplog.text
    assert "stands in this log only" in caplog.text


@pytest.mark.parametrize("as_json", [False, True])
def test_no_level_of_the_logs_hides_an_event(as_json: bool) -> None:
    """A process of its own: what stands on standard error there is all that is left while PostgreSQL is away."""
    program = f"""
import logging, trio
from photochanger.accounts.audit import Audit
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.observability import logs

async def main():
    async with open_loop() as loop:
        await Audit(Db(loop)).record("logout", actor="serg")

logs.setup("ERROR", as_json={as_json})
logging.getLogger("photochanger.accounts").warning("something else")
trio.run(main)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    event, alone = ran.stderr.splitlines()
    message = json.loads(event)["message"] if as_json else event.partition("photochanger.audit: ")[2]
    assert json.loads(message) == {"actor": "serg", "action": "logout"}
    assert "logout stands in this log only" in alone


async def test_what_postgresql_refuses_is_in_the_log_alone(db: Db, caplog: pytest.LogCaptureFixture) -> None:
    await db.execute("ALTER TABLE audit_event ADD CHECK (action <> 'refused')")
    await Audit(db).record("refused")
    assert "refused stands in this log only" in caplog.text


# --- /api/audit -------------------------------------------------------------------------------------------------


async def fill(lab: Lab) -> None:
    """Nine events, one a day, the last on 9 January."""
    for day in range(1, 10):
        await lab.house.db.execute(
            "INSERT INTO audit_event (at, action, actor, subject) VALUES ($1::text::timestamptz, $2, $3, $4)",
            f"2026-01-0{day} 12:00:00.5+00",
            "login" if day % 2 else "logout",
            ADMIN if day % 3 else READER,
            f"slot-00{day}",
        )


def days(events: list[Event]) -> list[int]:
    return [int(each["at"][8:10]) for each in events]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ({"limit": 2}, [9, 8]),
        ({"action": "logout"}, [8, 6, 4, 2]),
        ({"actor": READER}, [9, 6, 3]),
        ({"actor": READER, "action": "login"}, [9, 3]),
        ({"subject": "slot-004"}, [4]),
        ({"from": "2026-01-08T00:00:00Z"}, [9, 8]),
        ({"from": "2026-01-08T12:00:00.5Z"}, [9, 8]),
        ({"to": "2026-01-02T12:00:00.5Z"}, [1]),
        ({"from": "2026-01-03T00:00:00+03:00", "to": "2026-01-05T00:00:00Z"}, [4, 3]),
        ({"action": "' OR true --"}, []),
        ({"actor": "%"}, []),
        ({"from": "9999-12-31T00:00:00Z"}, []),
        ({"to": "0001-01-01T00:00:00Z"}, []),
    ],
)
def test_filters(house: SharedHouse, query: Event, found: list[int]) -> None:
    async def go(lab: Lab) -> None:
        await fill(lab)
        assert days(await told(lab, **query)) == found

    house.run(go)


def test_pages(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        await fill(lab)
        query: Event = {"limit": 2, "actor": ADMIN}
        seen: list[int] = []
        while True:
            answer = (await Visitor(lab).ask("GET", "/api/audit", headers=lab.bearer(), params=query)).json()
            assert len(answer["data"]) == 2
            seen += days(answer["data"])
            # What is written meanwhile moves nothing.
            await lab.house.db.execute("INSERT INTO audit_event (action, actor) VALUES ('login', $1)", ADMIN)
            if answer["meta"]["next_cursor"] is None:
                break
            query["cursor"] = answer["meta"]["next_cursor"]
        assert seen == [8, 7, 5, 4, 2, 1]

    house.run(go)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "2.5"),
        ("limit", "99999999999999999999"),
        ("limit", ""),
        ("from", "yesterday"),
        ("from", "2026-01-01"),
        ("from", "2026-01-01T00:00:00"),
        ("from", "0001-01-01T00:00:00+14:00"),
        ("to", "9999-12-31T23:59:59-14:00"),
        ("cursor", ""),
        ("cursor", "WyJ4Il0"),
        ("cursor", "x" * 251),
        ("action", ""),
        ("action", "a\0b"),
        ("actor", "x" * 101),
        ("colour", "red"),
    ],
)
def test_what_is_no_query(house: SharedHouse, name: str, value: str) -> None:
    async def go(lab: Lab) -> None:
        answer = await Visitor(lab).ask("GET", "/api/audit", headers=lab.bearer(), params={name: value})
        assert reason(answer) == (422, "validation_failed")
        assert [each["field"] for each in answer.json()["errors"]] == [name]

    house.run(go)


def test_who_may_not_read_settings_reads_no_events(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        answer = await Visitor(lab).ask("GET", "/api/audit", headers=lab.bearer(READER))
        assert reason(answer) == (403, "forbidden")
        assert (await Visitor(lab).log_in(READER, READER_PASSWORD)).status_code == 200

    house.run(go)


# --- sweeping ---------------------------------------------------------------------------------------------------


async def test_old_events_are_removed(db: Db) -> None:
    events = Audit(db)
    for _ in range(3):
        await events.record("login")
    await db.execute("UPDATE audit_event SET at = now() - interval '401 days' WHERE id = 1")
    await db.execute("UPDATE audit_event SET at = now() - interval '399 days' WHERE id = 2")
    await events.sweep()
    assert [event.id for event in await events.read(limit=10)] == [3, 2]


async def test_the_sweeper_goes_on_when_the_database_is_away(autojump_clock: MockClock) -> None:
    seen: list[float] = []

    async def away() -> None:
        seen.append(trio.current_time())
        if len(seen) < 3:
            raise DatabaseUnavailable("away")

    async with trio.open_nursery() as nursery:
        await nursery.start(Sweeper([away]).run)
        start = trio.current_time()
        await trio.sleep(4.5 * EVERY)
        nursery.cancel_scope.cancel()
    assert [moment - start for moment in seen] == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]
