"""Is a key good? The list of models says so, and costs nothing."""

import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult

import msgspec
import trio

from photochanger.providers.base import KeyCheck
from photochanger.providers.gemini.outcomes import from_error
from photochanger.providers.gemini.wire import decode_error
from photochanger.providers.http import Exchange, Outbound, ReplyTooLarge, SmallBody, TransportFailed

log = logging.getLogger(__name__)

PATIENCE: Final = 10.0
"""Seconds for the whole check."""
REPLY_CAP: Final = 256 * 1024

_SAID: Final[Mapping[str, KeyCheck]] = {
    # By ErrorInfo.reason, else by the status of the error. A key that is not valid comes as a 400.
    "API_KEY_INVALID": KeyCheck("refused", "Google does not know this key."),
    "UNAUTHENTICATED": KeyCheck("refused", "Google does not know this key."),
    "API_KEY_SERVICE_BLOCKED": KeyCheck("refused", "The key may not be used for the Gemini API."),
    "API_KEY_IP_ADDRESS_BLOCKED": KeyCheck("refused", "The key may not be used from this machine's address."),
    "SERVICE_DISABLED": KeyCheck("refused", "The Gemini API is switched off in the key's project."),
    "CONSUMER_SUSPENDED": KeyCheck("refused", "Google has suspended the key's project."),
    "PERMISSION_DENIED": KeyCheck("refused", "The key has no right to use the Gemini API."),
    "FAILED_PRECONDITION": KeyCheck("refused", "Google does not serve this machine's country, or wants billing."),
    "RESOURCE_EXHAUSTED": KeyCheck("quota", "The key is good, but its quota is used up."),
}
_BY_STATUS: Final[Mapping[int, KeyCheck]] = {
    401: _SAID["UNAUTHENTICATED"],
    403: _SAID["PERMISSION_DENIED"],
    429: _SAID["RESOURCE_EXHAUSTED"],
}


async def check_key(outbound: Outbound, base: SplitResult, headers: Mapping[str, str]) -> KeyCheck:
    """Ask with `headers`, which hold the key. What Google says in words goes nowhere, not even into the log."""
    exchange = Exchange("GET", f"{base.geturl()}/v1beta/models?pageSize=1", headers, SmallBody(b""))
    is_list = False
    with trio.move_on_after(PATIENCE) as patience:
        try:
            await outbound.run(exchange, cap=REPLY_CAP)
        except TransportFailed as error:
            if exchange.status in (None, 200):
                log.warning("gemini's key could not be checked: %s", error)
                return KeyCheck("unreachable", "Google could not be reached.")
        except ReplyTooLarge:
            is_list = exchange.status == 200  # a long one is one, too
        else:
            is_list = exchange.status == 200 and _has_models(exchange.body)
    if patience.cancelled_caught:
        return KeyCheck("unreachable", f"Google did not answer within {PATIENCE:g} s.")
    return KeyCheck("accepted", "Google accepts the key.") if is_list else _judged(exchange)


def _has_models(body: bytes | bytearray) -> bool:
    """Whatever else answers at that address with a 200 has not seen the key."""
    try:
        return isinstance(msgspec.json.decode(body).get("models"), list)
    except (AttributeError, msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _judged(exchange: Exchange) -> KeyCheck:
    """What an answer says that is no list of models."""
    status = exchange.status or 0
    error = decode_error(exchange.body)
    code = from_error(status, error).error_code or ""
    if (found := _SAID.get(code) or _SAID.get(error.status or "") or _BY_STATUS.get(status)) is not None:
        return found
    if status == 408 or status >= 500:
        return KeyCheck("unreachable", f"Google is out of order now (status {status}).")
    return KeyCheck("unclear", f"The answer tells nothing of the key (status {status}); look at GEMINI_BASE_URL.")
