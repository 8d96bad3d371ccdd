"""The table of bad input: what is sent, what is answered, what is left of it. Good input in odd clothes is in it too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.house.bad_input import (
    BOUNDARY,
    CONTENT_TYPE,
    WRONG,
    Send,
    around,
    booth,
    fields,
    gone_while_receiving,
    gone_while_sending,
    gone_while_waiting,
    good,
    half_closed_while_receiving,
    large,
    part,
    parts,
    wire,
)
from tests.lab import pictures

DISABLED: Final = "slot-002"
SMALL: Final = "slot-003"
"""Accepts SMALL_LIMIT bytes."""
SMALL_LIMIT: Final = 100_000
NO_PASSWORD: Final = "slot-004"
"""Nobody has given it a password yet."""
UPLOAD_TIMEOUT: Final = 1.0
"""Seconds, in the house that is impatient."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `status` None: the client left without waiting for an answer. `within`: seconds, a guard. `kept`: whether the
    connection serves another request afterwards; None where that depends on how much the kernel took in.
    `outcome` (the reason, or `ok`, unless it says otherwise) is counted for `slot`. `calls` reach the provider;
    then there is a job, and its row has the values of `job`.
    """

    name: str
    send: Send
    status: int | None
    reason: str | None = None
    within: float = 15.0
    kept: bool | None = True
    slot: str = "slot-001"
    outcome: str | None = None
    calls: int = 0
    job: Mapping[str, Any] = field(default_factory=dict)
    attempt: str = "picture"
    impatient: bool = False
    """Send it to the house whose uploads must come within UPLOAD_TIMEOUT."""


def accepted(name: str, send: Send, *, photo_name: str | None = "IMG_0003.JPG", kept: bool = True) -> Row:
    """Processed like any other photo."""
    job = {"status": "done", "failure_reason": None, "reply_kind": "ai", "reply_status": 200, "photo_name": photo_name}
    return Row(name, send, 200, calls=1, kept=kept, job=job)


def named(name: str, file_name: str, kept_as: str | None, **options: Any) -> Row:
    """A good photo under a bad name."""
    return accepted(f"file name: {name}", booth(file_name=file_name, **options), photo_name=kept_as)


def picture(name: str, photo: Any, status: int, reason: str) -> Row:
    """A file that is called IMG_0003.JPG and announced as image/jpeg."""
    return Row(name, booth(photo, file_name="IMG_0003.JPG"), status, reason, within=5.0)


def slot_id(name: str, path: str) -> Row:
    """No slot is called like this."""
    send = wire(around(), path=f"/api/ingest/{path}")
    return Row(f"slot id: {name}", send, 404, "slot_not_found", slot="unknown", kept=None)


def malformed(name: str, send: Send, *, kept: bool | None = True, **more: Any) -> Row:
    """Not the form that is expected."""
    return Row(name, send, 400, "invalid_request", kept=kept, **more)


def gone(name: str, send: Send, *, outcome: str, calls: int, job: Mapping[str, Any], attempt: str = "picture") -> Row:
    """The client does not wait for its answer."""
    return Row(f"client gone {name}", send, None, outcome=outcome, kept=None, calls=calls, job=job, attempt=attempt)


ABANDONED: Final = {
    "status": "timeout",
    "failure_reason": "provider_timeout",
    "reply_kind": "none",
    "reply_status": None,
    "replied_at": None,
}
ANSWERED: Final = {"status": "done", "failure_reason": None, "reply_kind": "ai", "reply_status": 200}

ROWS: Final = [
    # --- who is asking, and for which slot
    Row("no password", booth(password=None), 401, "invalid_credentials"),
    Row("empty password", booth(password=""), 401, "invalid_credentials"),
    Row("wrong password", booth(password=WRONG), 401, "invalid_credentials"),
    Row("wrong password in cp1251", booth(password=WRONG, encoding="cp1251"), 401, "invalid_credentials"),
    Row("wrong password behind the photo", booth(password=WRONG, password_last=True), 401, "invalid_credentials"),
    Row("wrong password, large photo", booth(large, password=WRONG), 401, "invalid_credentials", kept=None),
    Row(
        "right password behind a wrong one",
        wire(parts(part("fileToUpload", good(), "a.jpg")).replace(b"booth-", b"bosch-", 1)),
        401,
        "invalid_credentials",
    ),
    Row("slot without a password", booth(slot=NO_PASSWORD), 401, "invalid_credentials", slot=NO_PASSWORD),
    Row("slot without a password, none sent", booth(slot=NO_PASSWORD, password=""), 401, "invalid_credentials", slot=NO_PASSWORD),
    Row("disabled slot", booth(slot=DISABLED), 404, "slot_disabled", kept=False, slot=DISABLED),
    Row("unknown slot", booth(slot="slot-099"), 404, "slot_not_found", kept=False, slot="unknown"),
    Row("unknown slot, large photo", booth(large, slot="slot-099"), 404, "slot_not_found", kept=False, slot="unknown"),
    slot_id("NUL", "%00"),
    slot_id("NUL inside", "slot-001%00"),
    slot_id("SQL", "slot-001'%20OR%20'1'='1"),
    slot_id("more SQL", "%27%3B%20DROP%20TABLE%20job%3B%20--"),
    slot_id("parent folder", "..%2f..%2fetc%2fpasswd"),
    slot_id("deeper", "slot-001/deeper"),
    slot_id("markup", "%3Cscript%3Ealert(1)%3C/script%3E"),
    slot_id("not UTF-8", "%ff%fe"),
    slot_id("Cyrillic", "%D1%81%D0%BB%D0%BE%D1%82"),
    slot_id("upper case", "SLOT-001"),
    slot_id("very long", "s" * 5000),
    # --- the form
    malformed("no file", wire(parts(part("time", b"1")))),
    malformed("empty form", wire(parts(end=b"--" + BOUNDARY.encode() + b"--\r\n"))),
    malformed("empty body", wire(b"")),
    malformed("empty file input of a browser", wire(parts(part("fileToUpload", b"", "")))),
    malformed("two files", wire(lambda: parts(*[part("fileToUpload", good(), f"{name}.jpg") for name in "ab"]))),
    malformed("file in another field", wire(lambda: parts(part("photo", good(), "a.jpg")))),
    malformed("photo as a text field", wire(lambda: parts(part("fileToUpload", good()[:500])))),
    malformed("part without a name", wire(parts(b"--" + BOUNDARY.encode() + b"\r\nX: y\r\n\r\nz\r\n"))),
    malformed("no closing boundary", wire(lambda: around()().removesuffix(f"--{BOUNDARY}--\r\n".encode()))),
    malformed("no closing boundary, chunked", wire(lambda: around()()[:-30], pieces=1000)),
    malformed("broken boundary", wire(lambda: around()().replace(BOUNDARY.encode(), b"-" * 30))),
    malformed("broken boundary in the middle", wire(lambda: around()().replace(BOUNDARY.encode(), b"-" * 30, 4)[40:])),
    malformed("missing boundary", wire(around(), content_type="multipart/form-data"), kept=None),
    malformed("empty boundary", wire(around(), content_type="multipart/form-data; boundary="), kept=None),
    malformed("very long boundary", wire(around(), content_type="multipart/form-data; boundary=" + "x" * 300), kept=None),
    malformed("no content type", wire(around(), content_type=None), kept=None),
    malformed("bare photo", wire(good, content_type="image/jpeg"), kept=None),
    malformed("url-encoded form", wire(b"password=1&fileToUpload=2", content_type="application/x-www-form-urlencoded"), kept=None),
    malformed("10,000 fields", wire(around(texts=fields(**{f"f{n}": "x" for n in range(10_000)}))), kept=None),
    malformed("10,000 fields behind the photo", wire(lambda: parts(part("fileToUpload", good(), "a.jpg"), *[part("f", b"x")] * 10_000)), kept=None),
    malformed("field of 1 MB", wire(around(texts=fields(survey="x" * 1_000_000))), kept=None),
    malformed("field of 1 MB, chunked", wire(around(texts=fields(survey="x" * 1_000_000)), pieces=65536), kept=None),
    malformed("field name of 1 MB", wire(around(texts=fields(**{"x" * 1_000_000: "y"}))), kept=None),
    malformed("part header without end", wire(parts(b"--" + BOUNDARY.encode() + b"\r\nX: " + b"y" * 100_000))),
    # --- the photo
    picture("0-byte photo", b"", 422, "undecodable_image"),
    picture("GIF", pictures.gif, 415, "unsupported_media_type"),
    picture("HEIC", pictures.heic, 415, "unsupported_media_type"),
    picture("PDF", pictures.pdf, 415, "unsupported_media_type"),
    picture("HTML", pictures.html, 415, "unsupported_media_type"),
    picture("shell script", pictures.shell_script, 415, "unsupported_media_type"),
    picture("SVG", pictures.svg, 415, "unsupported_media_type"),
    picture("zeros", bytes(5000), 415, "unsupported_media_type"),
    picture("half a JPEG", pictures.half_jpeg, 422, "undecodable_image"),
    picture("half a JPEG with a thumbnail", pictures.half_jpeg_with_thumbnail, 422, "undecodable_image"),
    picture("JPEG of two bytes too few", lambda: good()[:-2], 422, "undecodable_image"),
    picture("start of a JPEG", b"\xff\xd8\xff", 422, "undecodable_image"),
    picture("half a PNG", lambda: pictures.png()[:4000], 422, "undecodable_image"),
    picture("half a WebP", lambda: pictures.webp()[:500], 422, "undecodable_image"),
    picture("PNG of 50000 x 50000", pictures.bomb_png, 422, "undecodable_image"),
    picture("JPEG that says 65535 x 65535", pictures.forged_jpeg, 422, "undecodable_image"),
    picture("animated WebP", pictures.animated_webp, 422, "undecodable_image"),
    accepted("JPEG with trailing garbage", booth(pictures.trailing_garbage)),
    accepted("CMYK JPEG", booth(pictures.cmyk)),
    accepted("CMYK JPEG with its profile", booth(lambda: pictures.cmyk(profile=True))),
    accepted("16-bit PNG", booth(pictures.png16), photo_name="IMG_0003.PNG"),
    accepted("WebP", booth(pictures.webp)),
    # --- too much
    Row("over the limit, announced", booth(bytes(2_000_000), slot=SMALL), 413, "payload_too_large", slot=SMALL, kept=False),
    Row("a little over the limit", booth(pictures.trailing_garbage(good(), bytes(SMALL_LIMIT)), slot=SMALL), 413, "payload_too_large", slot=SMALL, kept=None),
    Row("over the limit, chunked", wire(around(bytes(2_000_000)), pieces=50_000, path=f"/api/ingest/{SMALL}"), 413, "payload_too_large", slot=SMALL, kept=None),
    Row("absurdly long, announced", wire(around(), announced=10**15), 413, "payload_too_large", kept=False),
    # --- too little
    Row("shorter than announced, then silence", wire(lambda: around()()[:-500], announced=50_000), 408, "upload_timeout", kept=False, impatient=True),
    malformed("shorter than announced, then FIN", wire(around(), announced=50_000, then="half-close"), kept=False, outcome="client_gone"),
    Row("nothing after the head", wire(b"", announced=50_000), 408, "upload_timeout", kept=False, impatient=True),
    malformed("nothing after the head, then FIN", wire(b"", announced=50_000, then="half-close"), kept=False, outcome="client_gone"),
    Row("slow upload, one byte per second", booth(upload_rate=1.0), 408, "upload_timeout", kept=False, impatient=True),
    Row("wrong password, slow upload", booth(password=WRONG, upload_rate=1000.0), 408, "upload_timeout", kept=False, impatient=True),
    # --- names
    named("300 characters", "n" * 300 + ".jpg", "n" * 255),
    named("300 Cyrillic characters", "я" * 300, "я" * 255),
    named("Cyrillic", "Свадьба Ивановых.JPG", "Свадьба Ивановых.JPG"),
    named("Cyrillic in cp1251", "Свадьба Ивановых.JPG", "Свадьба Ивановых.JPG", encoding="cp1251"),
    named("NUL", "a\0b.jpg", "ab.jpg"),
    named("NUL alone", "\0", None),
    named("..", "..", None),
    named("path", "../../../etc/passwd", "passwd"),
    named("Windows path", r"C:\Users\User\IMG.JPG", "IMG.JPG"),
    named("quotes and markup", 'a"<b>.jpg', "a%22<b>.jpg"),
    named("control and right-to-left characters", "a\x1b[31m\u202egpj.exe", "a[31mgpj.exe"),
    # --- those who leave
    gone("while sending, FIN", gone_while_sending("fin"), outcome="client_gone", calls=0, job={}),
    gone("while sending, RST", gone_while_sending("rst"), outcome="client_gone", calls=0, job={}),
    gone("while waiting, FIN", gone_while_waiting("fin"), outcome="client_gone", calls=1, job=ABANDONED, attempt="cancelled"),
    gone("while waiting, RST", gone_while_waiting("rst"), outcome="client_gone", calls=1, job=ABANDONED, attempt="cancelled"),
    gone("while waiting, half-close", gone_while_waiting("half-close"), outcome="client_gone", calls=1, job=ABANDONED, attempt="cancelled"),
    gone("while receiving, FIN", gone_while_receiving("fin"), outcome="ok", calls=1, job=ANSWERED),
    gone("while receiving, RST", gone_while_receiving("rst"), outcome="ok", calls=1, job=ANSWERED),
    accepted("client half-closes while receiving", half_closed_while_receiving(), kept=False),
]  # fmt: skip
