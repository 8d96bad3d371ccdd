"""Where a request comes from: the connection's other end, or what a proxy that we trust says of it."""

import ipaddress
from collections.abc import Sequence
from typing import Any, Final, cast

from quart import Quart, Request, current_app, request

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN: Final = "local"
"""Told of a caller without an address: over a Unix socket."""
_KEY: Final = "photochanger.trusted_proxies"
_MOST_HOPS: Final = 20


def trust(app: Quart, proxies: Sequence[Network]) -> None:
    """Believe what these say of where a request to `app` comes from. Without this call nobody is believed."""
    app.config[_KEY] = tuple(proxies)


def caller_address() -> str:
    """The address of whoever made the present request, as an IPv4 or IPv6 address without port and zone.

    Behind trusted proxies it is the last hop of X-Forwarded-For that is none of them: what stands further left was
    written by whoever sent it.
    """
    return address_of(request, _trusted())


def is_https() -> bool:
    """The present request came by https, here or at a proxy that we trust."""
    if request.scheme == "https":
        return True
    peer = _peer(request)
    if peer is None or not _within(peer, _trusted()):
        return False
    return request.headers.get("X-Forwarded-Proto", "").rpartition(",")[2].strip().lower() == "https"


def address_of(request: Request, trusted: Sequence[Network]) -> str:
    """As `caller_address`, of any request."""
    found = _peer(request)
    if found is None:
        return UNKNOWN
    hops = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    for hop in reversed(hops[-_MOST_HOPS:]):
        if not _within(found, trusted):
            break
        following = _parsed(hop.strip())
        if following is None:
            break
        found = following
    return str(found)


def counted_as(address: str) -> str:
    """What is counted together: an IPv4 address by itself, of IPv6 the /64, which one customer gets as a whole."""
    found = _parsed(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return address


def _peer(request: Request) -> _Address | None:
    # Not request.remote_addr: Quart keeps that among the headers, where clients write too.
    client = cast("dict[str, Any]", request.scope).get("client")
    return _parsed(client[0]) if client else None


def _trusted() -> Sequence[Network]:
    found: Sequence[Network] = cast("dict[str, Any]", current_app.config).get(_KEY, ())
    return found


def _within(address: _Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> _Address | None:
    """An address, also with a port or a zone as some proxies write it; None when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
