"""What a JSON body may be before anybody looks at its types: strangers send it, so a look at it must cost little."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal
from photochanger.web import inputs
from photochanger.web.inputs import DEEPEST, parse_json


def problem(raw: bytes, where: str = "") -> Problem:
    with pytest.raises(Refusal) as refusal:
        parse_json(raw, Any, where)
    assert refusal.value.reason is Reason.VALIDATION_FAILED
    [only] = refusal.value.errors
    return only


def nested(levels: int, inside: str = "") -> bytes:
    return ("[" * levels + inside + "]" * levels).encode()


def peak_of(call: Callable[[], object]) -> int:
    """Bytes that were held at once; the least of three times, as other threads may need some meanwhile."""

    def once() -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return min(once() for _ in range(3))


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("a\0b", "body"),
        ({"a\0b": 1}, "ab"),
        ({"\0": 1}, "body"),
        ({"a": 1, "b": {"c": [1, {"d": "\0"}]}}, "b.c[1].d"),
        ({"a": [{"b": {"c\0": ""}}, "\0"]}, "a[0].b.c"),
        ([[], ["x", "\0"]], "[1][1]"),
        ({"a" * 500: {"b" * 500: "\0"}}, f"{'a' * 60}.{'b' * 60}"),
    ],
)
def test_the_character_nul_is_found_wherever_it_is(document: Any, where: str) -> None:
    found = problem(json.dumps(document).encode())
    assert (found.field, found.message) == (where, "contains the character NUL, which cannot be stored")


def test_the_place_of_a_nul_in_a_field() -> None:
    assert problem(rb'[{"a": "\u0000"}]', "variants").field == "variants[0].a"
    assert problem(rb'"\u0000"', "variants").field == "variants"


@pytest.mark.parametrize("raw", [rb'{"a": "\\u0000", "\\u0000": ["\u0001"]}', rb'"\\\\u0000"', b"{}"])
def test_what_only_looks_like_a_nul_is_none(raw: bytes) -> None:
    assert parse_json(raw, Any) == json.loads(raw)


def test_how_deep_a_body_may_be() -> None:
    for raw in (nested(DEEPEST), nested(DEEPEST - 1, "1"), b'{"[[": ' + nested(DEEPEST - 1) + b"}"):
        parse_json(raw, Any)
    for raw in (nested(DEEPEST + 1), nested(DEEPEST, "1"), b"[0, " + nested(DEEPEST) + b"]"):
        assert problem(raw) == Problem("body", f"is nested more than {DEEPEST} levels deep")
    objects = b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1)
    assert "nested" in problem(objects).message


@pytest.mark.parametrize("last", [b"0", rb'"\u0000"'])
def test_a_long_name_is_not_told_anew_for_each_of_its_children(last: bytes) -> None:
    children = b"".join(b'"%d":0,' % number for number in range(1000))
    raw = b'{"%s":{%s"last":%s}}' % (b"a" * 200_000, children, last)

    def look() -> None:
        if last == b"0":
            parse_json(raw, Any)
        else:
            assert problem(raw).field == "a" * 60 + ".last"

    assert peak_of(look) < 5 * len(raw)  # a path per child would be 1000 times as much


def test_many_small_things_are_not_kept_beside_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"[" + b"[]," * 100 + b"0," * 200_000 + b"0]"  # brackets enough to be looked at

    def alone() -> None:
        monkeypatch.setattr(inputs, "_is_deep", lambda *_: False)
        parse_json(raw, Any)
        monkeypatch.undo()

    assert peak_of(lambda: parse_json(raw, Any)) < peak_of(alone) + 100_000


def test_what_cannot_hold_anything_wrong_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("was walked")

    monkeypatch.setattr(inputs, "_is_deep", never)
    monkeypatch.setattr(inputs, "_nul_in", never)
    assert len(parse_json(b"[" + b"0," * 200_000 + b"0]", list)) == 200_001
