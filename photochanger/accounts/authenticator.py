"""Who makes a request: by a token in the Authorization header, or by the session cookie of a page."""

from quart import Request

from photochanger.accounts.tokens import Tokens
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.guard import Identity
from photochanger.web.openapi import CSRF_HEADER, SAFE, SESSION_COOKIE


class TokenAuthenticator:
    """`photochanger.web.guard.Authenticator` over our tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def identify(self, request: Request) -> Identity | None:
        """None without credentials, and for a page's cookie that has expired: it may show what strangers see."""
        header = request.headers.get("Authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise Refusal(Reason.UNAUTHENTICATED, "Authorization must be Bearer and a token.")
            return self._tokens.whose(token.strip())
        cookie = request.cookies.get(SESSION_COOKIE)
        if cookie is None:
            return None
        try:
            identity = self._tokens.whose(cookie)
        except Refusal:
            return None
        if request.method.lower() not in SAFE:
            self._require_own_page(request, identity)
        return identity

    def _require_own_page(self, request: Request, identity: Identity) -> None:
        """A browser sends the cookie by itself, also for a foreign page; that page cannot know the token."""
        given = request.headers.get(CSRF_HEADER, "")
        if not self._tokens.is_csrf_token(given, identity):
            raise Refusal(Reason.FORBIDDEN, f"{CSRF_HEADER} is missing or wrong: reload the page.")
