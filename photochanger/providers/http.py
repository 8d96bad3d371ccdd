"""Outbound HTTP for the drivers: one connection per call, one shared TLS context, every reply capped.

A pool shared between calls loses its places when calls are cancelled (httpcore issue 1093), and a TLS handshake that is
cancelled leaves its socket to the garbage collector. So each exchange makes its own pool over its own sockets and
closes both. What is costly to make, the TLS context, is made once and handed in. httpcore is used without a client on
top: no redirects, no cookies, no proxies from the environment, no request log.
"""

import ipaddress
import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore
import trio

from photochanger.errors import ConfigError

REPLY_CAP: Final = 64 * 1024 * 1024
"""Bytes of a 200 reply that are accepted; a 4K picture is some 14 MB in base64."""

READ: Final = 256 * 1024
"""Bytes of a reply read at a time."""

ERROR_CAP: Final = 256 * 1024
"""Bytes of any other reply that are kept; the rest is not read."""


class TransportFailed(Exception):
    """No connection, a broken one, a failed TLS handshake, or a reply cut off. The text holds no secrets."""


class ReplyTooLarge(Exception):
    """A 200 reply went over the cap."""


def tls_context() -> ssl.SSLContext:
    """A verifying client context: certifi's roots and the system's. Takes 15-20 ms, so make one and share it."""
    return httpcore.default_ssl_context()


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses; a name is not resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def provider_url(url: str, setting: str) -> SplitResult:
    """A provider's address without trailing slash. Raises ConfigError naming `setting`.

    https only; plain http is accepted for loopback, where nobody else can listen.
    """
    parsed = _split(url, setting, "https://host")
    if parsed.username is not None or parsed.query or parsed.fragment:
        raise ConfigError(f"{setting}: user, query and fragment have no place in it")
    if parsed.scheme == "http" and not is_loopback(parsed.hostname or ""):
        raise ConfigError(f"{setting}: plain http is accepted for loopback only, use https")
    return parsed


GIVEN: Final = "the key"
"""For `plain_key`: one that an administrator gave, and that no setting holds."""


def plain_key(key: str | None, setting: str) -> str | None:
    """A key without the blanks around it, None when nothing is left. Raises ConfigError naming `setting`.

    What goes into a header must hold no line break and nothing that is not ASCII.
    """
    plain = (key or "").strip() or None
    if plain is not None and not re.fullmatch(r"[!-~]+", plain):
        raise ConfigError(f"{setting}: has characters that no key has")
    return plain


def proxy_of(url: str | None, setting: str) -> httpcore.Proxy | None:
    """An HTTP proxy (`http://user:password@host:port`), or None. Raises ConfigError naming `setting`."""
    if url is None or not url.strip():
        return None
    parsed = _split(url, setting, "http://host:port")
    address = parsed._replace(netloc=parsed.netloc.rpartition("@")[2]).geturl()
    if parsed.username is None:
        return httpcore.Proxy(address)
    return httpcore.Proxy(address, auth=(unquote(parsed.username), unquote(parsed.password or "")))


def _split(url: str, setting: str, shape: str) -> SplitResult:
    """An http or https URL in its parts. The error never repeats the URL, which may hold a password."""
    try:
        parsed = urlsplit(url.strip().rstrip("/"))
        good = parsed.scheme in ("http", "https") and bool(parsed.hostname) and parsed.port != 0
        parsed.netloc.encode("ascii")
    except ValueError:
        good = False
    if not good or any(c.isspace() for c in url.strip()):
        raise ConfigError(f"{setting}: must look like {shape}")
    return parsed


class RequestBody(ABC):
    """A body that knows its length and whether all of it was handed to the connection.

    It is its own iterator: an async generator left behind by a broken connection would have to be finalised by
    the garbage collector, which Trio rightly warns about.
    """

    length: int
    finished: bool = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    @abstractmethod
    async def __anext__(self) -> bytes:
        """The next piece. Raises StopAsyncIteration behind the last one."""


class SmallBody(RequestBody):
    """A body that is in memory already."""

    def __init__(self, data: bytes) -> None:
        self.length = len(data)
        self._data: bytes | None = data

    async def __anext__(self) -> bytes:
        data, self._data = self._data, None
        if data is None:
            raise StopAsyncIteration
        self.finished = True
        return data


