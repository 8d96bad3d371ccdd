"""How one run of a child ended, and the one place where exception groups are unwrapped."""

from dataclasses import dataclass

import trio

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Finished:
    """It returned without having been asked to."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """It raised, or failed to start."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Stopped:
    """Its supervisor told it to leave. `error` is what it raised on the way out, which is recorded and no crash."""

    error: BaseException | None = None


Exit = Finished | Crashed | Stopped


def unwrap(error: BaseException) -> BaseException:
    """The exception that a (possibly nested) group stands for.

    An interrupt wins over everything: KeyboardInterrupt, SystemExit, any other non-`Exception` but Cancelled.
    Cancelled leaves beside a real error are only its echo and are dropped. A single error comes out bare, several
    stay one group. A group of nothing but Cancelled is a cancellation: one Cancelled comes out.
    """
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = _leaves(error)
    for leaf in leaves:
        if not isinstance(leaf, Exception | trio.Cancelled):
            return leaf
    errors = [leaf for leaf in leaves if not isinstance(leaf, trio.Cancelled)]
    if not errors:
        return leaves[0]
    if len(errors) == 1:
        return errors[0]
    rest = error.split(trio.Cancelled)[1]
    assert rest is not None
    return rest


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def describe(error: BaseException) -> str:
    """Type and first line, at most 200 characters: what a page or a log line can carry."""
    first_line = str(error).partition("\n")[0].strip()
    text = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
