"""Tokens: ours are taken, and nothing that looks like one."""

import base64
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from photochanger.accounts.credentials import FILE, Account, AccountBook, write_accounts
from photochanger.accounts.tokens import CLAIMS, Tokens
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.guard import Identity

KEY, OTHER = 32 * b"k", 32 * b"o"
LIFE = 3600
SERG = Account("serg", "$2b$04$" + 53 * "a", frozenset(Permission))
NOW = 1_800_000_000


@pytest.fixture
async def book(tmp_path: Path) -> AccountBook:
    write_accounts(tmp_path / FILE, [SERG])
    book = AccountBook(tmp_path)
    await book.refresh()
    return book


@pytest.fixture
def tokens(book: AccountBook) -> Tokens:
    return Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)


def claims_of(tokens: Tokens) -> dict[str, Any]:
    """What a good token says."""
    found: dict[str, Any] = jwt.decode(tokens.give(SERG)[0], options={"verify_signature": False})
    assert set(found) == set(CLAIMS)
    return found


def refused(tokens: Tokens, token: str) -> None:
    with pytest.raises(Refusal) as raised:
        tokens.whose(token)
    assert (raised.value.reason, raised.value.detail) == (
        Reason.UNAUTHENTICATED,
        "The token is not, or no longer, good: log in again.",
    )


def b64(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: Any, claims: Any, *, key: bytes = KEY, digest: str = "sha256") -> str:
    """A token that is signed rightly, whatever it says."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(key, signed.encode(), digest))}"


OURS = {"alg": "HS256", "typ": "JWT"}


def ours_as_written() -> bytes:
    """The header of our tokens, byte for byte."""
    return base64.urlsafe_b64decode(jwt.encode({}, KEY, algorithm="HS256").partition(".")[0] + "==")


async def test_ours_is_taken(tokens: Tokens) -> None:
    token, identity = tokens.give(SERG)
    assert tokens.whose(token) == identity
    assert identity == Identity("serg", frozenset(Permission), identity.token_id, NOW + LIFE)
    assert tokens.give(SERG)[1].token_id != identity.token_id
    assert len(token) < 600


async def test_a_signed_copy_of_ours_is_taken(tokens: Tokens) -> None:
    """So that what is refused below is refused for the reason that is given there."""
    assert tokens.whose(jwt.encode(claims_of(tokens), KEY, algorithm="HS256")).username == "serg"


# --- who signed it, and how -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
async def test_unsigned(tokens: Tokens, name: str) -> None:
    good = claims_of(tokens)
    for signature in ("", "AAAA", tokens.give(SERG)[0].split(".")[2]):
        refused(tokens, f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(good)}.{signature}")


@pytest.mark.parametrize("digest", ["sha384", "sha512"])
async def test_our_key_with_another_hash(tokens: Tokens, digest: str) -> None:
    good = claims_of(tokens)
    refused(tokens, forged(OURS | {"alg": digest.replace("sha", "HS")}, good, digest=digest))
    refused(tokens, forged(OURS, good, digest=digest))


async def test_a_public_key_is_no_key(book: AccountBook) -> None:
    """The classic: a service that trusts the header checks an HMAC with its public key."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    tokens = Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)
    good = claims_of(tokens)
    refused(tokens, jwt.encode(good, private, algorithm="RS256"))
    # Even a house whose key is that text takes no token that is signed with the private half.
    careless = Tokens(book, [public], life=LIFE, clock=lambda: NOW)
    refused(careless, jwt.encode(good | {"acc": SERG.fingerprint(public)}, private, algorithm="RS256"))
    refused(careless, jwt.encode(good | {"acc": SERG.fingerprint(public)}, private, algorithm="PS256"))


@pytest.mark.parametrize("key", [OTHER, b"", b"secret", KEY[:-1], KEY + b"k", b"\0"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_signed_with_another_key(tokens: Tokens, key: bytes) -> None:
    refused(tokens, jwt.encode(claims_of(tokens), key or b"0", algorithm="HS256"))


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "0"},
        {"kid": ["k"]},
        {"jwk": {"kty": "oct", "k": b64(OTHER)}},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"typ": "at+jwt"},
        {"cty": "JWT"},
    ],
)
async def test_a_header_that_says_more_than_ours(tokens: Tokens, header: dict[str, Any]) -> None:
    """Signed with the right key, so that only the header can be the reason."""
    refused(tokens, forged(OURS | header, claims_of(tokens)))


# --- what it says -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", CLAIMS)
async def test_a_claim_is_missing(tokens: Tokens, missing: str) -> None:
    good = claims_of(tokens)
    del good[missing]
    refused(tokens, jwt.encode(good, KEY, algorithm="HS256"))


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW},
        {"exp": NOW - 1},
        {"exp": str(NOW + 60)},
        {"exp": NOW + 60.5},
        {"exp": True},
        {"exp": None},
        {"exp": [NOW + 60]},
        {"exp": 2**63},
        {"exp": 10**300},
        {"exp": 1e300},
        {"exp": NOW + LIFE + 1},
        {"exp": -1},
        {"iat": str(NOW)},
        {"iat": float(NOW)},
        {"iat": NOW + 61},
        {"iat": NOW + 61, "exp": NOW + 62},
        {"iat": None},
        {"iat": -(10**300)},
        {"nbf": NOW + 10**9},
        {"nbf": "soon"},
        {"aud": "somebody else"},
        {"sub": "igor"},
        {"sub": "SERG"},
        {"sub": ""},
        {"sub": 7},
        {"sub": ["serg"]},
        {"sub": None},
        {"jti": "not-a-uuid"},
        {"jti": ""},
        {"jti": 7},
        {"jti": None},
        {"jti": {"a": "b"}},
        {"acc": ""},
        {"acc": "0" * 16},
        {"acc": None},
        {"acc": SERG.fingerprint(OTHER)},
    ],
)
async def test_a_claim_is_wrong(tokens: Tokens, change: dict[str, Any]) -> None:
    """Signed with the right key: not even we could make such a token good."""
    good = claims_of(tokens)
    assert tokens.whose(forged(ours_as_written(), good)).username == "serg"
    refused(tokens, forged(ours_as_written(), good | change))


