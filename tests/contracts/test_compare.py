"""What breaks a client and what does not, one change at a time."""

from typing import Any

import pytest

from tests.contracts.compare import allows, breaking_changes

OPEN: list[dict[str, Any]] = [{}]
LOGIN: list[dict[str, Any]] = [{"bearer": []}, {"session": []}]


def document(
    *,
    path: str = "/things/{id}",
    method: str = "put",
    request: Any = ...,
    response: Any = ...,
    parameters: tuple[dict[str, Any], ...] = (),
    schemas: dict[str, Any] | None = None,
    **operation: Any,
) -> dict[str, Any]:
    """A contract with one operation."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    whole: dict[str, Any] = {
        "operationId": "put_thing",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}},
    }
    whole["parameters"] += parameters
    if request is not ...:
        whole["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    if response is not ...:
        whole["responses"]["200"]["content"]["application/json"]["schema"] = response
    return {"paths": {path: {method: whole | operation}}, "components": {"schemas": schemas or {}}}


def thing(required: tuple[str, ...] = ("name",), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"name": {"type": "string"}} | properties, "required": list(required)}


def query(**schema: Any) -> dict[str, Any]:
    required = schema.pop("required", False)
    return {"name": "q", "in": "query", "required": required, "schema": schema or {"type": "string"}}


def answers(*statuses: str, headers: tuple[str, ...] = (), media_type: str = "application/json") -> dict[str, Any]:
    shown = {name: {"description": ""} for name in headers}
    return {each: {"description": "", "headers": shown, "content": {media_type: {"schema": {}}}} for each in statuses}


INT, STR, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
REF = {"$ref": "#/components/schemas/Part"}
NESTED = {"type": "array", "items": REF}


def parts(**part: Any) -> dict[str, Any]:
    return {"schemas": {"Part": thing(**part)}}


def body(schema: Any) -> dict[str, Any]:
    return {"request": schema}


def told(schema: Any) -> dict[str, Any]:
    return {"response": schema}


BREAKING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "path gone": ({}, {"path": "/other"}, "PUT /things/{id}: is gone"),
    "method gone": ({}, {"method": "post"}, "PUT /things/{id}: is gone"),
    "renamed operation": ({}, {"operationId": "set_thing"}, "is called set_thing now"),
    "status gone": ({"responses": answers("200", "404")}, {"responses": answers("200")}, "404 is gone"),
    "media type gone": ({}, {"responses": answers("200", media_type="text/csv")}, "→ 200: application/json is gone"),
    "header gone": (
        {"responses": answers("200", headers=("ETag",))}, {"responses": answers("200")}, "the header ETag is gone"
    ),
    "login wanted": ({"security": OPEN}, {"security": LOGIN}, "needs credentials now"),
    "login wanted where nothing was said": ({}, {"security": LOGIN}, "needs credentials now"),
    "a way in gone": ({"security": LOGIN}, {"security": LOGIN[:1]}, "session is no way in any more"),
    "another permission": (
        {"security": LOGIN, "x-access": "stats:read"}, {"security": LOGIN, "x-access": "slots:write"},
        "needs slots:write now",
    ),
    "parameter gone": ({"parameters": (query(),)}, {}, "? q: is gone"),
    "parameter wanted": ({"parameters": (query(),)}, {"parameters": (query(required=True),)}, "required"),
    "new parameter wanted": ({}, {"parameters": (query(required=True),)}, "? q: is required now"),
    "parameter's limit": ({"parameters": (query(**INT),)}, {"parameters": (query(**INT, maximum=9),)}, "maximum is 9"),
    "parameter's type": ({"parameters": (query(**STR),)}, {"parameters": (query(**INT),)}, "string is not accepted"),
    "body wanted": ({}, body(thing()), "a body is required now"),
    "no body any more": (body(thing()), {}, "takes no body any more"),
    "property gone from request": (body(thing(size=INT)), body(thing()), "body.size: is gone"),
    "property wanted": (body(thing(size=INT)), body(thing(("name", "size"), size=INT)), "body.size: is required now"),
    "new property wanted": (body(thing()), body(thing(("name", "size"), size=INT)), "body.size: is required now"),
    "value gone from request": (
        body(thing(kind={"enum": ["a", "b"]})), body(thing(kind={"enum": ["a"]})), "body.kind: 'b' is not accepted"
    ),
    "only values now": (body(thing(kind=STR)), body(thing(kind={"enum": ["a"]})), "anything else is not accepted"),
    "type narrowed": (body(thing(size={"type": "number"})), body(thing(size=INT)), "number is not accepted any more"),
    "null refused": (body(thing(size={"anyOf": [INT, NULL]})), body(thing(size=INT)), "null is not accepted any more"),
    "type where none was": (body(thing(size={})), body(thing(size=INT)), "anything is not accepted any more"),
    "shorter": (body(thing(name={**STR, "maxLength": 9})), body(thing(name={**STR, "maxLength": 8})), "maxLength is 8"),
    "a shortest": (body(thing()), body(thing(name={**STR, "minLength": 1})), "minLength is 1 now"),
    "a pattern": (body(thing()), body(thing(name={**STR, "pattern": "^a$"})), "pattern is ^a$ now"),
    "no more extras": (body(thing()), body(thing() | {"additionalProperties": False}), "body.*: is restricted now"),
    "items narrowed": (
        body({"type": "array", "items": {}}), body({"type": "array", "items": INT}), "body[]: anything is not accepted"
    ),
    "alternative gone": (
        body({"anyOf": [thing(), {"type": "array"}]}), body({"anyOf": [thing(), INT]}), "array is not accepted"
    ),
    "deep in request": (
        body(NESTED) | parts(size=INT), body(NESTED) | parts(size={**INT, "minimum": 1}), "body[].size: minimum is 1"
    ),
    "property gone from response": (told(thing(size=INT)), told(thing()), "→ 200.size: is gone"),
    "newly optional": (told(thing(("name",))), told(thing(())), "→ 200.name: may be missing now"),
    "newly nullable": (
        told(thing(size=INT)), told(thing(size={"anyOf": [INT, NULL]})), "→ 200.size: may be null now"
    ),
    "wider": (told(thing(size=INT)), told(thing(size={"type": "number"})), "→ 200.size: may be number now"),
    "anything": (told(thing(size=INT)), told(thing(size={})), "→ 200.size: may be anything now"),
    "format lost": (told(thing(name={**STR, "format": "uuid"})), told(thing()), "the format uuid is gone"),
    "another alternative": (
        told({"anyOf": [thing(), INT]}), told({"anyOf": [thing(), INT, {"type": "array"}]}), "may be array now"
    ),
    "deep in response": (told(NESTED) | parts(size=INT), told(NESTED) | parts(), "→ 200[].size: is gone"),
}  # fmt: skip

HARMLESS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "path parameter renamed": ({}, {"path": "/things/{thing_id}"}),
    "words": ({"summary": "a"}, {"summary": "b", "tags": ["c"], "description": "d"}),
    "new status": ({"responses": answers("200")}, {"responses": answers("200", "410")}),
    "new header": ({"responses": answers("200")}, {"responses": answers("200", headers=("ETag",))}),
    "login dropped": ({"security": LOGIN}, {"security": OPEN}),
    "a way in more": ({"security": LOGIN[:1]}, {"security": LOGIN}),
    "any account": (
        {"security": LOGIN, "x-access": "stats:read"}, {"security": LOGIN, "x-access": "login"}
    ),
    "new parameter": ({}, {"parameters": (query(),)}),
    "parameter not wanted any more": (
        {"parameters": (query(type="string", required=True),)}, {"parameters": (query(),)}
    ),
    "parameter's maximum": (
        {"parameters": (query(**INT, maximum=9),)}, {"parameters": (query(**INT, maximum=10),)}
    ),
    "new property in request": (body(thing()), body(thing(size=INT))),
    "property not wanted any more": (body(thing()), body(thing(()))),
    "new value in request": (body(thing(kind={"enum": ["a"]})), body(thing(kind={"enum": ["b", "a"]}))),
    "any text": (body(thing(kind={"enum": ["a"]})), body(thing(kind=STR))),
    "type widened": (body(thing(size=INT)), body(thing(size={"type": "number"}))),
    "null accepted": (body(thing(size=INT)), body(thing(size={"anyOf": [INT, NULL]}))),
    "longer": (body(thing(name={**STR, "maxLength": 8})), body(thing(name=STR))),
    "another alternative in request": (body({"anyOf": [thing(), INT]}), body({"anyOf": [INT, thing(), STR]})),
    "new property in response": (told(thing()), told(thing(("name", "size"), size=INT))),
    "always there": (told(thing(())), told(thing())),
    "never null": (told(thing(size={"anyOf": [INT, NULL]})), told(thing(size=INT))),
    "narrower": (told(thing(size={"type": "number"})), told(thing(size={**INT, "minimum": 1}))),
    "new value in response": (told(thing(kind={"enum": ["a"]})), told(thing(kind={"enum": ["a", "b"]}))),
    "one alternative less": (told({"anyOf": [thing(), INT]}), told(thing())),
    "named": (told(NESTED) | parts(size=INT), told({"type": "array", "items": thing(size=INT)})),
    "of itself": (told(REF) | parts(next=REF), told(REF) | parts(next=REF, more=INT)),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKING)
def test_breaking(name: str) -> None:
    old, new, message = BREAKING[name]
    [found] = breaking_changes(document(**old), document(**new))
    assert message in found


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(name: str) -> None:
    old, new = HARMLESS[name]
    assert breaking_changes(document(**old), document(**new)) == []


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ((1, 2, 3), (2, 0, 0), True),
        ((1, 2, 3), (1, 3, 0), False),
        ((1, 2, 3), (1, 2, 4), False),
        ((1, 2, 3), (1, 2, 3), False),
        ((1, 2, 3), (0, 9, 0), False),
        ((0, 1, 0), (0, 2, 0), True),
        ((0, 1, 0), (0, 1, 1), False),
        ((0, 1, 0), (1, 0, 0), True),
    ],
)
def test_the_version_that_a_break_needs(old: tuple[int, int, int], new: tuple[int, int, int], allowed: bool) -> None:
    assert allows(old, new) is allowed
