"""Signed requests: what is read, what is refused and with which words, and that nothing signed can be exchanged."""

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Auth, Slot
from photochanger.errors import Refusal
from photochanger.ingest import signature as module
from photochanger.ingest.signature import TOLERANCE, Signed, check_body, check_early, decide_auth
from photochanger.slots.signing import PREFIX, derived_key, shown, signing_key
from tests.ingest.signing import KEY, NONCE, NOW, PATH, digest, headers, read, signature

BODY = b"photo"
SHA256 = hashlib.sha256(BODY).digest()
SLOT = Slot("slot-001", 1, "gemini", "edit")


def signed(given: dict[str, str] | None = None, **options: Any) -> Signed:
    found = read(headers(BODY) if given is None else given, **options)
    assert found is not None
    return found


def malformed(given: dict[str, str] | None = None, **options: Any) -> str:
    with pytest.raises(Refusal) as caught:
        read(given, **options)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS
    return caught.value.detail


def refused(signed: Signed, key: bytes = KEY, sha256: bytes = SHA256) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check_body(signed, key, sha256)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS
    return caught.value


# What is read


def test_a_request_without_a_signature_is_none() -> None:
    assert read({"Content-Type": "image/jpeg"}, query=b"survey=a&webhook=b&webhook_other=c") is None


def test_a_right_signature_passes() -> None:
    check_early(signed(), KEY, NOW)
    check_body(signed(), KEY, SHA256)


def test_the_same_in_the_query_with_other_parameters_around_it() -> None:
    plain = signature(BODY, target=f"{PATH}?survey=a%20b&x&survey=c")
    for text in (quote("v1," + plain, safe=""), quote(plain, safe=""), plain, plain.replace("+", "-").rstrip("=")):
        query = f"survey=a%20b&webhook_id={NONCE}&x&webhook_timestamp={NOW}&webhook_signature={text}&survey=c"
        found = signed({}, query=query.encode())
        assert found.target == f"{PATH}?survey=a%20b&x&survey=c"
        check_body(found, KEY, SHA256)


def test_one_right_signature_of_several_is_enough_and_unknown_versions_are_passed_over() -> None:
    given = headers(BODY)
    wrong = "v1," + signature(BODY, key=b"old" * 10)
    given["Webhook-Signature"] = f"v1a,unknown {wrong} {given['Webhook-Signature']}"
    check_body(signed(given), KEY, SHA256)
    given["Webhook-Signature"] = f"{wrong} {wrong}"
    assert "wrong" in refused(signed(given)).detail


@pytest.mark.parametrize("name", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_missing_part_is_named(name: str) -> None:
    given = headers(BODY, announced=True)
    del given[name]
    assert malformed(given) == f"{name} is missing."


@pytest.mark.parametrize("name", ["webhook_id", "webhook_timestamp", "webhook_signature"])
def test_a_missing_parameter_is_named(name: str) -> None:
    parts = {"webhook_id": NONCE, "webhook_timestamp": str(NOW), "webhook_signature": signature(BODY)}
    del parts[name]
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in parts.items())
    assert malformed(query=query.encode()) == f"{name} is missing."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Webhook-Id", ""),
        ("Webhook-Id", "x" * 15),
        ("Webhook-Id", "x" * 129),
        ("Webhook-Id", "0123456789abcde\u00e9"),
        ("Webhook-Id", "0123456789 abcdef"),
        ("Webhook-Timestamp", ""),
        ("Webhook-Timestamp", "-1763000000"),
        ("Webhook-Timestamp", "1763000000.5"),
        ("Webhook-Timestamp", "1763000000000"),
        ("Webhook-Timestamp", "2025-11-13T02:13:20Z"),
        ("Webhook-Timestamp", "\u00b2\u00b2\u00b2"),
        ("Webhook-Signature", ""),
        ("Webhook-Signature", "v1,"),
        ("Webhook-Signature", "v1,AAAA"),
        ("Webhook-Signature", "v2," + "A" * 43 + "="),
        ("Webhook-Signature", "v1," + "A" * 42 + "!="),
        ("Webhook-Signature", "v1," + digest(b"")),
        ("Webhook-Signature", " ".join(["v1," + "A" * 43 + "="] * 5)),
        ("Webhook-Content-Sha256", ""),
        ("Webhook-Content-Sha256", "0" * 63),
        ("Webhook-Content-Sha256", "g" * 64),
    ],
)
def test_a_malformed_part_is_named(name: str, value: str) -> None:
    assert malformed(headers(BODY, announced=True) | {name: value}).startswith(f"{name} is malformed: it must ")


def test_a_part_that_is_there_twice_is_refused() -> None:
    twice = Headers(headers(BODY))
    twice.add("webhook-id", NONCE)
    with pytest.raises(Refusal, match="Webhook-Id is there more than once"):
        Signed.from_request("POST", PATH.encode(), b"", twice)
    assert "more than once" in malformed(
        query=f"webhook_id={NONCE}&webhook_id={NONCE}&webhook_timestamp=1&webhook_signature={signature()}".encode()
    )


def test_headers_and_query_do_not_mix() -> None:
    assert "not in both" in malformed(headers(BODY), query=b"webhook_id=" + NONCE.encode())


@given(
    st.sampled_from([b"", b"webhook_id=", b"a=b&webhook_signature="]) | st.binary(max_size=200),
    st.dictionaries(st.sampled_from(list(headers(b"", announced=True))), st.text()),
)
def test_nonsense_is_refused_and_never_breaks(query: bytes, given: dict[str, str]) -> None:
    one_line = {name: value.replace("\r", "").replace("\n", "") for name, value in given.items()}
    if not given and b"webhook_" not in query:
        assert read(one_line, query=query) is None
    else:
        malformed(one_line, query=query)


