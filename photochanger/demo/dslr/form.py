"""The multipart form as the program builds it, to the byte.

Shape and order come from a captured request of DSLR Remote Pro 3.30.2 (September 2025). The values here are
stand-ins of the same length, so that a request has the captured size: 1228 bytes around the photo, 1327 with a
password of six characters.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STAND_INS = {
    "user_id": "User",  # Windows user name
    "id": "AB01C234567890D1E_00000001.",  # serial of the system disk: one per PC, not per photo
    "profile": r"C:\Users\User\Documents\PhotoboothImages\setup_Main.xml",
    "status": r"C:\Users\User\Documents\PhotoboothImages\screenMain\preview.jpg",  # current screen image
    "hash": "",  # drawn anew for each request
    "name": "DESKTOP-A1B2C3D",
    "model": "Windows",
    "version": "3.30.2",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body with a hole where the photo's bytes go: `before` + photo + `after`."""

    boundary: str
    before: bytes
    after: bytes

    @property
    def content_type(self) -> str:
        """The value of the Content-Type header."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def overhead(self) -> int:
        """Bytes of the body that are not the photo."""
        return len(self.before) + len(self.after)


def new_boundary() -> str:
    """12 dashes and 24 digits: twelve pairs, each 00 to 09."""
    return "-" * 12 + "".join(f"0{secrets.randbelow(10)}" for _ in range(12))


def text_fields(now: int, extra: Mapping[str, str], *, with_hash: bool = True) -> dict[str, str]:
    """The text fields in the captured order; `now` is Unix time in seconds.

    `extra` replaces a field of that name in its place and adds the others (survey answers) behind. The program's
    `hash` is 40 hexadecimal digits over something nobody outside knows, so it is random here.
    """
    fields = {"time": str(now), **STAND_INS, "hash": secrets.token_hex(20), **extra}
    if not with_hash:
        del fields["hash"]
    return fields


def build_form(
    fields: Iterable[tuple[str, str]],
    *,
    file_name: str,
    mime: str,
    fields_after: Iterable[tuple[str, str]] = (),
    encoding: str = "utf-8",
    boundary: str | None = None,
) -> Form:
    """`fields`, the photo, then `fields_after`; parts are minimal: no charset, no Content-Type on text.

    Characters that `encoding` lacks become question marks, as Windows does it.
    """
    boundary = boundary or new_boundary()

    def text(name: str, value: str) -> bytes:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
        return f"{head}{value}\r\n".encode(encoding, "replace")

    photo = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="fileToUpload"; filename="{_quoted(file_name)}"\r\n'
        f"Content-Type: {mime}\r\n\r\n"
    ).encode(encoding, "replace")
    return Form(
        boundary,
        b"".join([text(*field) for field in fields]) + photo,
        b"\r\n" + b"".join([text(*field) for field in fields_after]) + f"--{boundary}--\r\n".encode(),
    )


def _quoted(name: str) -> str:
    """Only what would end the quoted string or the line is escaped, the way browsers do it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
