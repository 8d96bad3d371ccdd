"""Whether PUBLIC_BASE_URL can be an address of the internet, as far as the address itself tells."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

_LOCAL: Final = (".local", ".internal", ".home.arpa")
"""Ends of names that are for local networks only (RFC 6762, RFC 8375; .internal was set aside by ICANN in 2024)."""


def unreachable(base_url: str) -> str | None:
    """Why nobody outside can reach `base_url`, to be put behind its host; None when nothing speaks against it.

    No name is resolved: what a resolver says here and now is not what a provider sees.
    """
    host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    try:
        return _of_address(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return _of_name(host)


def _of_address(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return "is this machine itself"
    if ip.is_link_local:
        return "is good on one cable only (link-local)"
    if not ip.is_global or ip.is_multicast:
        return "is an address of local networks (private)"
    return None


def _of_name(host: str) -> str | None:
    if host == "localhost" or host.endswith(".localhost"):
        return "is this machine itself"
    labels = host.split(".")
    # A last part of digits is an old way of writing an IPv4 address (127.1), never a name.
    if len(labels) == 1 or host.endswith(_LOCAL) or labels[-1].isdigit():
        return "is a name of local networks"
    return None
