"""A page's session: its cookie, its token against foreign pages, and its end."""

import time
from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from photochanger.accounts.tokens import Tokens
from photochanger.domain.permission import Permission
from photochanger.web.openapi import CSRF_HEADER, SESSION_COOKIE
from tests.accounts.asking import Visitor, reason
from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import ADMIN, ADMIN_PASSWORD, READER, READER_PASSWORD, Lab
from tests.lab.waiting import until
from tests.postgres import PostgresServer

UNAUTHENTICATED, FORBIDDEN = (401, "unauthenticated"), (403, "forbidden")


def cookie(answer: httpx.Response) -> dict[str, str]:
    """The value and the attributes of the one cookie that an answer sets."""
    [header] = answer.headers.get_list("set-cookie")
    [(name, morsel)] = SimpleCookie(header).items()
    assert name == SESSION_COOKIE
    return {"value": morsel.value} | {key: str(value) for key, value in morsel.items() if value and key != "expires"}


async def ask(lab: Lab, method: str, **headers: str) -> httpx.Response:
    return await Visitor(lab).ask(method, "/api/session", headers=headers)


# --- the cookie -------------------------------------------------------------------------------------------------


def test_a_page_logs_in_looks_and_logs_out(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        answer = await visitor.log_in(READER, READER_PASSWORD, "/api/session")
        view = answer.json()
        assert answer.headers["cache-control"] == "no-store"
        assert (view["username"], view["permissions"]) == (READER, [Permission.STATS_READ])
        assert view["expires_at"].endswith("Z")
        set_cookie = cookie(answer)
        assert set_cookie.pop("value") not in answer.text
        assert set_cookie == {"path": "/", "max-age": "43200", "httponly": "True", "samesite": "Strict"}

        page = await visitor.page(READER, READER_PASSWORD)
        shown = await page.ask("GET", "/api/session")
        assert (shown.json()["username"], shown.json()["csrf_token"]) == (READER, page.csrf)
        assert "set-cookie" not in shown.headers

        gone = await page.ask("DELETE", "/api/session", csrf=page.csrf)
        assert (gone.status_code, gone.content) == (204, b"")
        removed = cookie(gone)
        assert (removed["value"], removed["max-age"], removed["path"]) == ("", "0", "/")
        assert {"httponly", "samesite"} <= set(removed)
        assert reason(await page.ask("GET", "/api/session")) == UNAUTHENTICATED
        assert reason(await page.ask("DELETE", "/api/session", csrf=page.csrf)) == UNAUTHENTICATED

    house.run(go)


@pytest.mark.parametrize(
    ("forwarded", "secure"), [("https", True), ("http", False), ("https, http", False), ("http, HTTPS", True)]
)
def test_the_cookie_needs_tls_where_the_page_came_by_it(house: SharedHouse, forwarded: str, secure: bool) -> None:
    async def go(lab: Lab) -> None:
        headers = {"X-Forwarded-Proto": forwarded}
        answer = await Visitor(lab).log_in(path="/api/session", headers=headers)
        assert ("secure" in cookie(answer)) is secure

    house.run(go)


@pytest.mark.parametrize(("public", "secure"), [("https://photos.example", True), ("http://127.0.0.1:1", False)])
def test_the_cookie_needs_tls_where_the_public_address_has_it(
    postgres_server: PostgresServer, tmp_path: Any, public: str, secure: bool
) -> None:
    async def go(lab: Lab) -> None:
        # Nobody is trusted here: what a stranger says of a proxy counts for nothing.
        headers = {"X-Forwarded-Proto": "https"}
        assert ("secure" in cookie(await Visitor(lab).log_in(path="/api/session", headers=headers))) is secure

    with shared_house(postgres_server, tmp_path, public_base_url=public) as house:
        house.run(go)


def test_a_bad_cookie_is_no_login(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        token = lab.bearer()["Authorization"].removeprefix("Bearer ")
        for bad in ("", "x", "a.b.c", token[:-1], f'"{token}x"', f"{token}.", "é", '"', "=", "\\303\\251"):
            answer = await Visitor(lab).ask(
                "GET", "/api/session", headers=_bytes({"Cookie": f"{SESSION_COOKIE}={bad}"})
            )
            assert reason(answer) == UNAUTHENTICATED, bad

    house.run(go)


def _bytes(headers: dict[str, str]) -> Any:
    return {name: value.encode("latin-1") for name, value in headers.items()}


# --- logging out ------------------------------------------------------------------------------------------------


def test_a_program_logs_out_too(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        bearer, other = lab.bearer(), lab.bearer()
        assert (await ask(lab, "DELETE", **bearer)).status_code == 204
        assert reason(await ask(lab, "GET", **bearer)) == UNAUTHENTICATED
        assert (await ask(lab, "GET", **other)).status_code == 200  # another login of the same account

    house.run(go)


def test_another_process_hears_of_it(house: SharedHouse) -> None:
    """What somebody else has written into the table is known here at once."""

    async def go(lab: Lab) -> None:
        account = lab.house.accounts.find(ADMIN)
        assert account is not None
        token, identity = lab.house.tokens.give(account)
        bearer = {"Authorization": f"Bearer {token}"}
        assert (await ask(lab, "GET", **bearer)).status_code == 200
        await lab.house.db.execute(
            "INSERT INTO revoked_token VALUES ($1, now() + interval '1 hour')", identity.token_id
        )
        await until(lambda: identity.token_id in lab.house.revoked)
        assert reason(await ask(lab, "GET", **bearer)) == UNAUTHENTICATED

    house.run(go)


# --- foreign pages ----------------------------------------------------------------------------------------------


def test_a_change_needs_the_pages_own_token(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        visitor = Visitor(lab)
        page, other = await visitor.page(), await visitor.page()
        assert page.csrf != other.csrf
        bad = ["", "x", other.csrf, page.csrf[:-1], page.csrf + "0", page.csrf.upper(), page.cookie, "é"]
        for given in [None, *bad]:
            headers = {} if given is None else _bytes({CSRF_HEADER: given})
            answer = await page.ask("DELETE", "/api/session", headers=headers)
            assert reason(answer) == FORBIDDEN, given
        assert (await page.ask("GET", "/api/session")).status_code == 200  # looking needs none
        assert (await page.ask("DELETE", "/api/session", csrf=page.csrf)).status_code == 204

    house.run(go)


def test_a_bearer_needs_none_and_counts_before_a_cookie(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        page = await Visitor(lab).page()
        reader = lab.bearer(READER)
        both = await page.ask("GET", "/api/session", headers=reader)
        assert both.json()["username"] == READER
        # A worthless header is not made good by a cookie beside it.
        token = reader["Authorization"].removeprefix("Bearer ")
        for worthless in ("Bearer x", "Bearer", "", "Basic c2VyZzp4", f"Basic {token}", f"Token {token}", token):
            answer = await page.ask("GET", "/api/session", headers={"Authorization": worthless})
            assert reason(answer) == UNAUTHENTICATED, worthless
        assert (await page.ask("DELETE", "/api/session", headers=reader)).status_code == 204
        assert (await page.ask("GET", "/api/session")).status_code == 200  # it was the reader who left

    house.run(go)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_foreign_page_cannot_log_its_visitor_in(house: SharedHouse, site: str) -> None:
    async def go(lab: Lab) -> None:
        answer = await Visitor(lab).log_in(path="/api/session", headers={"Sec-Fetch-Site": site})
        assert reason(answer) == FORBIDDEN
        assert "set-cookie" not in answer.headers
        for own in ("same-origin", "none"):
            answer = await Visitor(lab).log_in(path="/api/session", headers={"Sec-Fetch-Site": own})
            assert answer.status_code == 200

    house.run(go)


def test_no_foreign_page_is_told_that_it_may(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        asked["Access-Control-Request-Headers"] = "content-type"
        for method, path in (("OPTIONS", "/api/session"), ("OPTIONS", "/api/login"), ("GET", "/api/session")):
            answer = await Visitor(lab).ask(method, path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    house.run(go)


# --- the account changes ----------------------------------------------------------------------------------------


def test_an_expired_session_is_a_stranger(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        tokens, account = lab.house.tokens, lab.house.accounts.find(ADMIN)
        assert account is not None
        old = Tokens(lab.house.accounts, tokens._keys, life=tokens.life, clock=lambda: time.time() - tokens.life)
        token, identity = old.give(account)
        headers = {"Cookie": f"{SESSION_COOKIE}={token}", CSRF_HEADER: tokens.csrf_token(identity)}
        for method in ("GET", "DELETE"):
            assert reason(await ask(lab, method, **headers)) == UNAUTHENTICATED
        assert (await Visitor(lab).ask("GET", "/healthz", headers=headers)).status_code == 200

    house.run(go)


def test_the_list_of_accounts_holds_no_hash(house: SharedHouse) -> None:
    async def go(lab: Lab) -> None:
        answer = await Visitor(lab).ask("GET", "/api/accounts", headers=lab.bearer())
        assert answer.json() == {
            "data": [
                {"username": READER, "permissions": ["stats:read"]},
                {"username": ADMIN, "permissions": ["settings:read", "settings:write", "slots:write", "stats:read"]},
            ],
            "meta": {"count": 2},
        }
        assert "$2" not in answer.text
        assert ADMIN_PASSWORD not in answer.text

    house.run(go)
