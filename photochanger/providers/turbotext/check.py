"""Is a key good? `available_api` lists what a key may use; what its answers look like is documented nowhere."""

import re
from typing import Final

import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.providers.base import KeyCheck
from photochanger.providers.turbotext.service import Service
from photochanger.providers.turbotext.wire import Reply

PATIENCE: Final = 10.0
"""Seconds for the whole check."""

METHOD: Final = "available_api"

_OF_THE_KEY: Final = re.compile(r"api.?key|token|auth|vip|ключ|токен|авториз|доступ", re.IGNORECASE)
"""Words in an error that speaks of who asks, not of what was asked."""

_UNCLEAR: Final = KeyCheck("unclear", "Turbotext answered, but not whether it accepts the key.")


async def check_key(service: Service) -> KeyCheck:
    """Ask with the key of `service`. Only the first of the two steps: whoever may queue has shown a good key."""
    with trio.move_on_after(PATIENCE):
        answer = await service.ask(service.exchange(METHOD, {"do": "create_queue"}))
        return _replied(answer) if isinstance(answer, Reply) else _failed(answer)
    return KeyCheck("unreachable", f"Turbotext did not answer within {PATIENCE:g} s.")


def _replied(reply: Reply) -> KeyCheck:
    """Generously: whatever is no error is an answer that is given to good keys only."""
    if reply.success is True or (reply.success is None and reply.error is None):
        return KeyCheck("accepted", "Turbotext accepts the key.")
    if _OF_THE_KEY.search(reply.error or ""):
        return KeyCheck("refused", "Turbotext does not accept the key, or its plan has no access to the API.")
    return _UNCLEAR


def _failed(outcome: AttemptOutcome) -> KeyCheck:
    status = outcome.http_status
    if status in (401, 403):
        return KeyCheck("refused", "Turbotext does not accept the key.")
    if outcome.verdict is Verdict.QUOTA:
        return KeyCheck("quota", "Turbotext has had too many requests with this key; try again later.")
    if outcome.verdict in (Verdict.TRANSPORT, Verdict.OVERLOADED):
        said = f"is out of order now (status {status})" if status else "could not be reached"
        return KeyCheck("unreachable", f"Turbotext {said}.")
    return _UNCLEAR
