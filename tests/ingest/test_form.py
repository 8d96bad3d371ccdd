"""The booth's form: any order, any slicing, any encoding in; clear refusals out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.ingest.form import MAX_FIELDS, Form, kept_fields, photo_name

BOUNDARY = b"------------090306000104030805010400"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"


class Memory:
    def __init__(self) -> None:
        self.data = b""

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, data: memoryview) -> None:
        self.data += data


def field(name: bytes, value: bytes) -> bytes:
    return b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (BOUNDARY, name, value)


def photo(data: bytes, name: bytes = b"IMG_0003.JPG", part: bytes = b"fileToUpload") -> bytes:
    head = b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head % (BOUNDARY, part, name) + data + b"\r\n"


END = b"--%s--\r\n" % BOUNDARY


def parse(body: bytes, *, max_photo: int = 1_000_000, step: int = 1 << 20) -> tuple[Form, Memory]:
    sink = Memory()
    form = Form(CONTENT_TYPE, sink, max_photo=max_photo)
    for start in range(0, len(body), step):
        form.write(body[start : start + step])
    form.finish()
    return form, sink


def refusal(body: bytes, **options: int) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse(body, **options)
    return caught.value


@given(
    data=st.binary(min_size=1, max_size=300),
    step=st.integers(1, 400),
    order=st.permutations(["photo", "password", "time", "profile"]),
)
def test_any_order_and_any_slicing_give_the_same(data: bytes, step: int, order: list[str]) -> None:
    parts = {
        "photo": photo(data),
        "password": field(b"password", b"123456"),
        "time": field(b"time", b"1758217512"),
        "profile": field(b"profile", rb"C:\Users\Acer\setup.xml"),
    }
    form, sink = parse(b"".join(parts[name] for name in order) + END, step=step)
    assert sink.data == data
    assert form.password == "123456"
    assert form.fields["profile"] == r"C:\Users\Acer\setup.xml"
    assert form.photo_name == "IMG_0003.JPG"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251"])
def test_cyrillic_text_needs_no_label(encoding: str) -> None:
    form, _ = parse(
        field(b"user_id", "Фотограф".encode(encoding))
        + field(b"password", "секрет".encode(encoding))
        + photo(b"x", "Свадьба.JPG".encode(encoding))
        + END
    )
    assert form.fields["user_id"] == "Фотограф"
    assert form.password == "секрет"
    assert form.photo_name == "Свадьба.JPG"


def test_the_first_password_counts_so_that_none_can_be_slipped_in_behind_it() -> None:
    form, _ = parse(field(b"password", b"right") + photo(b"x") + field(b"password", b"other") + END)
    assert form.password == "right"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (field(b"time", b"1") + END, "no photo"),
        (photo(b"", b"") + END, "no photo"),
        (photo(b"x") + photo(b"y") + END, "more than one photo"),
        (photo(b"x", part=b"picture") + END, "fileToUpload"),
        (photo(b"x"), "cut off"),
        (photo(b"x") + END[:-6], "cut off"),
        (b"--other\r\n\r\n", "broken"),
        (b"", "cut off"),
        (b"--%s\r\nContent-Type: text/plain\r\n\r\nx\r\n" % BOUNDARY + END, "no name"),
        (field(b"a", b"1") * (MAX_FIELDS + 1) + END, "more than 200 fields"),
        (field(b"a", b"1" * 70_000) + END, "larger than 64 KiB"),
        (b"".join(field(b"a%d" % number, b"1" * 60_000) for number in range(10)) + END, "larger than 64 KiB"),
        (b"--%s\r\nX: %s\r\n\r\n" % (BOUNDARY, b"y" * 20_000), "broken"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, text: str) -> None:
    error = refusal(body)
    assert error.reason is Reason.INVALID_REQUEST
    assert text in error.detail


def test_a_photo_over_the_limit_is_refused_before_it_is_written() -> None:
    assert refusal(photo(b"x" * 101) + END, max_photo=100).reason is Reason.PAYLOAD_TOO_LARGE
    assert parse(photo(b"x" * 100) + END, max_photo=100)[1].size == 100


@pytest.mark.parametrize(
    "content_type",
    ["", "image/jpeg", "multipart/form-data", "multipart/form-data; boundary=", "application/x-www-form-urlencoded"],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    with pytest.raises(Refusal) as caught:
        Form(content_type, Memory(), max_photo=1)
    assert caught.value.reason is Reason.INVALID_REQUEST


@given(st.binary(max_size=2000), st.integers(1, 500))
def test_nonsense_is_refused_and_never_breaks(body: bytes, step: int) -> None:
    assert refusal(body, step=step).reason is Reason.INVALID_REQUEST


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("IMG_0003.JPG", "IMG_0003.JPG"),
        (r"C:\Users\Acer\IMG.JPG", "IMG.JPG"),
        ("../../etc/passwd", "passwd"),
        ("..", None),
        ("", None),
        ("a\0b\r\nc.jpg", "abc.jpg"),
        ("я" * 300, "я" * 255),
    ],
)
def test_file_names_are_made_fit_for_rows_and_pages(name: str, clean: str | None) -> None:
    assert photo_name(name) == clean


def test_kept_fields_never_hold_the_password_and_stay_small() -> None:
    kept = kept_fields({"password": "secret", "hash": "7b6c", "nul": "a\0b"} | {f"f{i}": "x" * 2000 for i in range(99)})
    assert "password" not in kept
    assert kept["hash"] == "7b6c"
    assert kept["nul"] == "a\ufffdb"
    assert sum(map(len, kept.values())) < 17_000
