"""Tokens: JWT, HS256 and nothing else. They say who, what he may, from when, until when."""

import hmac
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID, uuid4

import jwt

from photochanger.accounts.credentials import Account, AccountBook
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.guard import Identity

ALGORITHM: Final = "HS256"
SHORTEST_KEY: Final = 32
"""Bytes; RFC 7518 wants a key as long as the hash."""
CLAIMS: Final = ("sub", "permissions", "iat", "exp", "jti", "acc")
_LONGEST: Final = 2048
_HEADER: Final = jwt.encode({}, SHORTEST_KEY * b".", algorithm=ALGORITHM).partition(".")[0]
"""Of every token of ours, as it is written. Another one is none of ours, whatever it says: no other algorithm, no key
id, nothing to understand before the signature has been looked at."""


class Tokens:
    """Gives tokens to accounts and tells whose a token is.

    `keys` sign (the first) and verify (all of them): put a new one in front, keep the old one for a token's life.
    `life` is in seconds; `clock` gives Unix seconds. `acc` in a token is the account's fingerprint: whoever is removed,
    or gets another password or other permissions, has to log in again.
    """

    def __init__(
        self, accounts: AccountBook, keys: Sequence[bytes], *, life: float, clock: Callable[[], float] = time.time
    ) -> None:
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"a signing key has {SHORTEST_KEY} bytes at least")
        self._accounts = accounts
        self._keys = tuple(keys)
        self.life = int(life)
        """Seconds."""
        self._clock = clock
        self.revoked: Callable[[UUID], bool] = lambda _jti: False
        """Whether a token was given back before its time."""

    def give(self, account: Account) -> tuple[str, Identity]:
        """A new token for `account`."""
        now = int(self._clock())
        identity = Identity(account.username, account.permissions, uuid4(), now + self.life)
        claims = {
            "sub": account.username,
            "permissions": sorted(account.permissions),
            "iat": now,
            "exp": identity.expires_at,
            "jti": str(identity.token_id),
            "acc": account.fingerprint(self._keys[0]),
        }
        return jwt.encode(claims, self._keys[0], algorithm=ALGORITHM), identity

    def whose(self, token: str) -> Identity:
        """Who shows this token. Raises Refusal (unauthenticated), always with the same words."""
        identity = self._identity(token) if len(token) <= _LONGEST else None
        if identity is None or self.revoked(identity.token_id):
            raise Refusal(Reason.UNAUTHENTICATED, "The token is not, or no longer, good: log in again.")
        return identity

    def csrf_token(self, identity: Identity) -> str:
        """What a page that uses the session's cookie has to send along with a change."""
        return hmac.digest(self._keys[0], b"csrf\n" + identity.token_id.bytes, "sha256").hex()

    def is_csrf_token(self, given: str, identity: Identity) -> bool:
        """Compares in constant time, with the token of each key."""
        tokens = [hmac.digest(key, b"csrf\n" + identity.token_id.bytes, "sha256").hex() for key in self._keys]
        return any(hmac.compare_digest(given.encode(), token.encode()) for token in tokens)

    def _identity(self, token: str) -> Identity | None:
        if token.partition(".")[0] != _HEADER or not token.isascii():
            return None
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    algorithms=[ALGORITHM],
                    # The clock is ours to give, and every claim is looked at here.
                    options={"require": list(CLAIMS), "verify_exp": False, "verify_iat": False},
                )
            except jwt.PyJWTError:
                continue
            return self._known(claims, key)
        return None

    def _known(self, claims: dict[str, object], key: bytes) -> Identity | None:
        account = self._accounts.find(str(claims["sub"]))
        expires, begun = claims["exp"], claims["iat"]
        if account is None or type(expires) is not int or type(begun) is not int:
            return None
        now = self._clock()
        if not now < expires or begun > now + 60 or expires - begun > self.life:
            return None  # the last: from before the life of tokens was made shorter
        if not hmac.compare_digest(str(claims["acc"]).encode(), account.fingerprint(key).encode()):
            return None
        try:
            return Identity(account.username, account.permissions, UUID(str(claims["jti"])), expires)
        except ValueError:
            return None
