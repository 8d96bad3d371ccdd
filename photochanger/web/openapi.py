"""OpenAPI 3.1 from the contracts of the routes.

Schemas come from msgspec types, problems from the closed list of reasons, paths from Quart's own URL map; so
the document cannot name a route that does not exist, and a route without a description is an error.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from quart import Quart

from photochanger.web.access import Access
from photochanger.web.contract import Body, Contract, Problem, contract_of
from photochanger.web.openapi_problems import Responses, header_objects

VERSION: Final = "0.2.0"
"""Of the contract, by semantic versioning; `ops/contracts` keeps what was released. Below 1.0.0 the middle number tells
of changes that break clients."""

SESSION_COOKIE = "photochanger_session"
SAFE = frozenset({"get", "head", "options"})
"""Methods that change nothing."""
CSRF_HEADER = "X-CSRF-Token"
"""What a page sends along with its cookie when it changes something."""

DESCRIPTION: Final = """\
A booth's photo in, the processed photo out, in the same request.

Every error is an RFC 9457 problem document, in English or Russian as `Accept-Language` asks; `failure_reason` is one
of a closed list, and every operation names those that it may answer. Besides, everywhere: a path that is not told here
is answered 404, a method that is not told for a path 405 with `Allow`, another HTTP than 1.0 and 1.1 is answered 505.

