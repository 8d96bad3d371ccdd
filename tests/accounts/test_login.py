"""`POST /api/login`: who gets a token, who does not, and that nobody learns more than that."""

import json
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import trio

from photochanger.accounts import login
from photochanger.accounts.throttle import ACCOUNT_TRIES, ADDRESS_TRIES
from photochanger.accounts.views import LONGEST_PASSWORD, MOST_OF_LOGIN
from photochanger.domain.passwords import check_password
from tests.accounts.asking import Visitor, reason
from tests.house.shared import SharedHouse
from tests.lab.house import ADMIN, ADMIN_PASSWORD, READER, READER_PASSWORD, Lab
from tests.lab.waiting import until

UNAUTHENTICATED, LOCKED = (401, "unauthenticated"), (429, "login_locked")


@pytest.fixture(autouse=True)
def unlocked(house: SharedHouse) -> None:
    """Every test begins without failures."""
    house.run(forget)


async def forget(lab: Lab) -> None:
    await lab.house.db.execute("DELETE FROM login_throttle")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that passwords are compared with, as it happens."""
    seen: list[str] = []

    def seen_check(password: str, stored: str) -> bool:
        seen.append(stored)
        return check_password(password, stored)

    monkeypatch.setattr(login, "check_password", seen_check)
    return seen


async def at_once(visitors: list[Visitor], username: str, password: str) -> list[httpx.Response]:
    answers: list[httpx.Response] = []

    async def one(visitor: Visitor) -> None:
        answers.append(await visitor.log_in(username, password))

    async with trio.open_nursery() as nursery:
        for visitor in visitors:
            nursery.start_soon(one, visitor)
    return answers


# --- the right password -----------------------------------------------------------------------------------------


def test_a_token_for_a_name_and_a_password(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        answer = await visitor.log_in()
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        given = answer.json()
        assert (given["token_type"], given["expires_in"]) == ("bearer", 12 * 3600)
        bearer = {"Authorization": f"bEaReR {given['access_token']}"}
        assert (await visitor.ask("GET", "/api/session", headers=bearer)).json()["username"] == ADMIN
        assert (await visitor.ask("GET", "/api/accounts", headers=bearer)).status_code == 200

    house.run(go)


def test_a_token_allows_what_the_account_may(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        token = (await visitor.log_in(READER, READER_PASSWORD)).json()["access_token"]
        answer = await visitor.ask("GET", "/api/accounts", headers={"Authorization": f"Bearer {token}"})
        assert reason(answer) == (403, "forbidden")

    house.run(go)


# --- the wrong one ----------------------------------------------------------------------------------------------


def told(answer: httpx.Response) -> tuple[Any, ...]:
    """All that an answer tells, but for the time of day."""
    headers = sorted((name, value) for name, value in answer.headers.items() if name != "date")
    return answer.status_code, headers, answer.content


def test_an_unknown_name_is_answered_as_a_wrong_password_is(house: SharedHouse, looks: list[str]) -> None:
    async def go(lab: Lab) -> None:
        known, unknown = Visitor(lab), Visitor(lab)
        for _ in range(ACCOUNT_TRIES):
            answers = [await known.log_in(ADMIN, "wrong"), await unknown.log_in("nobody", "wrong")]
            assert [reason(answer) for answer in answers] == [UNAUTHENTICATED] * 2
            assert told(answers[0]) == told(answers[1])
        locked = [await known.log_in(ADMIN, "wrong"), await unknown.log_in("nobody", "wrong")]
        assert [reason(answer) for answer in locked] == [LOCKED] * 2
        assert {answer.headers["retry-after"] for answer in locked} <= {"899", "900"}
        names = [{name for name, _ in told(answer)[1]} for answer in locked]
        assert names[0] == names[1]

    house.run(go)
    # The same number of comparisons, and each as costly as the others.
    assert len(looks) == 2 * ACCOUNT_TRIES
    assert {stored[:7] for stored in looks} == {"$2b$04$"}
    assert len(set(looks)) == 2


@pytest.mark.parametrize(
    "name", ["SERG", "serg ", " serg", "serg\n", "serg/../igor", "сerg", "serg\r\nSet-Cookie: a=b", "' OR 1=1 --", "%"]
)
def test_names_are_taken_as_they_are(house: SharedHouse, name: str) -> None:
    async def go(lab: Lab) -> None:
        for path in ("/api/login", "/api/session"):
            answer = await Visitor(lab).log_in(name, ADMIN_PASSWORD, path)
            assert reason(answer) == UNAUTHENTICATED
            assert "set-cookie" not in answer.headers

    house.run(go)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"username": "a" * 65, "password": "x"}, 422),
        ({"username": "", "password": "x"}, 422),
        ({"username": "serg", "password": ""}, 422),
        ({"username": "serg", "password": "x" * 1025}, 422),
        ({"username": "serg", "password": ["x"]}, 422),
        ({"username": "serg", "password": "x\0y"}, 422),
        ({"username": "serg"}, 422),
        ({"username": "serg", "password": "x", "permissions": ["settings:write"]}, 422),
        ([], 422),
    ],
)
def test_what_is_no_login_costs_nothing(house: SharedHouse, looks: list[str], body: Any, status: int) -> None:
    async def go(lab: Lab) -> None:
        for path in ("/api/login", "/api/session"):
            answer = await Visitor(lab).ask("POST", path, json=body)
            assert reason(answer) == (status, "validation_failed")
        assert await lab.count("login_throttle") == 0

    house.run(go)
    assert looks == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_a_foreign_form_can_send_is_no_login(house: SharedHouse, kind: str) -> None:
    async def go(lab: Lab) -> None:
        body = b'{"username": "serg", "password": "' + ADMIN_PASSWORD.encode() + b'"}'
        for path in ("/api/login", "/api/session"):
            answer = await Visitor(lab).ask("POST", path, content=body, headers={"Content-Type": kind})
            assert reason(answer) == (400, "invalid_request")
            assert "set-cookie" not in answer.headers

    house.run(go)


def test_a_login_is_small(house: SharedHouse, looks: list[str]) -> None:
    """Strangers send it: what is larger is refused before anybody looks into it, however it is announced."""
    padding = b" " * MOST_OF_LOGIN

    async def in_pieces() -> AsyncIterator[bytes]:
        yield b'{"username": "serg", "password": "x"'
        yield padding
        yield b"}"

    async def go(lab: Lab) -> None:
        headers = {"Content-Type": "application/json"}
        for path in ("/api/login", "/api/session"):
            for body in (b'{"username": "serg", "password": "x"}' + padding, in_pieces()):
                answer = await Visitor(lab).ask("POST", path, content=body, headers=headers)
                assert reason(answer) == (413, "payload_too_large")
        assert await lab.count("login_throttle") == 0
        # The longest that may be typed fits, as the most wordful of clients write it.
        body = json.dumps({"username": 64 * "\U0001f642", "password": LONGEST_PASSWORD * "\U0001f642"}).encode()
        assert len(body) <= MOST_OF_LOGIN
        assert reason(await Visitor(lab).ask("POST", "/api/login", content=body, headers=headers)) == UNAUTHENTICATED

    house.run(go)
    assert len(looks) == 1


# --- locks ------------------------------------------------------------------------------------------------------


def test_a_locked_account_is_locked_for_the_right_password_too(house: SharedHouse, looks: list[str]) -> None:
    async def go(lab: Lab) -> None:
        for _ in range(ACCOUNT_TRIES):
            assert reason(await Visitor(lab).log_in(READER, "wrong")) == UNAUTHENTICATED
        looks.clear()
        for path in ("/api/login", "/api/session"):
            answer = await Visitor(lab).log_in(READER, READER_PASSWORD, path)
            assert reason(answer) == LOCKED
            assert 1 <= int(answer.headers["retry-after"]) <= 900
        assert looks == []
        # Other accounts go on, and so do tokens that were given before.
        assert (await Visitor(lab).log_in()).status_code == 200
        assert (await Visitor(lab).ask("GET", "/api/session", headers=lab.bearer(READER))).status_code == 200
        # Retry-After is what is left, not the length of the lock; a refused try makes it no longer.
        await lab.house.db.execute(
            "UPDATE login_throttle SET locked_until = now() + interval '70.5 s' WHERE scope = 'account'"
        )
        answer = await Visitor(lab).log_in(READER, READER_PASSWORD)
        assert int(answer.headers["retry-after"]) in (70, 71)
        await lab.house.db.execute(
            "UPDATE login_throttle SET locked_until = now(), last_at = now() - interval '15 min', "
            "tries = ARRAY(SELECT at - interval '15 min' FROM unnest(tries) AS at) WHERE scope = 'account'"
        )
        assert reason(await Visitor(lab).log_in(READER, "wrong")) == UNAUTHENTICATED  # all five are there again
        assert (await Visitor(lab).log_in(READER, READER_PASSWORD)).status_code == 200

    house.run(go)


def test_parallel_guesses_get_no_more_looks(house: SharedHouse, looks: list[str]) -> None:
    async def go(lab: Lab) -> None:
        answers = await at_once([Visitor(lab) for _ in range(20)], READER, "guess")
        assert sorted(reason(answer) for answer in answers) == ACCOUNT_TRIES * [UNAUTHENTICATED] + 15 * [LOCKED]

    house.run(go)
    assert len(looks) == ACCOUNT_TRIES


def test_right_passwords_at_once_do_not_lock_each_other_out(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        answers = await at_once([Visitor(lab) for _ in range(12)], ADMIN, ADMIN_PASSWORD)
        assert [answer.status_code for answer in answers] == 12 * [200]
        assert await lab.house.db.fetchval("SELECT count(*) FROM login_throttle WHERE scope = 'account'") == 0
        assert await lab.house.db.fetchval("SELECT sum(cardinality(tries)) FROM login_throttle") == 0

    house.run(go)


def test_success_forgets_the_failures_before_it(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        for _ in range(3):
            for _ in range(ACCOUNT_TRIES - 1):
                assert reason(await Visitor(lab).log_in(READER, "wrong")) == UNAUTHENTICATED
            assert (await Visitor(lab).log_in(READER, READER_PASSWORD)).status_code == 200

    house.run(go)


def test_an_address_is_locked_whatever_names_it_tries(house: SharedHouse, looks: list[str]) -> None:
    async def go(lab: Lab) -> None:
        guesser, other = Visitor(lab), Visitor(lab)
        for number in range(ADDRESS_TRIES - 1):
            assert reason(await guesser.log_in(f"name-{number}", "x")) == UNAUTHENTICATED
        assert (await guesser.log_in()).status_code == 200  # which is given back, and clears none of the others
        assert reason(await guesser.log_in("one-more", "x")) == UNAUTHENTICATED
        looks.clear()
        rows = await lab.count("login_throttle")
        answer = await guesser.log_in()
        assert reason(answer) == LOCKED
        assert int(answer.headers["retry-after"]) in (899, 900)
        assert reason(await guesser.log_in("new-name", "x")) == LOCKED
        assert (looks, await lab.count("login_throttle")) == ([], rows)  # costs neither a look nor a row
        assert (await other.log_in()).status_code == 200

    house.run(go)


def test_an_ipv6_network_is_one_address(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        for number in range(ADDRESS_TRIES):
            await Visitor(lab, f"2001:db8:1:2::{number:x}").log_in(f"name-{number}", "x")
        assert reason(await Visitor(lab, "2001:db8:1:2:ffff::1").log_in()) == LOCKED
        assert (await Visitor(lab, "2001:db8:1:3::1").log_in()).status_code == 200

    house.run(go)


def test_the_table_does_not_grow_for_ever(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        for number in range(5):
            await visitor.log_in(f"name-{number}", "x")
        assert await lab.count("login_throttle") == 6
        await lab.house.throttle.sweep()
        assert await lab.count("login_throttle") == 6
        await lab.house.db.execute("UPDATE login_throttle SET last_at = now() - interval '15 min 1 s'")
        await lab.house.throttle.sweep()
        assert await lab.count("login_throttle") == 0

    house.run(go)


# --- a flood, an unlucky moment ---------------------------------------------------------------------------------


def test_more_logins_than_can_be_looked_at_are_turned_away(
    house: SharedHouse, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may wait are answered, the others at once, without a look and without being counted."""
    over = 8
    go_on = threading.Event()

    def patient_check(password: str, stored: str) -> bool:
        assert go_on.wait(60)
        looks.append(stored)
        return check_password(password, stored)

    monkeypatch.setattr(login, "check_password", patient_check)

    async def go(lab: Lab) -> None:
        answers: list[httpx.Response] = []

        async def one(number: int) -> None:
            answers.append(await Visitor(lab).log_in(f"name-{number}", "wrong"))

        try:
            async with trio.open_nursery() as nursery:
                for number in range(login.MOST_WAITING + over):
                    nursery.start_soon(one, number)
                await until(lambda: len(answers) == over)
                assert {reason(answer) for answer in answers} == {LOCKED}
                assert {answer.headers["retry-after"] for answer in answers} == {str(login.FLOODED)}
                # Whoever is turned away has failed in nothing.
                assert {answer.json()["detail"] for answer in answers} == {"Too many logins are under way at once."}
                assert not any("failed" in answer.json()["title"] for answer in answers)
                assert (await Visitor(lab).ask("GET", "/api/session", headers=lab.bearer())).status_code == 200
                go_on.set()
        finally:
            go_on.set()
        assert [reason(answer) for answer in answers[over:]] == login.MOST_WAITING * [UNAUTHENTICATED]
        assert await lab.count("login_throttle") == 2 * login.MOST_WAITING
        assert (await Visitor(lab).log_in()).status_code == 200

    house.run(go)
    assert len(looks) == login.MOST_WAITING + 1


