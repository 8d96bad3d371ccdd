"""The contract: each route says beside its code what it answers, and OpenAPI 3.1 is made from that.

Schemas come from msgspec types, problems from the closed list of reasons, paths from Quart's own URL map; so
the document cannot name a route that does not exist, and a route without a description is an error.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
from quart import Quart

from photochanger import __version__
from photochanger.domain.reasons import REASONS, Reason

Route = TypeVar("Route", bound=Callable[..., Any])

_ATTRIBUTE = "__contract__"


class Problem(msgspec.Struct, omit_defaults=True):
    """An error, as RFC 9457 describes it; `failure_reason` is one of the closed list of reasons."""

    type: str
    title: str
    status: int
    failure_reason: str
    detail: str = ""
    job_id: str = ""
    retry_after: int = 0
    result_url: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """One kind of body: its media type, and a msgspec type or a raw JSON schema."""

    media_type: str
    schema: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def json_body(schema: Any) -> Body:
    """A JSON body of a msgspec type."""
    return Body("application/json", schema)


def binary(*media_types: str) -> list[Body]:
    """A body that is a file."""
    return [Body(kind, {"type": "string", "contentMediaType": kind}) for kind in media_types]


def parameter(name: str, place: Literal["header", "query"], description: str, pattern: str) -> Mapping[str, Any]:
    """Something that a request may say; `pattern` is the regular expression of its whole value."""
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return {"name": name, "in": place, "required": False, "description": description, "schema": schema}


@dataclass(frozen=True, slots=True)
class Contract:
    """What a route answers."""

    summary: str
    tag: str
    responses: Mapping[int, list[Body]]
    problems: tuple[Reason, ...] = ()
    request: Body | None = None
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    parameters: tuple[Mapping[str, Any], ...] = ()


def contract(
    summary: str,
    *,
    tag: str,
    responses: Mapping[int, list[Body]],
    problems: tuple[Reason, ...] = (),
    request: Body | None = None,
    headers: Mapping[int, Mapping[str, str]] | None = None,
    parameters: tuple[Mapping[str, Any], ...] = (),
) -> Callable[[Route], Route]:
    """Describe a route. `headers` gives, per status, the response headers and what they mean.

    `parameters` are what a request may say in headers and in its query, as OpenAPI writes it (`parameter` makes one);
    those of the path are known from the route itself.
    """

    def attach(route: Route) -> Route:
        setattr(route, _ATTRIBUTE, Contract(summary, tag, responses, problems, request, headers or {}, parameters))
        return route

    return attach


def document(app: Quart) -> dict[str, Any]:
    """The whole OpenAPI document. Raises LookupError naming a route that is not described."""
    contracts: list[tuple[str, str, str, Contract]] = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static":
            continue
        found: Contract | None = getattr(app.view_functions[rule.endpoint], _ATTRIBUTE, None)
        if found is None:
            raise LookupError(f"the route {rule.rule} is not described")
        path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        contracts += [(path, method.lower(), rule.endpoint, found) for method in methods]
    types = {body.schema for *_, found in contracts for body in _bodies(found) if isinstance(body.schema, type)}
    ordered = sorted(types | {Problem}, key=lambda kind: str(kind.__name__))
    refs, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(ordered, refs, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, endpoint, found in sorted(contracts, key=lambda item: item[:2]):
        paths.setdefault(path, {})[method] = _operation(path, endpoint, found, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PhotoChanger",
            "version": __version__,
            "description": "A booth's photo in, the processed photo out, in the same request.",
        },
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _bodies(found: Contract) -> list[Body]:
    bodies = [body for group in found.responses.values() for body in group]
    return bodies + ([found.request] if found.request else [])


def _operation(path: str, endpoint: str, found: Contract, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.replace(".", "_"),
        "summary": found.summary,
        "tags": [found.tag],
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{([^}]+)}", path)
        ]
        + list(found.parameters),
        "responses": {},
    }
    if found.request:
        operation["requestBody"] = {"required": True, "content": _content([found.request], schemas)}
    for status, bodies in found.responses.items():
        answer: dict[str, Any] = {"description": _STATUS.get(status, "Success.")}
        if bodies:
            answer["content"] = _content(bodies, schemas)
        operation["responses"][str(status)] = answer | _headers(found, status)
    by_status: dict[int, list[Reason]] = {}
    for reason in found.problems:
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


_STATUS = {200: "Success.", 206: "The range that was asked for.", 304: "Not modified.", 503: "Not ready."}


def _content(bodies: list[Body], schemas: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        body.media_type: {
            "schema": schemas.get(body.schema, body.schema) if isinstance(body.schema, type) else body.schema
        }
        for body in bodies
    }
