"""Which change of a schema breaks clients: one that sends what was right, or one that reads what was promised."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Direction = Literal["request", "response"]

FLOORS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
CEILINGS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
SHAPES: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentMediaType", "contentEncoding")
NULL: Final = {"type": "null"}


@dataclass(slots=True)
class SchemaComparison:
    """Compares schemas of an old and a new document; `direction` says who has to live with what becomes of them.

    In requests everything that was accepted has to be. In responses everything that was promised has to be there;
    a value more in an enumeration is no break: clients have to take values that they do not know.
    """

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    direction: Direction
    _open: set[tuple[str, str]] = field(default_factory=set)

    def breaks(self, old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
        """What breaks, as sentences that begin with `where`."""
        pair = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if all(pair):
            if pair in self._open:
                return
            self._open.add(pair)
        try:
            yield from self._of_alternatives(_alternatives(old, self.old), _alternatives(new, self.new), where)
        finally:
            self._open.discard(pair)

    def _of_alternatives(
        self, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], where: str
    ) -> Iterator[str]:
        if len(old) == len(new) == 1:
            yield from self._of_one(old[0], new[0], where)
            return
        if self.direction == "request":
            for one in old:
                if all(any(self._of_one(one, other, where)) for other in new):
                    yield f"{where}: {_told(one)} is not accepted any more"
        else:
            for one in new:
                if all(any(self._of_one(other, one, where)) for other in old):
                    yield f"{where}: may be {_told(one)} now"

    def _of_one(self, old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
        yield from self._of_types(_types(old), _types(new), where)
        if self.direction == "request":
            yield from _narrowed(old, new, where)
        elif old.get("format") != new.get("format") and "format" in old:
            yield f"{where}: the format {old['format']} is gone"
        yield from self._of_properties(old, new, where)
        for key, step in (("items", "[]"), ("additionalProperties", ".*")):
            before, after = old.get(key, True), new.get(key, True)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self.breaks(before, after, where + step)
            elif self.direction == "request" and before is not False and after is not True:
                yield f"{where}{step}: is restricted now"
            elif self.direction == "response" and isinstance(before, Mapping) and after is True:
                yield f"{where}{step}: may be anything now"

    def _of_types(self, old: set[str] | None, new: set[str] | None, where: str) -> Iterator[str]:
        if old == new:
            return
        if self.direction == "request" and new is not None:
            if old is None or (lost := old - _widened(new)):
                yield f"{where}: {'anything' if old is None else ', '.join(sorted(lost))} is not accepted any more"
        elif self.direction == "response" and old is not None and (new is None or (extra := new - _widened(old))):
            yield f"{where}: may be {'anything' if new is None else ', '.join(sorted(extra))} now"

    def _of_properties(self, old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name not in after:
                yield f"{where}.{name}: is gone"
            else:
                yield from self.breaks(before[name], after[name], f"{where}.{name}")
        needed, given = set(old.get("required", ())), set(new.get("required", ()))
        if self.direction == "request":
            for name in sorted(given - needed):
                yield f"{where}.{name}: is required now"
        else:
            for name in sorted((needed - given) & after.keys()):
                yield f"{where}.{name}: may be missing now"


def resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to, and whatever is no reference."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _alternatives(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A schema without references and unions at its top. Null is a type, not an alternative of its own."""
    schema = _merged(resolved(schema, document), document)
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if not kinds:
        return [schema]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "discriminator")}
    found: list[Mapping[str, Any]] = []
    for kind in kinds:
        if kind != NULL:
            found += [{**one, **rest} for one in _alternatives(kind, document)]
    if NULL in kinds:
        found = [{**one, "type": sorted((_types(one) or set()) | {"null"})} for one in found] or [NULL]
    return found


def _merged(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """`allOf` as one schema; of the same property the last part's keywords count."""
    if "allOf" not in schema:
        return schema
    whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        found = dict(_merged(resolved(part, document), document))
        properties = dict(whole.get("properties", {}))
        for name, each in found.get("properties", {}).items():
            properties[name] = {**resolved(properties.get(name, {}), document), **each}
        required = {*whole.get("required", ()), *found.get("required", ())}
        whole |= found | {"properties": properties, "required": sorted(required)}
    return whole


def _types(schema: Mapping[str, Any]) -> set[str] | None:
    """The types that are allowed; None for all of them."""
    match schema.get("type"):
        case str() as one:
            return {one}
        case list() as several:
            return set(several)
    values = _values(schema)
    return None if values is None else {_type_of(value) for value in values}


def _type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array"}
    return names.get(type(value), "object")


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _widened(types: set[str]) -> set[str]:
    return types | {"integer"} if "number" in types else types


def _narrowed(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
    """Limits by which something that was accepted is not any more."""
    before, after = _values(old), _values(new)
    if after is not None:
        gone = ["anything else"] if before is None else [repr(value) for value in before if value not in after]
        if gone:
            yield f"{where}: {', '.join(gone)} is not accepted any more"
    for key in FLOORS:
        if key in new and new[key] > old.get(key, _no_floor(key)):
            yield f"{where}: {key} is {new[key]} now"
    for key in CEILINGS:
        if key in new and new[key] < old.get(key, float("inf")):
            yield f"{where}: {key} is {new[key]} now"
    for key in SHAPES:
        # "binary" only says how to show it: bytes are bytes.
        if new.get(key) and new[key] != old.get(key) and (key, new[key]) != ("format", "binary"):
            yield f"{where}: {key} is {new[key]} now"


def _no_floor(key: str) -> float:
    return 0 if key.startswith("min") and key != "minimum" else float("-inf")


def _told(schema: Mapping[str, Any]) -> str:
    title: str = schema.get("title") or "/".join(sorted(_types(schema) or {"anything"}))
    return title
