"""Under which address a booth on the local network would reach this machine."""

import socket

from photochanger.config import LOOPBACK

_ANYWHERE = ("192.0.2.1", 9)
"""An address reserved for documentation. Nothing is sent to it: choosing a route is enough to learn our own."""


def own_address() -> str | None:
    """This machine's address on its network, None when it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") or address == "0.0.0.0" else address


def is_loopback(host: str) -> bool:
    """True when only this machine reaches a server that listens on `host`."""
    return host in LOOPBACK or host.startswith("127.")


def lan_address(host: str, port: int) -> str:
    """The base URL for a booth: of `host` itself, or of the machine where `host` means every address."""
    if host in {"0.0.0.0", "::"} or is_loopback(host):
        host = own_address() or "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
