"""The table of bad input: what is sent, what is answered, what is left of it; and good input in odd clothes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.house.bad_input import (
    END,
    START,
    WRONG,
    Data,
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


ANSWERED: Final = {"status": "done", "failure_reason": None, "reply_kind": "ai", "reply_status": 200}
ABANDONED: Final = {
    "status": "timeout",
    "failure_reason": "provider_timeout",
    "reply_kind": "none",
    "reply_status": None,
    "replied_at": None,
}


def accepted(name: str, send: Send, *, photo_name: str | None = "IMG_0003.JPG", kept: bool = True) -> Row:
    """Processed like any other photo."""
    return Row(name, send, 200, calls=1, kept=kept, job=ANSWERED | {"photo_name": photo_name})


def access() -> Iterator[Row]:
    """Who is asking, and for which slot."""
    for name, send, slot, kept in (
        ("no password", booth(password=None), "slot-001", True),
        ("empty password", booth(password=""), "slot-001", True),
        ("wrong password", booth(password=WRONG), "slot-001", True),
        ("wrong password in cp1251", booth(password=WRONG, encoding="cp1251"), "slot-001", True),
        ("wrong password behind the photo", booth(password=WRONG, password_last=True), "slot-001", True),
        ("wrong password, large photo", booth(large, password=WRONG), "slot-001", None),
        ("wrong password, photo that is none", booth(pictures.gif, password=WRONG), "slot-001", True),
        ("right password behind a wrong one", wire(_password_twice), "slot-001", True),
        ("slot without a password", booth(slot=NO_PASSWORD), NO_PASSWORD, True),
        ("slot without a password, none sent", booth(slot=NO_PASSWORD, password=None), NO_PASSWORD, True),
        ("slot without a password, empty one sent", booth(slot=NO_PASSWORD, password=""), NO_PASSWORD, True),
    ):
        yield Row(name, send, 401, "invalid_credentials", slot=slot, kept=kept)
    yield Row("disabled slot", booth(slot=DISABLED), 404, "slot_disabled", kept=False, slot=DISABLED)
    for name, photo in ("unknown slot", good), ("unknown slot, large photo", large):
        yield Row(name, booth(photo, slot="slot-099"), 404, "slot_not_found", kept=False, slot="unknown")
    for name, path in {
        "NUL": "%00",
        "NUL inside": "slot-001%00",
        "SQL": "slot-001'%20OR%20'1'='1",
        "more SQL": "%27%3B%20DROP%20TABLE%20job%3B%20--",
        "parent folder": "..%2f..%2fetc%2fpasswd",
        "deeper": "slot-001/deeper",
        "markup": "%3Cscript%3Ealert(1)%3C/script%3E",
        "not UTF-8": "%ff%fe",
        "Cyrillic": "%D1%81%D0%BB%D0%BE%D1%82",
        "upper case": "SLOT-001",
        "very long": "s" * 5000,
    }.items():
        send = wire(around(), path=f"/api/ingest/{path}")
        yield Row(f"slot id: {name}", send, 404, "slot_not_found", slot="unknown", kept=None)


def _password_twice() -> bytes:
    return part("password", WRONG.encode()) + parts(part("fileToUpload", good(), "a.jpg"))


def forms() -> Iterator[Row]:
    """Not the form that is expected."""
    photo = part("fileToUpload", b"no photo needed here", "a.jpg")
    small: dict[str, Data] = {
        "no file": parts(part("time", b"1")),
        "empty form": END,
        "empty body": b"",
        "empty file input of a browser": parts(part("fileToUpload", b"", "")),
        "two files": lambda: parts(*[part("fileToUpload", good(), f"{name}.jpg") for name in "ab"]),
        "file in another field": lambda: parts(part("photo", good(), "a.jpg")),
        "photo as a text field": lambda: parts(part("fileToUpload", good()[:500])),
        "part without a name": parts(START + b"X: y\r\n\r\nz\r\n"),
        "part header without end": parts(START + b"X: " + b"y" * 100_000),
        "no closing boundary": lambda: around()().removesuffix(END),
        "broken boundary": lambda: around()().replace(START[2:-2], b"-" * 30),
        "broken closing boundary": lambda: around()().removesuffix(END) + END.replace(b"5", b"6"),
        "one broken boundary": lambda: around()().replace(START, b"--nonsense\r\n", 1),
    }
    for name, body in small.items():
        yield Row(name, wire(body), 400, "invalid_request")
    yield Row("no closing boundary, chunked", wire(lambda: around()()[:-30], pieces=1000), 400, "invalid_request")
    huge: dict[str, Send] = {
        "10,000 fields": wire(around(texts=fields({f"f{n}": "x" for n in range(10_000)}))),
        "10,000 fields behind the photo": wire(parts(photo, *[part("f", b"x")] * 10_000)),
        "field of 1 MB": wire(around(texts=fields({"survey": "x" * 1_000_000}))),
        "field of 1 MB, chunked": wire(around(texts=fields({"survey": "x" * 1_000_000})), pieces=65536),
        "field name of 1 MB": wire(around(texts=fields({"x" * 1_000_000: "y"}))),
        "file name of 1 MB": wire(parts(part("fileToUpload", b"x", "x" * 1_000_000))),
        "password of 1 MB": wire(part("password", b"x" * 1_000_000) + END),
    }
    for name, send in huge.items():
        yield Row(name, send, 400, "invalid_request", kept=None)
    for name, kind in {
        "missing boundary": "multipart/form-data",
        "empty boundary": "multipart/form-data; boundary=",
        "very long boundary": "multipart/form-data; boundary=" + "x" * 300,
        "no content type": None,
        "bare photo": "image/jpeg",
        "url-encoded form": "application/x-www-form-urlencoded",
    }.items():
        yield Row(name, wire(around(), content_type=kind), 400, "invalid_request", kept=None)


def photos() -> Iterator[Row]:
    """Files that are called IMG_0003.JPG."""
    other: dict[str, Data] = {
        "GIF": pictures.gif,
        "HEIC": pictures.heic,
        "PDF": pictures.pdf,
        "HTML": pictures.html,
        "shell script": pictures.shell_script,
        "SVG": pictures.svg,
        "zeros": bytes(5000),
    }
    for name, data in other.items():
        send = booth(data, file_name="IMG_0003.JPG")
        yield Row(f"{name} named .jpg", send, 415, "unsupported_media_type", within=5.0)
    unusable: dict[str, Data] = {
        "0-byte photo": b"",
        "half a JPEG": pictures.half_jpeg,
        "half a JPEG with a thumbnail": pictures.half_jpeg_with_thumbnail,
        "JPEG of two bytes too few": lambda: good()[:-2],
        "start of a JPEG": b"\xff\xd8\xff",
        "half a PNG": lambda: pictures.png()[:4000],
        "half a WebP": lambda: pictures.webp()[:500],
        "PNG of 50000 x 50000": pictures.bomb_png,
        "JPEG that says 65535 x 65535": pictures.forged_jpeg,
        "animated WebP": pictures.animated_webp,
    }
    for name, data in unusable.items():
        yield Row(name, booth(data, file_name="IMG_0003.JPG"), 422, "undecodable_image", within=5.0)
    good_ones: dict[str, Data] = {
        "JPEG with trailing garbage": pictures.trailing_garbage,
        "CMYK JPEG": pictures.cmyk,
        "CMYK JPEG with its profile": lambda: pictures.cmyk(profile=True),
        "16-bit PNG": pictures.png16,
        "WebP": pictures.webp,
    }
    for name, data in good_ones.items():
        yield accepted(name, booth(data, file_name="IMG_0003.JPG"))


def sizes() -> Iterator[Row]:
    """Too much, too little, too slowly."""
    to_small = f"/api/ingest/{SMALL}"
    a_little_more = pictures.trailing_garbage(good(), bytes(SMALL_LIMIT))
    for name, send, slot, kept in (
        ("over the limit, announced", booth(bytes(2_000_000), slot=SMALL), SMALL, False),
        ("a little over the limit, announced", booth(a_little_more, slot=SMALL), SMALL, None),
        ("over the limit, chunked", wire(around(bytes(2_000_000)), pieces=50_000, path=to_small), SMALL, None),
        ("absurdly long, announced", wire(around(), announced=10**15), "slot-001", False),
    ):
        yield Row(name, send, 413, "payload_too_large", slot=slot, kept=kept)
    for name, body in ("shorter than announced", around()), ("nothing after the head", b""):
        waiting = wire(body, announced=50_000)
        yield Row(f"{name}, then silence", waiting, 408, "upload_timeout", kept=False, impatient=True)
        leaving = wire(body, announced=50_000, then="half-close")
        yield Row(f"{name}, then FIN", leaving, 400, "invalid_request", kept=False, outcome="client_gone")
    for name, send in (
        ("slow upload, one byte per second", booth(upload_rate=1.0)),
        ("slow upload, wrong password", booth(password=WRONG, upload_rate=1000.0)),
    ):
        yield Row(name, send, 408, "upload_timeout", kept=False, impatient=True)


def names() -> Iterator[Row]:
    """Good photos under bad names, and with odd texts."""
    for name, sent, kept_as in (
        ("300 characters", "n" * 300 + ".jpg", "n" * 255),
        ("300 Cyrillic characters", "я" * 300, "я" * 255),
        ("Cyrillic", "Свадьба Ивановых.JPG", "Свадьба Ивановых.JPG"),
        ("NUL", "a\0b.jpg", "ab.jpg"),
        ("NUL alone", "\0", None),
        ("..", "..", None),
        ("path", "../../../etc/passwd", "passwd"),
        ("Windows path", r"C:\Users\User\IMG.JPG", "IMG.JPG"),
        ("quotes and markup", 'a"<b>.jpg', "a%22<b>.jpg"),
        ("control and right-to-left characters", "a\x1b[31m\u202egpj.exe", "a[31mgpj.exe"),
    ):
        yield accepted(f"file name: {name}", booth(file_name=sent), photo_name=kept_as)
    cp1251 = booth(file_name="Свадьба Ивановых.JPG", encoding="cp1251", fields={"Имя": "Мария"})
    yield accepted("file name: Cyrillic in cp1251", cp1251, photo_name="Свадьба Ивановых.JPG")
    yield accepted("NUL in a field", booth(fields={"a\0b": "c\0d"}))


def leaving() -> Iterator[Row]:
    """Clients that do not wait for their answer."""
    for leave in ("fin", "rst"):
        sending, waiting, receiving = gone_while_sending(leave), gone_while_waiting(leave), gone_while_receiving(leave)
        yield Row(f"client gone while sending, {leave}", sending, None, outcome="client_gone")
        yield abandoned(f"client gone while waiting, {leave}", waiting)
        yield Row(f"client gone while receiving, {leave}", receiving, None, outcome="ok", calls=1, job=ANSWERED)
    yield abandoned("client half-closes while waiting", gone_while_waiting("half-close"))
    yield accepted("client half-closes while receiving", half_closed_while_receiving(), kept=False)


def abandoned(name: str, send: Send) -> Row:
    """The provider was at work when nobody waited any more."""
    return Row(name, send, None, outcome="client_gone", calls=1, job=ABANDONED, attempt="cancelled")


ROWS: Final = [*access(), *forms(), *photos(), *sizes(), *names(), *leaving()]
