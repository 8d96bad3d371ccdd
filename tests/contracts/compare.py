"""Which changes between two contracts break clients of the old one."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.contracts.schemas import SchemaComparison, resolved

METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options", "trace")

Document = Mapping[str, Any]
Operation = Mapping[str, Any]


def breaking_changes(old: Document, new: Document) -> list[str]:
    """One sentence per change that breaks a client made for `old`; none when all of them go on working."""
    after = {_shape(path): (path, item) for path, item in new["paths"].items()}
    found: list[str] = []
    for path, item in old["paths"].items():
        new_path, other = after.get(_shape(path), (path, {}))
        for method in METHODS:
            if method not in item:
                continue
            where = f"{method.upper()} {path}"
            if method not in other:
                found.append(f"{where}: is gone")
            else:
                found += _of_operation(old, new, _placed(item[method], path), _placed(other[method], new_path), where)
    return found


def allows(old: tuple[int, int, int], new: tuple[int, int, int]) -> bool:
    """Whether the step from one version to another may break clients: the first number that is not 0 is another."""
    if new <= old:
        return False
    return new[0] != old[0] or (old[0] == 0 and new[1] != old[1])


def _shape(path: str) -> str:
    """Clients do not see what a parameter of the path is called."""
    return re.sub(r"{[^}]*}", "{}", path)


def _placed(operation: Operation, path: str) -> Operation:
    """The operation, its path's parameters called by their places."""
    names = re.findall(r"{([^}]*)}", path)
    parameters = [
        each | {"name": str(names.index(each["name"]))} if each["in"] == "path" else each
        for each in operation.get("parameters", [])
    ]
    return {**operation, "parameters": parameters}


def _of_operation(old: Document, new: Document, before: Operation, after: Operation, where: str) -> Iterator[str]:
    if before.get("operationId") != after.get("operationId"):
        yield f"{where}: is called {after.get('operationId')} now"  # generated clients have methods of this name
    yield from _of_access(before, after, where)
    yield from _of_parameters(old, new, before, after, where)
    yield from _of_request(old, new, before, after, where)
    for status, response in before["responses"].items():
        if status not in after["responses"]:
            yield f"{where}: {status} is gone"
            continue
        told = f"{where} → {status}"
        one, other = resolved(response, old), resolved(after["responses"][status], new)
        for name in one.get("headers", {}):
            if name not in other.get("headers", {}):
                yield f"{told}: the header {name} is gone"
        comparison = SchemaComparison(old, new, "response")
        yield from _of_content(comparison, one.get("content", {}), other.get("content", {}), told)


def _of_access(before: Operation, after: Operation, where: str) -> Iterator[str]:
    ways, others = ({frozenset(way) for way in each.get("security", [{}])} or {frozenset()} for each in (before, after))
    if frozenset() in others:
        return
    if frozenset() in ways:
        yield f"{where}: needs credentials now"
        return
    for way in sorted(map(sorted, ways - others)):
        yield f"{where}: {' and '.join(way)} is no way in any more"
    if after.get("x-access") not in (before.get("x-access"), "login"):
        yield f"{where}: needs {after.get('x-access')} now"


def _of_parameters(old: Document, new: Document, before: Operation, after: Operation, where: str) -> Iterator[str]:
    had, has = ({_key(each): each for each in one["parameters"]} for one in (before, after))
    for key, parameter in had.items():
        name = f"{where} ? {parameter['name']}"
        if key not in has:
            yield f"{name}: is gone"
            continue
        if has[key].get("required") and not parameter.get("required"):
            yield f"{name}: is required now"
        comparison = SchemaComparison(old, new, "request")
        yield from comparison.breaks(parameter.get("schema", {}), has[key].get("schema", {}), name)
    for key in has.keys() - had.keys():
        if has[key].get("required"):
            yield f"{where} ? {has[key]['name']}: is required now"


def _key(parameter: Mapping[str, Any]) -> tuple[str, str]:
    name: str = parameter["name"]
    return parameter["in"], name.lower() if parameter["in"] == "header" else name


def _of_request(old: Document, new: Document, before: Operation, after: Operation, where: str) -> Iterator[str]:
    had, has = resolved(before.get("requestBody", {}), old), resolved(after.get("requestBody", {}), new)
    if has.get("required") and not had.get("required"):
        yield f"{where}: a body is required now"
    if had and not has:
        yield f"{where}: takes no body any more"
    elif had:
        yield from _of_content(SchemaComparison(old, new, "request"), had["content"], has["content"], f"{where} body")


def _of_content(
    comparison: SchemaComparison, before: Mapping[str, Any], after: Mapping[str, Any], where: str
) -> Iterator[str]:
    for media_type, body in before.items():
        if media_type not in after:
            yield f"{where}: {media_type} is gone"
        else:
            yield from comparison.breaks(body.get("schema", {}), after[media_type].get("schema", {}), where)
