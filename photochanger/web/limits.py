"""What one client may cost the server. Sizes in bytes, times in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the listening side; a held request (no bytes for a minute) touches none of them."""

    connections: int = 1000
    """Open connections; one more is told 429 and closed."""

    head_bytes: int = 16 * 1024
    """A request head (request line and headers) larger than about this is answered 431."""

    head_fields: int = 100
    """Header fields in one head; more are answered 431."""

    head_timeout: float = 10.0
    """From a head's first byte (or from connecting) to its last; then the connection is closed."""

    keep_alive_timeout: float = 5.0
    """How long a connection may wait for its next request."""

    send_timeout: float = 30.0
    """In this time a client must take 64 KiB (or the rest of a chunk); otherwise it is cut off."""

    linger_idle: float = 5.0
    """A client that is still sending when its answer has gone may pause this long ..."""

    linger_total: float = 30.0
    """... go on this long ..."""

    linger_bytes: int = 64 * 1024 * 1024
    """... and send this much, all thrown away, so that it gets to read the answer."""

    pipelined_bytes: int = 64 * 1024
    """Bytes taken in behind a request that is being answered; more stay in the kernel's buffer."""
