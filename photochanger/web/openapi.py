"""OpenAPI 3.1 from the contracts of the routes.

Schemas come from msgspec types, problems from the closed list of reasons, paths from Quart's own URL map; so
the document cannot name a route that does not exist, and a route without a description is an error.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Quart

from photochanger import __version__
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import REASONS, Reason
from photochanger.web.access import Access
from photochanger.web.contract import Body, Contract, Problem, contract_of

SESSION_COOKIE = "photochanger_session"
SAFE = frozenset({"get", "head", "options"})
CSRF_HEADER = "X-CSRF-Token"
"""What a page sends along with its cookie when it changes something."""


def document(app: Quart) -> dict[str, Any]:
    """The whole OpenAPI document. Raises LookupError naming a route that is not described."""
    contracts: list[tuple[str, str, str, Contract]] = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        found = contract_of(app.view_functions[rule.endpoint])
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        contracts += [(path, method.lower(), rule.endpoint, found) for method in methods]
    types = {body.schema for *_, found in contracts for body in _bodies(found) if isinstance(body.schema, type)}
    ordered = sorted(types | {Problem}, key=lambda kind: str(kind.__name__))
    found_queries = {found.query for *_, found in contracts if found.query is not None}
    queries = sorted(found_queries, key=lambda kind: str(kind.__name__))
    refs, components = msgspec.json.schema_components([*ordered, *queries], ref_template="#/components/schemas/{name}")
    for query in queries:  # told as parameters; what they refer to stays
        del components[query.__name__]
    schemas = dict(zip(ordered, refs, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, endpoint, found in sorted(contracts, key=lambda item: item[:2]):
        paths.setdefault(path, {})[method] = _operation(path, method, endpoint, found, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PhotoChanger",
            "version": __version__,
            "description": "A booth's photo in, the processed photo out, in the same request.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
    }


def _bodies(found: Contract) -> list[Body]:
    bodies = [body for group in found.responses.values() for body in group]
    return bodies + ([found.request] if found.request else [])


def _usual_problems(found: Contract, method: str) -> list[Reason]:
    """What follows from how the route is made."""
    usual = [Reason.INTERNAL_ERROR]
    if found.access is not Access.PUBLIC:
        usual.append(Reason.UNAUTHENTICATED)
        if isinstance(found.access, Permission) or method not in SAFE:
            usual.append(Reason.FORBIDDEN)
    if found.request is not None:
        usual += [Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE]
        if found.request.media_type == "application/json":
            usual.append(Reason.VALIDATION_FAILED)
    if found.query is not None:
        usual.append(Reason.VALIDATION_FAILED)
    if found.versioned:
        usual += [Reason.PRECONDITION_REQUIRED, Reason.VERSION_CONFLICT]
    return usual


def _parameters(found: Contract, method: str) -> list[Mapping[str, Any]]:
    """What a request may say beside its path and its body."""
    told = list(found.parameters)
    if found.query is not None:
        (_,), components = msgspec.json.schema_components([found.query], ref_template="#/components/schemas/{name}")
        schema = components[found.query.__name__]
        wanted = schema.get("required", [])
        told += [
            {
                "name": name,
                "in": "query",
                "required": name in wanted,
                "schema": {key: value for key, value in each.items() if key != "description"},
            }
            | ({"description": each["description"]} if "description" in each else {})
            for name, each in schema["properties"].items()
        ]
    if found.versioned:
        told.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": True,
                "description": "The ETag of the version that is changed; `*` for whichever there is.",
                "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,18}")$'},
            }
        )
    if found.access is not Access.PUBLIC and method not in SAFE:
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


def _operation(path: str, method: str, endpoint: str, found: Contract, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.replace(".", "_"),
        "summary": found.summary,
        "tags": [found.tag],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{([^}]+)}", path)
        ]
        + _parameters(found, method),
        "responses": {},
    }
    if found.request:
        operation["requestBody"] = {"required": True, "content": _content([found.request], schemas)}
    for status, bodies in found.responses.items():
        answer: dict[str, Any] = {"description": _STATUS.get(status, "Success.")}
        if bodies:
            answer["content"] = _content(bodies, schemas)
        operation["responses"][str(status)] = answer | _headers(found, status)
    if found.access is not Access.PUBLIC:
        known: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
        operation["security"] = [{}, *known] if found.access is Access.OPTIONAL else known
        operation["x-access"] = found.access.value
    by_status: dict[int, list[Reason]] = {}
    for reason in dict.fromkeys((*found.problems, *_usual_problems(found, method))):
        by_status.setdefault(REASONS[reason].status, []).append(reason)
    for status, reasons in sorted(by_status.items()):
        operation["responses"][str(status)] = {
            "description": " ".join(f"`{reason.value}`: {REASONS[reason].en}" for reason in reasons),
            "content": {"application/problem+json": {"schema": schemas[Problem]}},
        } | _headers(found, status)
    return operation


def _headers(found: Contract, status: int) -> dict[str, Any]:
    told = found.headers.get(status, {})
    shown = {name: {"description": text, "schema": {"type": "string"}} for name, text in told.items()}
    return {"headers": shown} if shown else {}


_STATUS = {
    200: "Success.",
    201: "Made.",
    204: "Done.",
    206: "The range that was asked for.",
    304: "Not modified.",
    503: "Not ready.",
}


def _content(bodies: list[Body], schemas: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        body.media_type: {
            "schema": schemas.get(body.schema, body.schema) if isinstance(body.schema, type) else body.schema
        }
        for body in bodies
    }
