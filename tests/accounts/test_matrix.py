"""Who may call which route: the table, and every route of the running house tried with every kind of credentials.

A new route needs one line in ACCESS; without it, and with a line that no route has, a test fails.
"""

import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt
import pytest
import trio

from photochanger.accounts.credentials import Account, write_accounts
from photochanger.accounts.tokens import Tokens
from photochanger.domain.permission import Permission
from photochanger.web.access import Access, Needs
from photochanger.web.contract import contract_of
from photochanger.web.openapi import CSRF_HEADER, SESSION_COOKIE
from tests.accounts.asking import Visitor
from tests.house.shared import SharedHouse
from tests.lab.house import Lab

PUBLIC, OPTIONAL, LOGIN = Access
SETTINGS_READ, SETTINGS_WRITE, SLOTS_WRITE, STATS_READ = Permission

ACCESS: Final[dict[str, Needs]] = {
    # accounts
    "GET /api/accounts": SETTINGS_READ,
    "GET /api/audit": SETTINGS_READ,
    "POST /api/login": PUBLIC,
    "DELETE /api/session": LOGIN,
    "GET /api/session": LOGIN,
    "POST /api/session": PUBLIC,
    # settings
    "GET /api/settings": SETTINGS_READ,
    "PUT /api/settings": SETTINGS_WRITE,
    "GET /api/settings/changes": SETTINGS_READ,
    "POST /api/settings/ingest-password": SETTINGS_WRITE,
    "DELETE /api/settings/provider-keys/<provider>": SETTINGS_WRITE,
    "PUT /api/settings/provider-keys/<provider>": SETTINGS_WRITE,
    "POST /api/settings/provider-keys/<provider>/check": SETTINGS_WRITE,
    # slots
    "GET /api/slots": SLOTS_WRITE,
    "POST /api/slots": SLOTS_WRITE,
    "DELETE /api/slots/<slot_id>": SLOTS_WRITE,
    "GET /api/slots/<slot_id>": SLOTS_WRITE,
    "PUT /api/slots/<slot_id>": SLOTS_WRITE,
    "GET /api/slots/<slot_id>/changes": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/duplicate": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/password": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/restore": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/restore-archived": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/signing-key": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/test-run": SLOTS_WRITE,
    "POST /api/slots/bulk": SLOTS_WRITE,
    # templates
    "DELETE /api/slots/<slot_id>/templates/<position>": SLOTS_WRITE,
    "PUT /api/slots/<slot_id>/templates/<position>": SLOTS_WRITE,
    "GET /api/templates": SLOTS_WRITE,
    "POST /api/templates": SLOTS_WRITE,
    "DELETE /api/templates/<template_id>": SLOTS_WRITE,
    "GET /api/templates/<template_id>": SLOTS_WRITE,
    "GET /api/templates/<template_id>/picture": SLOTS_WRITE,
    "GET /api/templates/<template_id>/preview": SLOTS_WRITE,
    # presets
    "GET /api/slot-presets": SLOTS_WRITE,
    "POST /api/slot-presets": SLOTS_WRITE,
    "DELETE /api/slot-presets/<preset_id>": SLOTS_WRITE,
    "GET /api/slot-presets/<preset_id>": SLOTS_WRITE,
    "PUT /api/slot-presets/<preset_id>": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/apply-preset": SLOTS_WRITE,
    # booths
    "POST /api/ingest/<path:slot_id>": PUBLIC,
    # jobs
    "GET /api/jobs": STATS_READ,
    "GET /api/jobs/<job_id>": OPTIONAL,
    "POST /api/jobs/<job_id>/cancel": SLOTS_WRITE,
    "GET /api/jobs/<job_id>/original": SLOTS_WRITE,
    "POST /api/jobs/<job_id>/rerun": SLOTS_WRITE,
    "GET /api/results/<job_id>": OPTIONAL,
    # gallery
    "GET /api/jobs/<job_id>/guest-link": SLOTS_WRITE,
    "GET /api/results.zip": SLOTS_WRITE,
    "POST /api/results/<job_id>/approve": SLOTS_WRITE,
    "POST /api/results/<job_id>/reject": SLOTS_WRITE,
    "POST /api/results/<job_id>/undecide": SLOTS_WRITE,
    "POST /api/share": SLOTS_WRITE,
    "POST /api/slots/<slot_id>/cleanup": SLOTS_WRITE,
    "GET /api/slots/<slot_id>/gallery-link": SLOTS_WRITE,
    "GET /api/slots/<slot_id>/moderation": SLOTS_WRITE,
    "GET /api/slots/<slot_id>/results.zip": SLOTS_WRITE,
    "GET /public/share/<token>": PUBLIC,
    "GET /public/slots/<slot_id>": PUBLIC,
    "GET /r/<token>": PUBLIC,
    "GET /r/<token>/qr.png": PUBLIC,
    "GET /r/<token>/qr.svg": PUBLIC,
    # guests and providers
    "GET /public/media/<name>": PUBLIC,
    "GET /public/results/<job_id>": PUBLIC,
    "GET /public/results/<job_id>/preview": PUBLIC,
    # statistics
    "GET /api/stats/<slot_id>": STATS_READ,
    "GET /api/stats/<slot_id>/recent_results": STATS_READ,
    "GET /api/stats/global": STATS_READ,
    "GET /api/stats/providers": STATS_READ,
    "GET /api/stats/slots": STATS_READ,
    "GET /api/stats/system": STATS_READ,
    # providers
    "GET /api/providers": PUBLIC,
    # the house
    "GET /healthz": PUBLIC,
    "GET /metrics": PUBLIC,
    "GET /readyz": PUBLIC,
    # the contract
    "GET /docs": PUBLIC,
    "GET /docs/<name>": PUBLIC,
    "GET /openapi.json": PUBLIC,
}

