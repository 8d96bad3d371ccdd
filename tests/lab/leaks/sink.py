"""Where tests and their tools tell of what the service wrote. Outside of pytest nobody listens."""

from collections.abc import Callable
from typing import Final

TOLD: Final = ("application/problem+json", "text/plain")
"""Bodies that are looked through: errors and metrics. A picture or a token that was asked for is no leak."""

listeners: list[Callable[[str, str], None]] = []


def written(text: str, where: str) -> None:
    """Tell of something that the service wrote: an answer, a process's log, a row of a journal."""
    for listen in listeners:
        listen(text, where)
