"""Replies as they are documented, as they were seen, and as nobody would expect them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.providers.turbotext.wire import BadAnswer, Reply, absolute, decode_reply, error_text

URL = "https://www.turbotext.ru/download.php?f=abc.png"

MIX = (
    '{"success":true,"error":"","data":{"prompt":"В стиле дисней"],"width":768,"height":576,"seed":9147962925,'
    f'"strength":50,"pattern_prompt":false}},"uploaded_image":"{URL}"}}'
)
"""The documented reply of mix_images, which is no JSON."""


def read(text: str) -> Reply:
    return decode_reply(text.encode())


@pytest.mark.parametrize(
    ("text", "pictures"),
    [
        (f'{{"success":true,"data":{{}},"uploaded_image":"{URL}"}}', (URL,)),
        (f'{{"success":true,"data":{{"uploaded_image":"{URL}"}}}}', (URL,)),
        ('{"success":true,"data":{"image":["image/a_0.png"]}}', ("image/a_0.png",)),
        ('{"success":true,"data":{"image":"image/a_0.png"}}', ("image/a_0.png",)),
        (
            '{"success":true,"uploaded_image":"top","data":{"uploaded_image":"in","image":["list","b"]}}',
            ("top", "in", "list"),
        ),
        ('{"success":true,"uploaded_image":null,"data":{"image":["a"]}}', ("a",)),
        ('{"success":true,"uploaded_image":" ","data":{"image":[null,"b"]}}', ()),
        ('{"success":true,"uploaded_image":["a"],"data":[]}', ()),
        ('{"success":true,"data":null}', ()),
        (f"\ufeff\n{MIX}", (URL,)),
        (f'{{"success":true,"uploaded_image":"{URL.replace("/", chr(92) + "/")}","data":{{]}}', (URL,)),
        ('{"success":true,"data":{"image":["image/a.png"], "width":7', ("image/a.png",)),
    ],
)
def test_where_the_picture_is(text: str, pictures: tuple[str, ...]) -> None:
    reply = read(text)
    assert (reply.pictures, reply.success, reply.ended or not reply.whole) == (pictures, True, True)


def test_the_documented_reply_that_is_no_json() -> None:
    reply = read(MIX)
    assert (reply.success, reply.pictures, reply.whole, reply.forbidden) == (True, (URL,), False, False)


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ('{"success":true,"queueid":123}', "123"),
        ('{"success":true,"queueid":"a-b"}', "a-b"),
        ('{"success":true,"queueid":12345678901234567890123}', "12345678901234567890123"),
        ('{"success":true,"queueid":123}<br>', "123"),
        ('{"success":true,"queueid":123,"limi', "123"),
        ('{"success":true,"queueid":true}', None),
        ('{"success":true,"queueid":""}', None),
        ('{"success":true,"queueid":1.5}', None),
        ('{"success":true,"queueid":"' + "9" * 201 + '"}', None),
    ],
)
def test_the_queue_id_is_opaque(text: str, handle: str | None) -> None:
    assert read(text).queueid == handle


@pytest.mark.parametrize("text", ['{"success":true,"queueid":12', '{"success":true,"uploaded_image":"https://www.tur'])
def test_a_value_that_may_be_cut_off_is_not_taken(text: str) -> None:
    with pytest.raises(BadAnswer):
        read(text)


def test_an_echoed_prompt_is_no_field() -> None:
    broken = '{"success":true,"data":{"prompt":"x\\"uploaded_image\\":\\"https://evil/\\"}"],"width":1},"a":'
    with pytest.raises(BadAnswer):
        read(broken)


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ("true", True),
        ('"True"', True),
        ("1", True),
        ('"true"', True),
        ("false", False),
        ('"False"', False),
        ("0", False),
    ],
)
def test_truth_has_many_spellings(value: str, truth: bool) -> None:
    assert read(f'{{"success":{value}}}').success is truth
    assert read(f'{{"data":{{"forbidden_content":{value}}}}}').forbidden is truth
    assert read(f'{{"forbidden_content":{value}}}').forbidden is truth


@pytest.mark.parametrize(
    "text", ['{"action":"reconnect"}', '{"success":false,"action":"reconnect"}', '{"data":{"action":"reconnect"}}']
)
def test_reconnect(text: str) -> None:
    assert read(text).reconnect


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '"x"', "<html>", "5", "\x00", "{" * 100_000, "[" * 100_000, '{"success":true,"x":']
)
def test_what_is_not_the_protocol(text: str) -> None:
    with pytest.raises(BadAnswer) as error:
        read(text)
    assert len(str(error.value)) < 2000


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(BadAnswer):
        decode_reply(bytes(range(256)))
    assert decode_reply(b'{"success":false,"error":"\xff\xfe"}').error == "\ufffd\ufffd"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"error":"no money"}', "no money"),
        ('{"error":{"code":7}}', '{"code":7}'),
        ("<html>", "<html>"),
        ("[1]", "[1]"),
    ],
)
def test_error_texts(text: str, said: str) -> None:
    assert error_text(text.encode()) == said


def test_limits_are_numbers() -> None:
    text = '{"success":true,"limits":{"foto_limit":3,"x":"<b>","y":null}}'
    assert read(text).allowance == {"foto_limit": 3}
    assert read('{"success":true,"limits":[1]}').allowance == {}


@pytest.mark.parametrize(
    ("picture", "address"),
    [
        ("image/a_0.png", "https://www.turbotext.ru/image/a_0.png"),
        ("/download.php?f=a", "https://www.turbotext.ru/download.php?f=a"),
        ("https://cdn.example/a.png", "https://cdn.example/a.png"),
    ],
)
def test_relative_pictures_are_the_sites(picture: str, address: str) -> None:
    assert absolute(picture) == address


# --- whatever else may come -----------------------------------------------------------------------------------------

FIELDS = ("success", "action", "error", "queueid", "uploaded_image", "data", "limits", "forbidden_content", "image")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


def is_sound(body: bytes) -> None:
    """A reply or BadAnswer, never anything else."""
    try:
        reply = decode_reply(body)
    except BadAnswer:
        return
    assert all(isinstance(picture, str) and picture for picture in reply.pictures)
    assert reply.queueid is None or reply.queueid.isprintable()
    error_text(body)


@given(st.binary(max_size=300))
def test_any_bytes(body: bytes) -> None:
    is_sound(body)


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES), st.integers(0, 400))
def test_any_fields_whole_or_cut_off(fields: dict[str, object], cut: int) -> None:
    body = msgspec.json.encode(fields)
    is_sound(body)
    is_sound(body[:cut])
    is_sound(body.replace(b",", b"],", 1))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value", ["1" * 5000, "1e400", '"\\ud800"', '{"a":' + "1" * 40 + "}", "[[[]]]", '{"image":[[]]}']
)
def test_odd_values(field: str, value: str) -> None:
    is_sound(f'{{"{field}":{value}}}'.encode())
    is_sound(f'{{"{field}":{value},'.encode())
