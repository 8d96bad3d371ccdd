"""Where a request comes from, behind proxies that are trusted and others."""

import ipaddress
from typing import Any

import pytest
from hypercorn.typing import HTTPScope
from quart import Quart
from werkzeug.datastructures import Headers

from photochanger.web import address
from photochanger.web.address import UNKNOWN, caller_address, counted_as, is_https
from photochanger.web.app import create_app

PROXY, INNER, GUEST, LIAR = "10.0.0.1", "10.0.0.2", "203.0.113.7", "198.51.100.66"
TRUSTED = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd00::/8")]


def scope_of(peer: str | None, headers: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": (peer, 1234) if peer else None,
        "server": ("127.0.0.1", 80),
        "extensions": {},
    }


async def asked(peer: str | None, *headers: tuple[str, str], trusted: Any = TRUSTED) -> tuple[str, bool]:
    """Address and https of a request from `peer`."""
    app: Quart = create_app()
    address.trust(app, trusted)
    scope: HTTPScope = scope_of(peer, list(headers))  # type: ignore[assignment]
    given = Headers([(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]])
    request = app.request_class(
        "GET", "http", "/", b"", given, "", "1.1", scope, send_push_promise=_never, max_content_length=None
    )
    async with app.request_context(request):
        return caller_address(), is_https()


async def _never(*_: Any) -> None:
    raise AssertionError("nothing is pushed")


def via(*hops: str) -> tuple[str, str]:
    return "X-Forwarded-For", ", ".join(hops)


@pytest.mark.parametrize(
    ("peer", "headers", "found"),
    [
        (GUEST, [], GUEST),
        (GUEST, [via(LIAR)], GUEST),  # nobody believes a guest
        (PROXY, [], PROXY),
        (PROXY, [via(GUEST)], GUEST),
        (PROXY, [via(LIAR, GUEST)], GUEST),  # what the proxy has added is the last
        (PROXY, [via(LIAR, GUEST, INNER)], GUEST),
        (PROXY, [via(LIAR), via(GUEST)], GUEST),
        (PROXY, [via(LIAR, GUEST), via(INNER)], GUEST),
        (PROXY, [via(INNER)], INNER),
        (PROXY, [via("")], PROXY),
        (PROXY, [via("unknown")], PROXY),
        (PROXY, [via(GUEST, "_hidden")], PROXY),
        (PROXY, [via(GUEST, "")], PROXY),
        (PROXY, [via(f"{GUEST}:4711")], GUEST),
        (PROXY, [via("[2001:db8::1]:4711")], "2001:db8::1"),
        (PROXY, [via("2001:DB8:0:0::1")], "2001:db8::1"),
        (PROXY, [via("fe80::1%eth0")], "fe80::1"),
        (PROXY, [via("::ffff:203.0.113.7")], GUEST),
        (f"::ffff:{PROXY}", [via(GUEST)], GUEST),
        ("fd00::1", [via(GUEST)], GUEST),
        (PROXY, [via(*100 * [INNER], GUEST)], GUEST),
        (PROXY, [via(GUEST, *100 * [INNER])], INNER),  # so many hops nobody has
        (PROXY, [via("203.0.113.7; x=y")], PROXY),
        (PROXY, [via("0203.0.113.7")], PROXY),
        (PROXY, [("Forwarded", f"for={GUEST}")], PROXY),
        (PROXY, [("X-Real-IP", GUEST)], PROXY),
        (GUEST, [("Remote-Addr", PROXY), via(LIAR)], GUEST),
        (None, [via(GUEST)], UNKNOWN),
    ],
)
async def test_where_it_comes_from(peer: str | None, headers: list[tuple[str, str]], found: str) -> None:
    assert (await asked(peer, *headers))[0] == found


async def test_without_trust_nobody_is_believed() -> None:
    forwarded = (via(GUEST), ("X-Forwarded-Proto", "https"))
    assert await asked("127.0.0.1", *forwarded, trusted=[]) == ("127.0.0.1", False)


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [
        (PROXY, "https", True),
        (PROXY, "HTTPS", True),
        (PROXY, "http, https", True),
        (PROXY, "https, http", False),
        (PROXY, "", False),
        (GUEST, "https", False),
        (None, "https", False),
    ],
)
async def test_https_at_the_proxy(peer: str | None, proto: str, secure: bool) -> None:
    assert (await asked(peer, ("X-Forwarded-Proto", proto)))[1] is secure


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        (UNKNOWN, UNKNOWN),
    ],
)
def test_what_is_counted_together(given: str, counted: str) -> None:
    assert counted_as(given) == counted