async def test_what_it_says_of_permissions_counts_for_nothing(tokens: Tokens) -> None:
    """The account's are what count, as they are now."""
    token = jwt.encode(claims_of(tokens) | {"permissions": ["root"]}, KEY, algorithm="HS256")
    assert tokens.whose(token).permissions == SERG.permissions


async def test_its_time(book: AccountBook) -> None:
    now = [float(NOW)]
    tokens = Tokens(book, [KEY], life=LIFE, clock=lambda: now[0])
    token = tokens.give(SERG)[0]
    for moment in (NOW, NOW + LIFE - 0.001, NOW - 60):
        now[0] = moment
        assert tokens.whose(token).username == "serg"
    for moment in (NOW + LIFE, NOW + 10 * LIFE, NOW - 61):
        now[0] = moment
        refused(tokens, token)
    # A life that was made shorter is shorter for those that were given before.
    now[0] = NOW + 10
    refused(Tokens(book, [KEY], life=LIFE / 2, clock=lambda: now[0]), token)


async def test_one_that_was_given_back(tokens: Tokens) -> None:
    token, identity = tokens.give(SERG)
    revoked: set[UUID] = {uuid4()}
    tokens.revoked = revoked.__contains__
    assert tokens.whose(token) == identity
    revoked.add(identity.token_id)
    refused(tokens, token)


# --- whose it is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda _: [Account("serg", "$2b$04$" + 53 * "b", SERG.permissions)],
        lambda _: [Account("serg", SERG.password_hash, frozenset({Permission.STATS_READ}))],
        lambda _: [Account("serg2", SERG.password_hash, SERG.permissions)],
    ],
    ids=["removed", "other password", "other permissions", "renamed"],
)
async def test_the_account_has_changed(book: AccountBook, change: Callable[[Any], list[Account]]) -> None:
    tokens = Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)
    token = tokens.give(SERG)[0]
    assert tokens.whose(token).username == "serg"
    write_accounts(book.path, change(None))
    await book.refresh()
    refused(tokens, token)


async def test_two_keys(book: AccountBook) -> None:
    """The new one signs, the old one is still taken; once it is gone, it is not."""
    old = Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)
    both = Tokens(book, [OTHER, KEY], life=LIFE, clock=lambda: NOW)
    new = Tokens(book, [OTHER], life=LIFE, clock=lambda: NOW)
    before, identity = old.give(SERG)
    after, _ = both.give(SERG)
    assert both.whose(before) == identity
    assert both.whose(after) == new.whose(after)
    assert both.is_csrf_token(old.csrf_token(identity), identity)  # of a page that was loaded before
    assert both.is_csrf_token(new.csrf_token(identity), identity)
    refused(new, before)
    refused(old, after)
    assert not new.is_csrf_token(old.csrf_token(identity), identity)


@pytest.mark.parametrize("keys", [[], [b"short"], [KEY, b"short"], [KEY[:-1]]])
async def test_a_weak_key_is_refused_at_the_start(book: AccountBook, keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(book, keys, life=LIFE)


# --- what is no token at all ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a",
        "é.é.é",
        "\ud800",
        "null",
        "{}",
        "Bearer x",
        "\0",
        " ",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
    ],
)
async def test_what_is_no_token(tokens: Tokens, text: str) -> None:
    refused(tokens, text)


async def test_ours_with_something_around_it(tokens: Tokens) -> None:
    token = tokens.give(SERG)[0]
    head, body, signature = token.split(".")
    for bad in (f"{token}.", f".{token}", f"{token}.x", f"{head}..{signature}", f"{head}.{body}.", f"{head}.{body}"):
        refused(tokens, bad)
    for bad in (
        f" {token}",
        f"{token}\n",
        f"{token}é",
        f"{head}.{body}.{signature}\u2028",
        f"{head}.{body}é.{signature}",
        f"{token}\ud800",
    ):
        refused(tokens, bad)


async def test_one_that_is_too_long(tokens: Tokens) -> None:
    deep = b64(b"[" * 1500)
    refused(tokens, f"{deep}.{deep}.x")  # nested deeper than a parser goes
    good = claims_of(tokens) | {"more": "x" * 3000}
    refused(tokens, jwt.encode(good, KEY, algorithm="HS256"))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


@settings(deadline=None, max_examples=60)
@given(text=st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_=-]{0,80}\.[A-Za-z0-9_=-]{0,80}\.?[A-Za-z0-9_=-]{0,80}")))
def test_nothing_else_is_taken_and_nothing_else_is_raised(text: str) -> None:
    book = AccountBook(Path("nowhere"))
    tokens = Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)
    refused(tokens, text)
    refused(tokens, f"{b64(ours_as_written())}.{text}")


@settings(deadline=None, max_examples=60)
@given(claims=st.dictionaries(st.sampled_from(CLAIMS), ANYTHING) | ANYTHING)
def test_no_claims_make_it_fail(claims: dict[str, Any]) -> None:
    book = AccountBook(Path("nowhere"))
    tokens = Tokens(book, [KEY], life=LIFE, clock=lambda: NOW)
    refused(tokens, forged(ours_as_written(), claims))
