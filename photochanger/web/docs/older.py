"""The contract in OpenAPI 3.0, for readers that know no 3.1: the bundled Swagger UI is one of them."""

from collections.abc import Mapping
from typing import Any, Final

_NULL: Final = {"type": "null"}
_MAPS: Final = frozenset({"properties", "schemas"})
_BOUNDS: Final = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def in_3_0(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same contract, as far as 3.0 can tell it; schemas lose nothing that matters to a reader."""
    return {**_converted(document), "openapi": "3.0.3"}


def _converted(value: Any) -> Any:
    match value:
        case dict():
            return _schema({key: _named(each) if key in _MAPS else _converted(each) for key, each in value.items()})
        case list() | tuple():
            return [_converted(each) for each in value]
    return value


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Things by names, which are none of the document's words."""
    return {name: _converted(each) for name, each in value.items()}


def _schema(found: dict[str, Any]) -> dict[str, Any]:
    """A JSON object of the document; only those that are schemas have these keywords."""
    if "$ref" in found and len(found) > 1:
        return {"allOf": [{"$ref": found.pop("$ref")}], **found}
    for union in ("anyOf", "oneOf"):
        if isinstance(found.get(union), list) and _NULL in found[union]:
            found[union] = [each for each in found[union] if each != _NULL]
            found["nullable"] = True
    if isinstance(found.get("type"), list):
        kinds = [kind for kind in found.pop("type") if kind != "null"]
        found |= {"type": kinds[0]} if len(kinds) == 1 else {"anyOf": [{"type": kind} for kind in kinds]}
        found["nullable"] = True
    if isinstance(found.get("contentMediaType"), str):
        found["format"] = "binary"
        del found["contentMediaType"]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if found.get("required") == []:
        del found["required"]  # 3.0 wants one name at least
    if isinstance(found.get("examples"), list):
        found["example"] = found.pop("examples")[0]
    for exclusive, bound in _BOUNDS:
        if isinstance(found.get(exclusive), int | float):
            found |= {bound: found[exclusive], exclusive: True}
    return found
