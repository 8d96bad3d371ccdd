"""How booths differ, and how they fail."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How this booth behaves. The defaults are the captured program; each field is one way booths differ or fail."""

    timeout: float = 50.0
    """Seconds from the shot until the program gives up and cuts the connection; an operator's setting there."""
    expect_wait: float = 1.0
    """Seconds to wait for `100 Continue` before the body is sent regardless."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Survey answers; a name of the program's own fields replaces its value."""
    encoding: str = "utf-8"
    """Of field values and file name, never announced on the wire; "cp1251" is likely on Russian Windows."""
    send_hash: bool = True
    file_first: bool = False
    """The photo in front of all text fields."""
    password_last: bool = False
    """The password behind the photo."""
    file_name: str | None = None
    """As the camera named it; None = IMG_0003.JPG or .PNG."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Tokens added to the URL, percent-encoded in `encoding`."""
    keep_alive: bool = True
    """False adds `connection: close`, the only header that the captured program does not send."""
    upload_rate: float | None = None
    """Bytes of the body per second; None = as fast as it goes."""
    cut_upload_after: int | None = None
    """Cut the connection when that many bytes of the body were sent."""
    stop_reading_after: int | None = None
    """Read no more after that many bytes of the reply; the timeout ends it."""
    reply_limit: int = 64 * 1024 * 1024
    """Bytes; a longer reply is not read."""
    ssl_context: ssl.SSLContext | None = None
    """For https; None = the system's certificates, verified."""
