"""Listening sockets: bound by ourselves, or inherited from whoever started the process."""

import errno
import os
import socket
from collections.abc import Mapping

import trio

INHERITED = 3
"""The first inherited descriptor by the socket activation convention (sd_listen_fds)."""


async def open_listeners(
    host: str, port: int, *, backlog: int = 1024, user_timeout: float = 30.0, environ: Mapping[str, str] = os.environ
) -> list[trio.SocketListener]:
    """Sockets that listen on `host` (a name, an IPv4 or IPv6 literal, or "" for every interface) and `port`.

    Port 0 takes any free port, of the first address of `host` only. Sockets handed over by the starter win over
    `host` and `port`: those counted by LISTEN_FDS when LISTEN_PID is this process; `host` may also name one
    descriptor as "fd://3". They are duplicated, so that a restart inside the process can open them again.

    Raises OSError when binding fails or a descriptor is not a listening stream socket.
    """
    descriptors = _inherited(host, environ)
    if descriptors:
        listeners = [_adopt(descriptor) for descriptor in descriptors]
    else:
        listeners = await trio.open_tcp_listeners(port, host=host or None, backlog=backlog)
        if port == 0:
            for extra in listeners[1:]:
                extra.socket.close()
            del listeners[1:]
    for listener in listeners:
        _tune(listener.socket, user_timeout)
    return listeners


def _inherited(host: str, environ: Mapping[str, str]) -> list[int]:
    if host.startswith("fd://"):
        return [int(host.removeprefix("fd://"))]
    if environ.get("LISTEN_PID") == str(os.getpid()):
        return list(range(INHERITED, INHERITED + int(environ.get("LISTEN_FDS", "0"))))
    return []


def _adopt(descriptor: int) -> trio.SocketListener:
    sock = socket.socket(fileno=os.dup(descriptor))
    try:
        return trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    except ValueError as error:
        sock.close()
        raise OSError(errno.EINVAL, f"descriptor {descriptor} is not a listening stream socket") from error


def _tune(sock: trio.socket.SocketType, user_timeout: float) -> None:
    """Options that Linux hands down to accepted connections: notice peers that vanished without a word.

    TCP_USER_TIMEOUT ends a connection whose peer acknowledges nothing or keeps its window shut; keep-alive probes
    do the same for a held request, during which neither side sends.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = {
        "TCP_USER_TIMEOUT": int(user_timeout * 1000),
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 4,
    }
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in options.items():
        option = getattr(socket, name, None)  # not every system has each of them
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
