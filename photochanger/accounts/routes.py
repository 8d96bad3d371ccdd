"""Logging in and out, who there is, and what was done: `/api/login`, `/api/session`, `/api/accounts`, `/api/audit`."""

from datetime import UTC, datetime
from typing import Final

from quart import Blueprint, Response, request

from photochanger.accounts import audit
from photochanger.accounts.audit import Audit
from photochanger.accounts.credentials import AccountBook
from photochanger.accounts.login import Logins
from photochanger.accounts.revoked import RevokedTokens
from photochanger.accounts.tokens import Tokens
from photochanger.accounts.views import (
    MOST_OF_LOGIN,
    AccountList,
    AccountsMeta,
    AccountView,
    AuditList,
    AuditPlace,
    AuditQuery,
    Credentials,
    SessionView,
    TokenView,
)
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.access import Access
from photochanger.web.address import caller_address, is_https
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import Identity, caller
from photochanger.web.inputs import in_utc, read_json, read_query
from photochanger.web.openapi import SESSION_COOKIE
from photochanger.web.outputs import answer, nothing
from photochanger.web.paging import page_of, read_cursor

_LOGIN_PROBLEMS: Final = (Reason.UNAUTHENTICATED, Reason.LOGIN_LOCKED, Reason.DATABASE_UNAVAILABLE)
_LOCKED: Final = {429: {"Retry-After": "Seconds until the lock ends."}}


def blueprint(
    accounts: AccountBook, tokens: Tokens, logins: Logins, revoked: RevokedTokens, events: Audit, *, https: bool
) -> Blueprint:
    """The routes. `https`: the public address is one, so the cookie never travels without TLS."""
    routes = Blueprint("accounts", __name__)

    @routes.post("/api/login")
    @contract(
        "A token for a user name and a password.",
        tag="accounts",
        access=Access.PUBLIC,
        request=json_body(Credentials),
        responses={200: [json_body(TokenView)]},
        problems=_LOGIN_PROBLEMS,
        headers=_LOCKED,
    )
    async def login() -> Response:
        given = await read_json(request, Credentials, most=MOST_OF_LOGIN)
        account = await logins.log_in(given.username, given.password, caller_address())
        token, _ = tokens.give(account)
        return answer(TokenView(token, "bearer", tokens.life))

    @routes.post("/api/session")
    @contract(
        "Log a page in: the token goes into a cookie that no script can read.",
        tag="accounts",
        access=Access.PUBLIC,
        request=json_body(Credentials),
        responses={200: [json_body(SessionView)]},
        problems=(*_LOGIN_PROBLEMS, Reason.FORBIDDEN),
        headers=_LOCKED | {200: {"Set-Cookie": f"`{SESSION_COOKIE}`: HttpOnly, SameSite=Strict."}},
    )
    async def begin_session() -> Response:
        _require_own_page()
        given = await read_json(request, Credentials, most=MOST_OF_LOGIN)
        account = await logins.log_in(given.username, given.password, caller_address())
        token, identity = tokens.give(account)
        response = answer(_session(identity))
        _set_cookie(response, token, tokens.life)
        return response

    @routes.get("/api/session")
    @contract(
        "Who is logged in, and the token that a page sends along with its changes.",
        tag="accounts",
        access=Access.LOGIN,
        responses={200: [json_body(SessionView)]},
    )
    async def show_session() -> Response:
        return answer(_session(caller()))

    @routes.delete("/api/session")
    @contract(
        "Log out: the token that this request shows is worth nothing from now on.",
        tag="accounts",
        access=Access.LOGIN,
        responses={204: []},
        headers={204: {"Set-Cookie": f"Removes `{SESSION_COOKIE}`."}},
    )
    async def end_session() -> Response:
        who = caller()
        await revoked.revoke(who)
        await events.record(audit.LOGOUT, actor=who.username, subject=who.username, address=caller_address())
        response = nothing()
        _set_cookie(response, "", 0)
        return response

    @routes.get("/api/accounts")
    @contract(
        "The administrators and what each may do.",
        tag="accounts",
        access=Permission.SETTINGS_READ,
        responses={200: [json_body(AccountList)]},
    )
    async def list_accounts() -> Response:
        found = [AccountView(account.username, sorted(account.permissions)) for account in accounts.all()]
        return answer(AccountList(found, AccountsMeta(len(found))))

    @routes.get("/api/audit")
    @contract(
        "What was done that matters to security, newest first.",
        tag="accounts",
        access=Permission.SETTINGS_READ,
        query=AuditQuery,
        responses={200: [json_body(AuditList)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def list_events() -> Response:
        asked = read_query(request, AuditQuery)
        after = read_cursor(asked.cursor, AuditPlace)
        found = await events.read(
            limit=asked.limit + 1,
            action=asked.action,
            actor=asked.actor,
            subject=asked.subject,
            since=in_utc("from", asked.since),
            until=in_utc("to", asked.until),
            before=after and after.id,
        )
        return answer(AuditList(*page_of(found, asked.limit, lambda event: AuditPlace(event.id))))

    def _session(who: Identity) -> SessionView:
        expires_at = datetime.fromtimestamp(who.expires_at, UTC)
        return SessionView(who.username, sorted(who.permissions), expires_at, tokens.csrf_token(who))

    def _set_cookie(response: Response, value: str, max_age: int) -> None:
        secure = https or is_https()
        response.set_cookie(
            SESSION_COOKIE, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="Strict"
        )

    return routes


def _require_own_page() -> None:
    """A foreign page must not log its visitor in as somebody else: whatever he does then, that other one sees.

    It cannot send JSON without being allowed to beforehand; browsers say besides where a request comes from.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Refusal(Reason.FORBIDDEN, "Another site cannot log you in here.")
