"""The way to the server: where a URL leads, and one TCP or TLS connection that may serve several shots."""

import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlencode, urlsplit

import trio

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: str, query: Mapping[str, str], encoding: str) -> tuple[Self, str]:
        """The origin of `url` and its request target with `query` added. Raises ValueError for what is not http(s)."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError("the URL must look like http://host:port/path or https://host:port/path")
        secure = parts.scheme == "https"
        added = urlencode(query, encoding=encoding, errors="replace")
        asked = "&".join(filter(None, [quote(parts.query, safe="%=&+,;:@!$'()*/?~-._"), added]))
        path = quote(parts.path or "/", safe="%/:@!$&'()*+,;=~-._")
        return cls(secure, parts.hostname, parts.port or (443 if secure else 80)), path + ("?" + asked if asked else "")

    @property
    def host_header(self) -> str:
        """Host header value: the port only where it is not the scheme's own, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Connection:
    """Opened when first needed, kept while the server keeps it. One shot at a time; close it with `cut`."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._origin: Origin | None = None

    async def stream_to(self, origin: Origin, context: ssl.SSLContext | None) -> tuple[Stream, bool]:
        """A live stream to `origin`, and whether an earlier shot used it.

        Raises OSError (unreachable) and trio.BrokenResourceError (the TLS handshake failed).
        """
        if self._stream is not None:
            # Readable now means closed by the server, or bytes that answer nothing: not to be used again.
            if self._origin == origin and not _socket_of(self._stream).is_readable():
                return self._stream, True
            await self.cut(hard=False)
        plain = await trio.open_tcp_stream(origin.host, origin.port)
        self._stream, self._origin = plain, origin
        if origin.secure:
            self._stream = trio.SSLStream(
                plain, context or ssl.create_default_context(), server_hostname=origin.host, https_compatible=True
            )
            await self._stream.do_handshake()
        return self._stream, False

    async def cut(self, *, hard: bool) -> None:
        """Close now, without farewells; `hard` makes the server see a reset instead of an orderly end."""
        stream, self._stream = self._stream, None
        if stream is None:
            return
        if hard:
            _socket_of(stream).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(stream)


def shrink_receive_buffer(stream: Stream) -> None:
    """Let the server feel soon that nobody reads."""
    _socket_of(stream).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def _socket_of(stream: Stream) -> trio.socket.SocketType:
    return (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