class Exchange:
    """One request and what came back. It stays readable when the exchange was cut short.

    `status` is None until a status line came; `headers` have lower-case names; `body` is what was read so far.
    `sent` tells whether the request was handed over whole: before that no provider can have worked on it.
    """

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: RequestBody) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self._sending = body
        self._method = method
        self._url = url
        self._headers = {
            "Host": urlsplit(url).netloc,
            "User-Agent": "PhotoChanger",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **headers,
            "Content-Length": str(body.length),
        }

    @property
    def sent(self) -> bool:
        return self._sending.finished

    def request(self, timeouts: Mapping[str, float | None]) -> httpcore.Request:
        """The request in httpcore's form; each body is sent once, so this is called once."""
        return httpcore.Request(
            self._method,
            self._url,
            headers=list(self._headers.items()),
            content=self._sending,
            extensions={"timeout": timeouts},
        )


class Outbound:
    """The way out for one provider. Its repr and errors show neither keys nor proxy passwords."""

    def __init__(
        self,
        ssl_context: ssl.SSLContext,
        *,
        proxy: httpcore.Proxy | None = None,
        connect_timeout: float = 5.0,
        write_timeout: float = 10.0,
    ) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        # A reply has no timeout of its own: a trickled one would defeat it. The caller's deadline bounds the whole.
        self._timeouts = {"connect": connect_timeout, "write": write_timeout, "pool": connect_timeout, "read": None}

    def __repr__(self) -> str:
        return f"<Outbound proxy={'yes' if self._proxy else 'no'}>"

    async def run(self, exchange: Exchange, *, cap: int = REPLY_CAP) -> None:
        """Send the request and read the reply into `exchange`.

        Raises TransportFailed and ReplyTooLarge, and whatever the request body raises. Bounded by the caller's
        cancel scope only. When it ends, however it ends, the connection is closed.
        """
        sockets = Sockets()
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context, proxy=self._proxy, max_connections=1, network_backend=sockets
        )
        try:
            response = await pool.handle_async_request(exchange.request(self._timeouts))
            exchange.status = response.status
            exchange.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
            }
            await _read(response, exchange, cap if response.status == 200 else ERROR_CAP)
        except FAILURES as error:
            raise TransportFailed(describe(error)) from None
        finally:
            with trio.CancelScope(shield=True):  # closes sockets, waits for nobody
                await pool.aclose()
                await sockets.aclose()


FAILURES: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""What a connection can come to; anything else that is raised is a bug."""


class Sockets(httpcore.TrioBackend):
    """Connections that are remembered by the one who closes them; httpcore forgets one cancelled in its handshake."""

    def __init__(self) -> None:
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = _WideReads(await super().connect_tcp(host, port, timeout, local_address, socket_options))
        self._opened.append(stream)
        return stream

    async def aclose(self) -> None:
        """Close what was opened; closing twice does nothing."""
        for stream in self._opened:
            await stream.aclose()


class _WideReads(httpcore.AsyncNetworkStream):
    """A connection read in larger pieces than httpcore's 64 KiB: each costs a turn of the event loop."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max(max_bytes, READ), timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _WideReads(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def _read(response: httpcore.Response, exchange: Exchange, cap: int) -> None:
    """The body up to `cap` bytes; over it ReplyTooLarge for a 200, otherwise the rest is left unread."""
    announced = exchange.headers.get("content-length", "")
    length = int(announced) if announced.isdecimal() else 0
    too_large = length > cap
    if not too_large or exchange.status != 200:
        # Room for an announced body is taken at once: growing in steps costs half as much memory again.
        body = bytearray(min(length, cap))
        filled = 0
        try:
            # Leaving the loop by cancellation, not by `break`, unwinds httpcore's nested generators from the inside.
            with trio.CancelScope() as reading:
                async for piece in response.aiter_stream():
                    too_large = too_large or filled + len(piece) > cap
                    if too_large and (exchange.status == 200 or filled == cap):
                        reading.cancel()
                        continue
                    piece = piece[: cap - filled]
                    body[filled : filled + len(piece)] = piece
                    filled += len(piece)
        finally:
            del body[filled:]
            exchange.body = body
    if too_large and exchange.status == 200:
        exchange.body = bytearray()
        raise ReplyTooLarge(f"the reply is larger than {cap} bytes")


def describe(error: BaseException) -> str:
    """The error and the deepest cause that says something, e.g. why a certificate was not accepted."""
    said = [type(error).__name__]
    seen: BaseException | None = error
    deepest = ""
    while seen is not None:
        deepest = str(seen) or deepest
        seen = seen.__cause__ or seen.__context__
        if isinstance(seen, BaseExceptionGroup) and seen.exceptions:
            seen = seen.exceptions[0]
    if deepest:
        said.append(deepest)
    return ": ".join(said)
