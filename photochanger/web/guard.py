"""Who may ask what: every route says in its contract what it needs, and one place looks whether the caller has it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from quart import Quart, Request, g, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.access import Access
from photochanger.web.contract import contract_of


@dataclass(frozen=True, slots=True)
class Identity:
    """An administrator who has proved to be one. `expires_at` is in Unix seconds."""

    username: str
    permissions: frozenset[Permission]
    token_id: UUID
    expires_at: int


class Authenticator(Protocol):
    """Tells who is asking. Synchronous: everything that it needs lies in memory."""

    def identify(self, request: Request) -> Identity | None:
        """Who asks; None when the request brings no credentials.

        Raises Refusal: `unauthenticated` for credentials that are worth nothing, `forbidden` for a request that a
        foreign page may have made.
        """


def install(app: Quart, authenticator: Authenticator) -> None:
    """Have every request to `app` looked at before its handler. Raises LookupError for a route without a contract."""

    @app.before_request
    async def look() -> None:
        if request.url_rule is None or request.url_rule.endpoint not in app.view_functions:
            return  # nothing is there: 404 and 405 tell no secrets
        needed = contract_of(app.view_functions[request.url_rule.endpoint]).access
        if needed is Access.PUBLIC:
            return
        g.identity = identity = authenticator.identify(request)
        if needed is Access.OPTIONAL:
            return
        if identity is None:
            raise Refusal(Reason.UNAUTHENTICATED)
        if isinstance(needed, Permission) and needed not in identity.permissions:
            raise Refusal(Reason.FORBIDDEN)


def caller() -> Identity:
    """Who made the present request, of a route that asks for an account."""
    identity = asker()
    assert identity is not None, "this route does not ask who calls"
    return identity


def asker() -> Identity | None:
    """Who made the present request, of an `optional` route; None for a stranger."""
    found: Identity | None = g.get("identity")
    return found


def may(permission: Permission) -> bool:
    """The present request comes from somebody who may do that."""
    identity = asker()
    return identity is not None and permission in identity.permissions
