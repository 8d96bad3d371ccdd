"""Where secrets come from: the few places that make or take them are watched, in tests only."""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit

Secrets = Iterable[str | bytes | None]
Told = Callable[[tuple[Any, ...], dict[str, Any], Any], Secrets]
"""Of the arguments and the result of a call: the secrets in it."""


def _of_config(arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Secrets:
    """A field of the configuration that is not shown is a secret; of an address only its password."""
    config = arguments[0]
    for each in fields(config):
        if not each.repr:
            value = getattr(config, each.name)
            for one in value if isinstance(value, tuple) else (value,):
                yield urlsplit(one).password if one and "://" in one else one


def _result(arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Secrets:
    yield result


def _token(arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Secrets:
    yield result[0]
    yield result[0].rpartition(".")[2]  # the signature, without which the rest is worth nothing


def _argument(place: int) -> Told:
    def told(arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Secrets:
        yield arguments[place] if place < len(arguments) else None

    return told


def _keys(arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any) -> Secrets:
    yield from arguments[2]


WATCHED: Final[tuple[tuple[str, str, str, Told], ...]] = (
    ("photochanger.domain.passwords", "hash_password", "a password", _argument(0)),
    ("photochanger.config", "Config.__init__", "a secret of the configuration", _of_config),
    ("photochanger.slots.house_key", "house_secret", "the house's key", _result),
    ("photochanger.slots.house_key", "derived", "a key derived from the house's", _result),
    ("photochanger.slots.signing", "signing_key", "a slot's signing key", _result),
    ("photochanger.slots.signing", "shown", "a slot's signing key as it is shown", _result),
    ("photochanger.accounts.tokens", "Tokens.__init__", "a key that signs tokens", _keys),
    ("photochanger.accounts.tokens", "Tokens.give", "a token", _token),
    ("photochanger.accounts.tokens", "Tokens.csrf_token", "a page's token", _result),
    ("photochanger.providers.vault", "Vault.lock", "a provider's key", _argument(2)),
    ("photochanger.providers.vault", "Vault.open", "a provider's key", _result),
)
"""Module, name in it, what kind of secret, and where in the call it is. In this order: users of a name come later."""


def watch(tell: Callable[[str | bytes, str], None]) -> None:
    """Have every secret that is made or taken told from now on. To be called before anything imports those names."""
    for module, path, kind, told in WATCHED:
        _wrap(importlib.import_module(module), path, kind, told, tell)


def _wrap(owner: Any, path: str, kind: str, told: Told, tell: Callable[[str | bytes, str], None]) -> None:
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    original = getattr(owner, name)

    @wraps(original)
    def watched(*arguments: Any, **keywords: Any) -> Any:
        result = original(*arguments, **keywords)
        for secret in told(arguments, keywords, result):
            if secret:
                tell(secret, kind)
        return result

    setattr(owner, name, watched)
