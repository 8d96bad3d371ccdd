"""One GET into a file: capped and written while it comes, from addresses of the open internet only."""

import ipaddress
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import trio

from photochanger.errors import StorageUnavailable
from photochanger.providers.http import (
    FAILURES,
    ReplyTooLarge,
    Sockets,
    TransportFailed,
    describe,
)

CHUNK: Final = 512 * 1024
"""Bytes that are gathered before a thread writes them."""

CONNECT_TIMEOUT: Final = 5.0


class ForbiddenAddress(Exception):
    """A name leads into a private network."""


class Fetched:
    """What came: the status, the headers in lower case, and of a 200 the size and the first bytes."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.size = 0
        self.start = b""


class Fetcher:
    """GETs, each over a connection of its own. `loopback` lets it reach this machine, for simulators.

    Its repr shows no key.
    """

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        key: str | None,
        *,
        loopback: bool,
        cap: int,
        limiter: trio.CapacityLimiter,
    ) -> None:
        self._ssl_context = ssl_context
        self._key = key
        self._loopback = loopback
        self._cap = cap
        self._limiter = limiter

    async def get(self, url: str, path: Path, *, show_key: bool = False) -> Fetched:
        """The body of a 200 is in `path` afterwards; other bodies are not read. Redirects are not followed.

        The caller answers for whom the key is shown.

        Raises TransportFailed, ReplyTooLarge, StorageUnavailable and ForbiddenAddress; there may then be a part of
        the file. Bounded by the caller's cancel scope only. When it ends, however it ends, the connection is closed.
        """
        sockets = _PublicSockets(self._loopback)
        pool = httpcore.AsyncConnectionPool(ssl_context=self._ssl_context, max_connections=1, network_backend=sockets)
        fetched = Fetched()
        try:
            response = await pool.handle_async_request(self._request(url, show_key))
            fetched.status = response.status
            fetched.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            if response.status == 200:
                await self._save(response, fetched, path)
            return fetched
        except FAILURES as error:
            raise TransportFailed(describe(error)) from None
        finally:
            with trio.CancelScope(shield=True):  # closes sockets, waits for nobody
                await pool.aclose()
                await sockets.aclose()

    def _request(self, url: str, show_key: bool) -> httpcore.Request:
        headers = [
            (b"Host", urlsplit(url).netloc.encode("ascii")),
            (b"User-Agent", b"PhotoChanger"),
            (b"Accept-Encoding", b"identity"),
            (b"Connection", b"close"),
        ]
        if show_key and self._key is not None:
            headers.append((b"Authorization", f"Bearer {self._key}".encode()))
        timeouts = {"connect": CONNECT_TIMEOUT, "write": CONNECT_TIMEOUT, "pool": CONNECT_TIMEOUT, "read": None}
        return httpcore.Request("GET", url, headers=headers, extensions={"timeout": timeouts})

    async def _save(self, response: httpcore.Response, fetched: Fetched, path: Path) -> None:
        announced = fetched.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._cap:
            raise ReplyTooLarge(f"the picture has {announced} bytes, at most {self._cap} are taken")
        problem: Exception | None = None
        gathered = bytearray()
        # Leaving the loop by cancellation, not by an exception, unwinds httpcore's nested generators from the inside.
        with trio.CancelScope() as reading:
            async for piece in response.aiter_stream():
                fetched.size += len(piece)
                if problem is None and fetched.size > self._cap:
                    problem = ReplyTooLarge(f"the picture is larger than {self._cap} bytes")
                if problem is not None:
                    reading.cancel()
                    continue
                gathered += piece
                if len(gathered) >= CHUNK:
                    problem = await self._write(path, gathered, fetched)
        if problem is None and gathered:
            problem = await self._write(path, gathered, fetched)
        if problem is not None:
            raise problem

    async def _write(self, path: Path, gathered: bytearray, fetched: Fetched) -> StorageUnavailable | None:
        """Put `gathered` behind what is there, the first time instead of it. A write takes milliseconds, and being
        cancelled here would leave httpcore's generators to the garbage collector, so it is not.
        """
        first = not fetched.start
        if first:
            fetched.start = bytes(gathered[:512])
        with trio.CancelScope(shield=True):
            problem = await trio.to_thread.run_sync(_append, path, gathered, first, limiter=self._limiter)
        gathered.clear()
        return problem


def _append(path: Path, data: bytearray, first: bool) -> StorageUnavailable | None:
    """Opens and closes the file each time, so that no cancelled download leaves it open. Blocks."""
    try:
        with path.open("wb" if first else "ab") as file:
            file.write(data)
    except OSError as error:
        return StorageUnavailable(f"the picture cannot be written: {error.strerror}")
    return None


class _PublicSockets(Sockets):
    """Looks a name up once and connects to what was found, if that is no private address: a name whose answer
    changes between the look and the connection gains nothing.
    """

    def __init__(self, loopback: bool) -> None:
        super().__init__()
        self._loopback = loopback

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        found: list[Any] = []
        try:
            with trio.move_on_after(CONNECT_TIMEOUT):
                found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"no such host: {error.strerror}") from None
        if not found:
            raise httpcore.ConnectTimeout("the name was not found in time")
        allowed = [address[0] for *_, address in found if is_open(address[0], loopback=self._loopback)]
        if not allowed:
            raise ForbiddenAddress(f"{host} is in a private network")
        for address in allowed[:-1]:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await super().connect_tcp(allowed[-1], port, timeout, local_address, socket_options)


def is_open(address: str, *, loopback: bool = False) -> bool:
    """Is this an address of the open internet? Loopback counts only where it is asked for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return (ip.is_global and not ip.is_multicast) or (loopback and ip.is_loopback)
