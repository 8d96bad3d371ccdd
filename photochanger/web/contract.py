"""The contract of a route, told beside its code: what it asks for, what it answers, who may call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from photochanger.domain.reasons import Reason
from photochanger.web.access import Needs

Route = TypeVar("Route", bound=Callable[..., Any])

_ATTRIBUTE = "__contract__"


class FieldError(msgspec.Struct):
    """What is wrong with one field; `field` is its path, as in `fallbacks[0].settings.prompt`."""

    field: str
    message: str


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
    errors: list[FieldError] = []


@dataclass(frozen=True, slots=True)
class Body:
    """One kind of body: its media type, and a msgspec type or a raw JSON schema."""

    media_type: str
    schema: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    required: bool = True


def json_body(schema: Any, *, required: bool = True) -> Body:
    """A JSON body of a msgspec type. A request's may be left out when it is not `required`."""
    return Body("application/json", schema, required=required)


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
    access: Needs
    responses: Mapping[int, list[Body]]
    problems: tuple[Reason, ...] = ()
    request: Body | None = None
    headers: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    parameters: tuple[Mapping[str, Any], ...] = ()
    query: type[msgspec.Struct] | None = None
    versioned: bool = False


def contract(
    summary: str,
    *,
    tag: str,
    access: Needs,
    responses: Mapping[int, list[Body]],
    problems: tuple[Reason, ...] = (),
    request: Body | None = None,
    headers: Mapping[int, Mapping[str, str]] | None = None,
    parameters: tuple[Mapping[str, Any], ...] = (),
    query: type[msgspec.Struct] | None = None,
    versioned: bool = False,
) -> Callable[[Route], Route]:
    """Describe a route. `headers` gives, per status, the response headers and what they mean.

    `access` is what the caller needs. `parameters` are what a request may say in headers and in its query, as OpenAPI
    writes it (`parameter` makes one); those of the path are known from the route itself, those of `query` from the
    struct that the handler reads it into. A `versioned` route wants If-Match. The problems that follow from all this
    are told by themselves.
    """

    def attach(route: Route) -> Route:
        found = Contract(
            summary, tag, access, responses, problems, request, headers or {}, parameters, query, versioned
        )
        setattr(route, _ATTRIBUTE, found)
        return route

    return attach


def contract_of(route: Callable[..., Any]) -> Contract:
    """What was said of a route. Raises LookupError when nothing was."""
    found: Contract | None = getattr(route, _ATTRIBUTE, None)
    if found is None:
        raise LookupError(f"the route {route.__name__} is not described")
    return found