# What is checked


@pytest.mark.parametrize("off", [-TOLERANCE, 0, TOLERANCE])
def test_a_clock_that_differs_by_five_minutes_will_do(off: int) -> None:
    check_early(signed(), KEY, NOW + off)


@pytest.mark.parametrize(
    ("off", "words"),
    [(-TOLERANCE - 1, "301 s ahead of"), (TOLERANCE + 1, "301 s behind"), (10**7, "10000000 s behind")],
)
def test_beyond_that_it_has_expired_whatever_the_signature(off: int, words: str) -> None:
    for found in (signed(), signed(headers(BODY, key=b"wrong"))):
        with pytest.raises(Refusal, match=words) as caught:
            check_early(found, KEY, NOW + off)
        assert caught.value.reason is Reason.SIGNATURE_EXPIRED


def test_a_nonce_outlives_the_last_moment_at_which_its_request_could_be_sent_again_and_uploaded() -> None:
    assert signed().expires_at >= NOW + TOLERANCE + 60  # the longest window


def test_with_the_hash_announced_a_wrong_signature_is_refused_before_the_body() -> None:
    check_early(signed(headers(BODY, key=b"wrong")), KEY, NOW)  # nobody can tell yet
    check_early(signed(headers(BODY, announced=True)), KEY, NOW)
    with pytest.raises(Refusal) as caught:
        check_early(signed(headers(BODY, key=b"wrong", announced=True)), KEY, NOW)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS


def test_the_announced_body_must_come() -> None:
    found = signed(headers(BODY, announced=True))
    assert "announced" in refused(found, sha256=hashlib.sha256(b"another").digest()).detail
    # The announcement is no way around the signature either.
    other = hashlib.sha256(b"another").digest()
    assert "wrong" in refused(replace(found, announced=other), sha256=other).detail


def test_no_part_of_what_is_signed_can_be_exchanged() -> None:
    found = signed()
    for other in (
        replace(found, method="PUT"),
        replace(found, target="/api/ingest/slot-002"),
        replace(found, target=PATH + "?survey=b"),
        replace(found, timestamp=NOW + 1),
        replace(found, nonce=NONCE[::-1]),
    ):
        assert "wrong" in refused(other).detail
    assert "wrong" in refused(found, key=b"another").detail
    assert "wrong" in refused(found, sha256=hashlib.sha256(b"").digest()).detail


@given(st.integers(0, 255))
def test_every_bit_of_the_signature_counts(bit: int) -> None:
    found = signed()
    number = int.from_bytes(found.signatures[0]) ^ (1 << bit)
    refused(replace(found, signatures=(number.to_bytes(32),)))


def test_neither_signature_nor_key_shows_in_a_repr() -> None:
    assert "signatures" not in repr(signed())


def test_the_example_in_the_readme_is_right() -> None:
    text = (Path(module.__file__).parent / "README.md").read_text()
    [shown_key] = re.findall(r"whsec_[A-Za-z0-9+/]+=*(?=`)", text)
    [example] = re.findall(r"^    (v1,[A-Za-z0-9+/]{43}=)$", text, re.MULTILINE)
    key = base64.b64decode(shown_key.removeprefix(PREFIX))
    found = signed(headers(BODY) | {"Webhook-Signature": example})
    assert all(part in text for part in (found.method, found.target, str(found.timestamp), found.nonce))
    check_body(found, key, SHA256)


def test_the_readme_names_all_headers_and_parameters() -> None:
    text = (Path(module.__file__).parent / "README.md").read_text()
    for name in (*module.HEADERS, *module.QUERY):
        assert f"`{name}`" in text


# Which proof a slot takes


@pytest.mark.parametrize(
    ("auth", "has_signature", "outcome"),
    [
        ("either", False, "password"),
        ("either", True, "signature"),
        ("password", False, "password"),
        ("signature", True, "signature"),
        ("open", False, "nothing"),
        ("open", True, "nothing"),
        ("password", True, "its password only"),
        ("signature", False, "signed requests only"),
    ],
)
def test_the_slot_says_which_proof_it_takes(auth: Auth, has_signature: bool, outcome: str) -> None:
    slot, found = replace(SLOT, auth=auth), signed() if has_signature else None
    if outcome in ("password", "signature", "nothing"):
        assert decide_auth(slot, found) == outcome
        return
    with pytest.raises(Refusal, match=outcome) as caught:
        decide_auth(slot, found)
    assert caught.value.reason is Reason.INVALID_CREDENTIALS


# Keys


def test_keys_differ_by_house_slot_and_generation_and_stay_what_they_are() -> None:
    keys = {
        derived_key(secret, slot_id, generation)
        for secret in (b"a" * 32, b"b" * 32)
        for slot_id in ("slot-001", "slot-002", "slot-0011")
        for generation in (1, 2, 11)
    }
    assert len(keys) == 18
    assert signing_key(b"a" * 32, replace(SLOT, signing_generation=2)) == derived_key(b"a" * 32, "slot-001", 2)
    # Keys lie in clients' files: another derivation would lock all of them out.
    assert shown(signing_key(b"a" * 32, SLOT)) == "whsec_M8j5n8bu/keVusEfgMTRsLP2b3jQ0LhXzv2kl+84eZ8="