Every GET answers HEAD as well. Lists answer `data` and `meta`, but for `/api/providers` (`providers` alone) and
`/public/share/{token}` (`data` and `expires_at`). Times are RFC 3339 in UTC; money is in whole millionths of a US
dollar.
"""
TAGS: Final = {
    "ingest": "The booth's way in: one photo, one picture.",
    "reading": "Jobs and results, for whoever knows their ids.",
    "providers": "How the AI providers are.",
    "gallery": "Results for guests: galleries, links, archives, and who decides what is shown.",
    "accounts": "Logging in and out, who administrates, and what happened.",
    "settings": "What holds for the whole house.",
    "slots": "The booths' places: what is done with their photos, and what was changed.",
    "templates": "Pictures that slots work with.",
    "presets": "Settings of slots, kept under a name to be used again.",
    "jobs": "Every photo that was worked on: looking, stopping, doing again, trying.",
    "statistics": "How it went, by hour, day and week.",
    "health": "For whoever restarts processes, sends photos or draws graphs.",
    "contract": "This document, and pages to try it on.",
}
"""What each group of routes is for, in the order in which they are shown."""

PICTURES: Final = "image/jpeg, image/png, image/webp"
"""What photos may be."""

SCHEMA: Final = "#/components/schemas/{name}"
IDS: Final = {"slot_id": {"type": "string", "examples": ["slot-001"]}}
"""What ids of paths look like, where they are no UUIDs: an id of an unknown name is any text."""


@dataclass(frozen=True, slots=True)
class _Operation:
    path: str
    method: str
    id: str
    contract: Contract

    @property
    def path_parameters(self) -> list[str]:
        return re.findall(r"{([^}]+)}", self.path)


def document(app: Quart) -> dict[str, Any]:
    """The whole OpenAPI document. Raises LookupError naming a route that is not described."""
    operations = _operations(app)
    schemas = _Schemas(operations)
    responses = Responses(schemas.of(Problem))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _described(each, schemas, responses)
    used = {each.contract.tag for each in operations}
    known = [name for name in TAGS if name in used]
    return {
        "openapi": "3.1.0",
        "info": {"title": "PhotoChanger", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/", "description": "Whichever house this document was asked of."}],
        "tags": [{"name": name, "description": TAGS[name]} for name in known]
        + [{"name": name} for name in sorted(used - TAGS.keys())],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": responses.components,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "For programs: the `access_token` of a login.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": f"For pages: the cookie of a login; changes want `{CSRF_HEADER}` along with it.",
                },
            },
        },
    }


def _operations(app: Quart) -> list[_Operation]:
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        contract = contract_of(app.view_functions[rule.endpoint])
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        name = rule.endpoint.replace(".", "_")
        for method in methods:
            own = name if len(methods) == 1 else f"{name}_{method.lower()}"
            found.append(_Operation(path, method.lower(), own, contract))
    return sorted(found, key=lambda each: (each.path, each.method))


class _Schemas:
    """The schemas of all types that the operations name. Queries are spelled out as parameters, so they are none."""

    def __init__(self, operations: Sequence[_Operation]) -> None:
        bodies = {
            body.schema for each in operations for body in _bodies(each.contract) if not isinstance(body.schema, dict)
        }
        queries = {each.contract.query for each in operations if each.contract.query is not None}
        ordered = sorted(bodies | queries | {Problem}, key=_name)
        refs, found = msgspec.json.schema_components(ordered, ref_template=SCHEMA)
        self._refs = dict(zip(ordered, refs, strict=True))
        self._queries = {query: found.pop(query.__name__) for query in queries - bodies}
        for name, schema in found.items():
            schema["description"] = " ".join(schema.get("description", "").split()) or name
        self.components = dict(sorted(found.items()))

    def of(self, schema: Any) -> Any:
        """The schema of a msgspec type, by reference; one that is written out is its own."""
        return schema if isinstance(schema, dict) else self._refs[schema]

    def query(self, kind: type[msgspec.Struct]) -> dict[str, Any]:
        """The schema of a query as an object."""
        found: dict[str, Any] = self._queries[kind]
        return found


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _bodies(found: Contract) -> list[Body]:
    bodies = [body for group in found.responses.values() for body in group]
    return bodies + ([found.request] if found.request else [])


def _described(each: _Operation, schemas: _Schemas, responses: Responses) -> dict[str, Any]:
    found = each.contract
    operation: dict[str, Any] = {"operationId": each.id, "summary": found.summary, "tags": [found.tag]}
    if parameters := _parameters(each, schemas):
        operation["parameters"] = parameters
    if found.request:
        operation["requestBody"] = {"required": found.request.required, "content": _content([found.request], schemas)}
    told = {str(status): _answer(found, status, bodies, schemas) for status, bodies in sorted(found.responses.items())}
    problems = responses.problems(found, changes=each.method not in SAFE, in_path=bool(each.path_parameters))
    told |= {status: _both(told.get(status), each) for status, each in problems.items()}
    operation["responses"] = dict(sorted(told.items()))
    if found.access is not Access.PUBLIC:
        known: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
        operation["security"] = [{}, *known] if found.access is Access.OPTIONAL else known
        operation["x-access"] = found.access.value
    return operation


def _both(answer: dict[str, Any] | None, problem: dict[str, Any]) -> dict[str, Any]:
    """A status that tells of a success of its own kind and of problems."""
    if answer is None:
        return problem
    text = f"{answer['description']} {problem['description']}"
    return answer | problem | {"description": text, "content": answer.get("content", {}) | problem["content"]}


def _parameters(each: _Operation, schemas: _Schemas) -> list[Mapping[str, Any]]:
    """What a request may say beside its body."""
    found = each.contract
    told: list[Mapping[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(name)} for name in each.path_parameters
    ]
    told += found.parameters
    if found.query is not None:
        told += _query_parameters(schemas.query(found.query))
    if found.versioned:
        told.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of the version that is changed; `*` for whichever there is.",
                "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}")$', "examples": ["*"]},
            }
        )
    if found.access is not Access.PUBLIC and each.method not in SAFE:
        told.append(
            {
                "name": CSRF_HEADER,
                "in": "header",
                "required": False,
                "description": "From the session's own description; needed where the session cookie is used.",
                "schema": {"type": "string"},
            }
        )
    return told


def _path_schema(name: str) -> dict[str, Any]:
    if name in IDS:
        return IDS[name]
    return {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string"}


def _query_parameters(schema: dict[str, Any]) -> list[Mapping[str, Any]]:
    told: list[Mapping[str, Any]] = []
    for name, each in schema["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": name in schema.get("required", [])}
        own = _never_null(each)
        if description := own.pop("description", ""):
            parameter["description"] = description
        told.append(parameter | {"schema": own})
    return told


def _never_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query's text is never null: what may be left out is not required, and that is all."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    if len(kinds) == 1:
        return {**kinds[0], **rest}
    return ({"anyOf": kinds} if kinds else {}) | rest


def _answer(found: Contract, status: int, bodies: list[Body], schemas: _Schemas) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _STATUS.get(status, "Success.")}
    if headers := found.headers.get(status):
        answer["headers"] = header_objects(headers)
    if bodies:
        answer["content"] = _content(bodies, schemas)
    return answer


_STATUS = {
    200: "Success.",
    201: "Made.",
    202: "Begun.",
    204: "Done.",
    206: "The range that was asked for.",
    304: "Not modified.",
    503: "Not ready.",
}


def _content(bodies: Sequence[Body], schemas: _Schemas) -> dict[str, Any]:
    return {body.media_type: _form(schemas.of(body.schema), body.media_type) for body in bodies}


def _form(schema: Any, media_type: str) -> dict[str, Any]:
    """A body; of a form's pictures it is told that they are files, and of which kinds."""
    if media_type != "multipart/form-data":
        return {"schema": schema}
    files = {
        name for name, each in schema["properties"].items() if each.get("contentMediaType", "").startswith("image/")
    }
    told = {
        name: {**each, "format": "binary"} if name in files else each for name, each in schema["properties"].items()
    }
    encoding = {name: {"contentType": PICTURES} for name in sorted(files)}
    return {"schema": {**schema, "properties": told}} | ({"encoding": encoding} if encoding else {})
