"""Replies that no simulator scenario makes: odd JSON, escapes, drafts in refusals, damaged base64. Pure functions."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.outcome import AttemptOutcome, Usage, Verdict
from photochanger.errors import StorageUnavailable
from photochanger.providers.gemini.generate import take
from photochanger.providers.gemini.outcomes import from_error, from_reply, shorten
from photochanger.providers.gemini.picture import PIECE, save_picture
from photochanger.providers.gemini.prices import PRICES, cost_microusd, price_of
from photochanger.providers.gemini.settings import parse_settings
from photochanger.providers.gemini.wire import BadAnswer, decode_error, decode_reply

SETTINGS = parse_settings({"prompt": "x"})


def blob(data: bytes, mime: str | None = "image/jpeg", **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}, **more}


def reply(*parts: Any, finish: str | None = "STOP", **more: Any) -> bytes:
    candidate = {"content": {"parts": list(parts)}, "finishReason": finish}
    return msgspec.json.encode({"candidates": [candidate], **more})


def judge(body: bytes, out: Path) -> AttemptOutcome:
    taken, picture, problem = take(bytearray(body), out)
    assert problem is None
    return from_reply(taken, picture, SETTINGS, PRICES)


def test_the_last_picture_that_is_no_thought_wins(tmp_path: Path) -> None:
    body = reply(blob(b"draft 1"), {"text": "hm"}, blob(b"final", thoughtSignature="c2ln"), blob(b"late", thought=True))
    assert judge(body, tmp_path / "out").verdict is Verdict.PICTURE
    assert (tmp_path / "out").read_bytes() == b"final"


@pytest.mark.parametrize(
    "part",
    [
        None,
        {},
        {"inlineData": None},
        {"inlineData": {}},
        {"inlineData": {"mimeType": "image/png", "data": None}},
        {"inlineData": {"mimeType": "image/png", "data": {}}},
        blob(b"a thought", thought=True),
        {"functionCall": {"name": "draw"}},
    ],
)
def test_parts_that_are_no_picture(tmp_path: Path, part: Any) -> None:
    assert judge(reply(part), tmp_path / "out").verdict is Verdict.NO_IMAGE
    assert judge(reply(blob(b"picture"), part), tmp_path / "out").verdict is Verdict.PICTURE


@pytest.mark.parametrize("mime", ["audio/wav", "", None])
def test_a_picture_under_a_wrong_name_is_taken_and_judged_by_its_bytes_later(tmp_path: Path, mime: str | None) -> None:
    """It is paid for, whatever it is called."""
    assert judge(reply(blob(b"picture", mime)), tmp_path / "out").verdict is Verdict.PICTURE
    assert (tmp_path / "out").read_bytes() == b"picture"


def test_drafts_in_a_refusal_are_not_delivered(tmp_path: Path) -> None:
    outcome = judge(reply(blob(b"an unsafe draft"), finish="IMAGE_SAFETY"), tmp_path / "out")
    assert (outcome.verdict, outcome.picture) == (Verdict.REFUSED, None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b'{"usageMetadata":{"promptTokenCount":7}}', Verdict.NO_IMAGE),
        (b'{"candidates":[],"modelVersion":"m"}', Verdict.NO_IMAGE),
        (b'{"candidates":null,"responseId":"r"}', Verdict.NO_IMAGE),
        (b'{"candidates":[{}],"responseId":"r"}', Verdict.NO_IMAGE),
        (b'{"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]}', Verdict.REJECTED),
        (b'{"something":"else"}', Verdict.BAD_ANSWER),
        (b"{}", Verdict.BAD_ANSWER),
    ],
)
def test_empty_replies(tmp_path: Path, body: bytes, verdict: Verdict) -> None:
    assert judge(body, tmp_path / "out").verdict is verdict


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"candidates":[', b'{"candidates":7}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_not_the_protocol(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        decode_reply(body)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        (7, Usage()),
        ({"promptTokenCount": "many"}, Usage()),
        ({"promptTokenCount": "12", "totalTokenCount": 12}, Usage(prompt=12, total=12)),
        ({"candidatesTokenCount": 5, "candidatesTokensDetails": [{"modality": "TEXT"}]}, Usage(candidates=5)),
    ],
)
def test_odd_usage_does_not_cost_the_picture(tmp_path: Path, usage: Any, expected: Usage) -> None:
    outcome = judge(reply(blob(b"picture"), usageMetadata=usage), tmp_path / "out")
    assert (outcome.verdict, outcome.usage) == (Verdict.PICTURE, expected)


def test_details_missing_all_candidates_are_pictures() -> None:
    price, _ = price_of("gemini-3-pro-image", None)
    assert cost_microusd(price, Usage(prompt=100, candidates=1000), pictured=True) == 100 * 2 + 1000 * 120
    # The documented example: prompt 615, candidates 1232 of which 1120 picture, thoughts 208.
    usage = Usage(615, 1232, 1120, 208, 2055)
    assert cost_microusd(price, usage, pictured=True) == 615 * 2 + 1120 * 120 + (112 + 208) * 12


def test_an_unknown_model_is_booked_as_the_dearest_and_said_to_be_unsure() -> None:
    settings = parse_settings({"prompt": "x", "model": "gemini-9-image"})
    outcome = from_reply(
        decode_reply(reply({"text": "no"}, usageMetadata={"promptTokenCount": 10})), None, settings, PRICES
    )
    assert (outcome.cost_microusd, outcome.possibly_billed) == (20, True)


@given(st.binary(min_size=1, max_size=2000))
def test_saved_bytes_are_the_encoded_ones(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    out = tmp_path_factory.getbasetemp() / "saved"
    picture = decode_reply(reply(blob(data))).picture
    assert picture is not None
    assert save_picture(picture.data, out) == len(data)
    assert out.read_bytes() == data


@pytest.mark.parametrize("size", [PIECE * 3 // 4 - 1, PIECE * 3 // 4, PIECE * 3 // 4 + 1, PIECE * 3 + 2])
def test_pictures_of_several_pieces(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    picture = decode_reply(reply(blob(data[:size]))).picture
    assert picture is not None
    save_picture(picture.data, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data[:size]


def test_escaped_base64_is_understood(tmp_path: Path) -> None:
    text = base64.b64encode(b"\xff\xff\xffpicture?").decode()
    assert "/" in text
    assert text.endswith("=")
    escaped = text.replace("/", "\\/").replace("=", "\\u003d")
    save_picture(msgspec.Raw(f'"{escaped}"'.encode()), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"\xff\xff\xffpicture?"


@pytest.mark.parametrize("text", ["QUJD*UJD", "QUJ", "QUI=QUI=", "", "QU\\nJD", "A" * (PIECE - 4) + "QQ==QUJD", "ж"])
def test_what_is_not_base64(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadAnswer):
        save_picture(msgspec.Raw(f'"{text}"'.encode()), tmp_path / "out")


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        save_picture(msgspec.Raw(b'"QUJD"'), tmp_path / "missing" / "out")


ODD_ERRORS = [
    b"",
    b"text",
    b"[]",
    b"[1]",
    b"7",
    b'{"error":null}',
    b'{"error":"text"}',
    b'{"error":{"message":{},"code":"x"}}',
    b'{"error":{"details":[1,{"@type":7}],"message":"m"}}',
    b"\xff\x00",
    b"[" * 50_000,
]


@pytest.mark.parametrize("body", ODD_ERRORS)
@pytest.mark.parametrize("status", [302, 400, 429, 503])
def test_odd_errors_are_still_errors(body: bytes, status: int) -> None:
    outcome = from_error(status, decode_error(body))
    assert (
        outcome.verdict
        is {
            302: Verdict.REJECTED,
            400: Verdict.REJECTED,
            429: Verdict.QUOTA,
            503: Verdict.OVERLOADED,
        }[status]
    )


def test_an_invalid_key_is_named() -> None:
    body = b'{"error":{"code":400,"message":"API key not valid. Pass a valid API key.","status":"INVALID_ARGUMENT"}}'
    outcome = from_error(400, decode_error(body))
    assert (outcome.verdict, outcome.error_code) == (Verdict.REJECTED, "API_KEY_INVALID")


def test_a_retry_after_header_counts_when_nothing_else_is_said() -> None:
    assert from_error(429, decode_error(b"slow down"), "7").retry_after == 7
    assert from_error(429, decode_error(b"slow down"), "Fri, 01 Jan 2027 00:00:00 GMT").retry_after == 1


def test_messages_are_short_printable_and_without_secrets() -> None:
    text = shorten("key KEY-1 \x00\n\t \ud800" + "ж" * 5000, "KEY-1", None)
    assert text is not None
    assert len(text) == 500
    assert text.startswith("key *** жжж")
    assert shorten("  ") is None
    assert shorten(None) is None