def test_whoever_leaves_while_he_is_looked_at_has_tried(house: SharedHouse) -> None:
    """Otherwise a guesser who hangs up each time would never be locked."""
    counted = "SELECT coalesce(sum(cardinality(tries)), 0) FROM login_throttle WHERE scope = 'account'"

    async def go(lab: Lab) -> None:
        for number in range(ACCOUNT_TRIES):

            async def arrived(number: int = number) -> bool:
                return bool(await lab.house.db.fetchval(counted) > number)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(Visitor(lab).log_in, "nobody", "wrong")
                await until(arrived)
                nursery.cancel_scope.cancel()
        assert reason(await Visitor(lab).log_in("nobody", "wrong")) == LOCKED

    house.run(go)


# --- what is left behind ----------------------------------------------------------------------------------------


def test_what_was_typed_is_told_nowhere(house: SharedHouse, caplog: pytest.LogCaptureFixture) -> None:
    """Also not a password that was typed as a name."""
    caplog.set_level(logging.DEBUG)
    typed = ["hunter2-as-a-name", "hunter2-as-a-password", ADMIN_PASSWORD, "hunter2-json"]

    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        await visitor.log_in(typed[0], typed[1])
        await visitor.log_in(ADMIN, typed[1])
        await visitor.log_in(ADMIN, typed[0])
        token = (await visitor.log_in()).json()["access_token"]
        broken = f'{{"username": "{typed[3]}", "password": }}'
        answer = await visitor.ask("POST", "/api/login", content=broken, headers={"Content-Type": "application/json"})
        assert reason(answer) == (400, "invalid_request")
        assert "The body is no JSON: " in answer.json()["detail"]
        await visitor.ask("DELETE", "/api/session", headers={"Authorization": f"Bearer {token}"})
        await visitor.ask("GET", "/api/session", headers={"Authorization": f"Bearer {token}"})
        tables = ("login_throttle", "audit_event", "revoked_token")
        rows = [await lab.house.db.fetch(f"SELECT to_jsonb({table})::text AS row FROM {table}") for table in tables]
        kept = "\n".join(row["row"] for each in rows for row in each)
        kept += answer.text + (await visitor.ask("GET", "/metrics")).text + (await visitor.ask("GET", "/healthz")).text
        for secret in (*typed, token, token.split(".")[1], token.split(".")[2]):
            assert secret not in kept
            assert secret not in caplog.text
        assert "login_failed" in kept
        assert '"action": "login_failed"' in caplog.text

    house.run(go)
