"""A form with one file, parsed while it streams: fields in memory, the file straight to where it is kept.

Everything here is synchronous and runs in a worker thread, one batch of bytes at a time.
"""

import logging
from typing import Final, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it logs every broken form, with its bytes

MAX_FIELDS: Final = 200
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_FIELDS_BYTES: Final = 512 * 1024
MAX_PART_HEADER: Final = 16 * 1024


class Sink(Protocol):
    """Where the file's bytes go."""

    @property
    def size(self) -> int:
        """Bytes taken so far."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the file."""


class FileForm:
    """A multipart/form-data body, fed by `write`, ended by `finish`.

    Its file, of at most `largest` bytes, is in the field `file_field` and goes to `sink`; `thing` is what people call
    it, `taker` who takes no larger one. Fields may come in any order, also after the file. Text is UTF-8 or, as Windows
    programs send it without a label, code page 1251. Unknown fields are kept. Raises Refusal, naming what is wrong.
    """

    def __init__(self, content_type: str, sink: Sink, *, file_field: str, largest: int, thing: str, taker: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data":
            raise Refusal(Reason.INVALID_REQUEST, f"The {thing} must be sent as multipart/form-data.")
        if not boundary:
            raise Refusal(Reason.INVALID_REQUEST, "The form's boundary is missing.")
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.has_file = False
        self._sink = sink
        self._file_field = file_field
        self._largest = largest
        self._thing = thing
        self._taker = taker
        self._parts = 0
        self._bytes = 0
        self._name = ""
        self._value: bytearray | None = None
        self._header = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_end": self._on_end,
                },
                max_header_size=MAX_PART_HEADER,
            )
        except FormParserError:
            raise Refusal(Reason.INVALID_REQUEST, "The form's boundary is too long.") from None

    def write(self, data: bytes) -> None:
        """Parse the next bytes."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise Refusal(Reason.INVALID_REQUEST, "The form is broken.") from None

    def finish(self) -> None:
        """Check that the form ended where the body did, and that it held one file."""
        if not self._ended:
            raise Refusal(Reason.INVALID_REQUEST, "The form is cut off: its closing boundary did not come.")
        if not self.has_file:
            raise Refusal(Reason.INVALID_REQUEST, f"There is no {self._thing} in the form (field {self._file_field}).")

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise Refusal(Reason.INVALID_REQUEST, f"The form has more than {MAX_FIELDS} fields.")
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise Refusal(Reason.INVALID_REQUEST, "A part of the form has no name.")
        self._name = _text(options[b"name"])
        filename = options.get(b"filename")
        if filename is None:
            self._value = bytearray()
            return
        self._value = None
        if self._name != self._file_field:
            raise Refusal(Reason.INVALID_REQUEST, f"The {self._thing} must be in the field {self._file_field}.")
        if self.has_file:
            raise Refusal(Reason.INVALID_REQUEST, f"The form holds more than one {self._thing}.")
        self.file_name = plain_name(_text(filename))
        self.has_file = True

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._value is None:
            if self._sink.size + end - start > self._largest:
                raise Refusal(
                    Reason.PAYLOAD_TOO_LARGE,
                    f"{self._taker} accepts {self._thing}s of up to {_megabytes(self._largest)}.",
                )
            self._sink.write(memoryview(data)[start:end])
            return
        self._bytes += end - start
        if len(self._value) + end - start > MAX_FIELD_BYTES or self._bytes > MAX_FIELDS_BYTES:
            raise Refusal(Reason.INVALID_REQUEST, f"A form field is larger than {MAX_FIELD_BYTES // 1024} KiB.")
        self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._value is not None:
            # The first one counts, so that nothing behind the photo can replace what was checked before it.
            self.fields.setdefault(self._name, _text(bytes(self._value)))
        elif self.file_name is None and self._sink.size == 0:
            self.has_file = False  # a browser's empty file input: no name, no bytes

    def _on_end(self) -> None:
        self._ended = True


def plain_name(name: str) -> str | None:
    """A file name fit for rows and pages: no folders, no control characters, at most 255 characters."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(char for char in base if char.isprintable()).strip()[:255]
    return None if clean in {"", ".", ".."} else clean


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1251", "replace")


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:g} MB"