KINDS: Final = (
    "none",
    "expired",
    "wrong key",
    "alg none",
    "wrong permission",
    "right",
    "cookie",
    "cookie alone",
    "expired cookie",
)
_KEY: Final = 32 * b"another key"
_FIRST: Final = Account("somebody", "$2b$04$" + 53 * ".", frozenset())


def described(lab: Lab) -> dict[str, Needs]:
    """What the contracts of the running house's routes say."""
    app = lab.house.app
    return {
        f"{method} {rule.rule}": contract_of(app.view_functions[rule.endpoint]).access
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def accounts() -> Iterator[Account]:
    """For every permission one that has nothing else, and one that has everything else."""
    for permission in Permission:
        name = permission.replace(":", "-")
        yield Account(f"only-{name}", _FIRST.password_hash, frozenset({permission}))
        yield Account(f"not-{name}", _FIRST.password_hash, frozenset(Permission) - {permission})
    yield _FIRST


def credentials(lab: Lab, kind: str, needed: Needs) -> dict[str, str] | None:
    """The headers of a request with this kind of credentials; None where there is no such kind for `needed`."""
    house = lab.house
    name = needed.replace(":", "-")
    right = house.accounts.find(f"only-{name}" if isinstance(needed, Permission) else _FIRST.username)
    assert right is not None
    # A token that may everything, but for the one thing that is wrong with it.
    everything = house.accounts.find("serg")
    assert everything is not None
    match kind:
        case "none":
            return {}
        case "expired" | "expired cookie":
            then = Tokens(
                house.accounts,
                house.tokens._keys,
                life=house.tokens.life,
                clock=lambda: time.time() - house.tokens.life,
            )
            token = then.give(everything)[0]
            return _bearer(token) if kind == "expired" else _cookie(token)
        case "wrong key":
            return _bearer(Tokens(house.accounts, [_KEY], life=house.tokens.life).give(everything)[0])
        case "alg none":
            claims = jwt.decode(house.tokens.give(everything)[0], options={"verify_signature": False})
            return _bearer(jwt.encode(claims, "", algorithm="none"))
        case "wrong permission":
            wrong = house.accounts.find(f"not-{name}")
            return _bearer(house.tokens.give(wrong)[0]) if wrong else None
        case "right":
            return _bearer(house.tokens.give(right)[0])
        case "cookie":
            token, identity = house.tokens.give(right)
            return _cookie(token) | {CSRF_HEADER: house.tokens.csrf_token(identity)}
        case "cookie alone":
            return _cookie(house.tokens.give(right)[0])
    raise AssertionError(kind)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _cookie(token: str) -> dict[str, str]:
    return {"Cookie": f"{SESSION_COOKIE}={token}"}


def expected(kind: str, needed: Needs, method: str) -> str | None:
    """How the guard answers; None where it lets the request through to the route, whatever that makes of it."""
    if needed is PUBLIC:
        return None
    if kind in ("expired", "wrong key", "alg none"):
        return "unauthenticated"  # also where strangers are welcome: who shows something bad should know
    if kind in ("none", "expired cookie"):
        return None if needed is OPTIONAL else "unauthenticated"
    if kind == "wrong permission":
        return "forbidden"
    if kind == "cookie alone" and method != "GET":
        return "forbidden"
    return None


@pytest.fixture(scope="module")
def house(house: SharedHouse) -> SharedHouse:
    """With accounts for the table."""

    async def add(lab: Lab) -> None:
        book = lab.house.accounts
        await trio.to_thread.run_sync(write_accounts, book.path, [*book.all(), *accounts()])
        await book.refresh()

    house.run(add)
    return house


def test_the_table_says_what_the_contracts_say(house: SharedHouse) -> None:
    """Of every route, and of no other."""

    async def go(lab: Lab) -> None:
        assert described(lab) == ACCESS

    house.run(go)


@pytest.mark.parametrize("route", ACCESS)
def test_every_kind_of_credentials(house: SharedHouse, route: str) -> None:
    method, path = route.split()
    needed = ACCESS[route]

    async def go(lab: Lab) -> None:
        seen: dict[str, Any] = {}
        wanted: dict[str, Any] = {}
        for kind in KINDS:
            headers = credentials(lab, kind, needed)
            if headers is not None:
                answer = await Visitor(lab).ask(method, _filled(path), headers=headers)
                seen[kind] = _refused(answer)
                wanted[kind] = expected(kind, needed, method)
        assert seen == wanted

    house.run(go)


def _filled(path: str) -> str:
    """The path with something for each variable that exists nowhere."""
    parts = path.split("/")
    return "/".join(str(uuid4()) if part.startswith("<") else part for part in parts)


def _refused(answer: httpx.Response) -> str | None:
    """The guard's reason; every other answer is the route's own."""
    assert answer.status_code < 500, answer.text
    if answer.status_code not in (401, 403):
        return None
    found: str = answer.json()["failure_reason"]
    assert (answer.status_code, found) in ((401, "unauthenticated"), (403, "forbidden")), answer.text
    return found
