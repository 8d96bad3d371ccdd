"""One POST to Turbotext, and what came of it as a value."""

import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult

from photochanger.domain.outcome import AttemptOutcome
from photochanger.providers.http import Exchange, Outbound, ReplyTooLarge, TransportFailed
from photochanger.providers.turbotext.outcomes import bad_answer, broken, from_status
from photochanger.providers.turbotext.request import encoded
from photochanger.providers.turbotext.wire import BadAnswer, Reply, decode_reply

REPLY_CAP: Final = 1024 * 1024
"""Bytes of a reply; the documented ones have some hundred."""


class Service:
    """The methods under one address, with the key. Its repr shows no key."""

    def __init__(
        self, base: SplitResult, key: str | None, ssl_context: ssl.SSLContext, *, cap: int = REPLY_CAP
    ) -> None:
        self._base = base.geturl()
        self._key = key
        self._outbound = Outbound(ssl_context)
        self._cap = cap

    def __repr__(self) -> str:
        return f"<Service {self._base} key={'yes' if self._key else 'no'}>"

    def exchange(self, operation: str, form: Mapping[str, str]) -> Exchange:
        """A request to be handed to `ask`; it tells how far it came even when `ask` was cancelled."""
        return Exchange("POST", f"{self._base}/{operation}", self._headers(), encoded(form))

    async def ask(self, exchange: Exchange) -> Reply | AttemptOutcome:
        """Send it. A reply of 200, or what was wrong with this one request. Redirects are not followed."""
        try:
            await self._outbound.run(exchange, cap=self._cap)
        except TransportFailed as error:
            if exchange.status not in (None, 200):
                return from_status(exchange)  # the status came whole, even if its explanation did not
            return _remains(exchange) or broken(exchange, str(error))
        except ReplyTooLarge as error:
            return bad_answer(str(error))
        if exchange.status != 200:
            return from_status(exchange)
        try:
            return decode_reply(exchange.body)
        except BadAnswer as error:
            return bad_answer(str(error))

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers


def _remains(exchange: Exchange) -> Reply | None:
    """What a reply that was cut off had told by then: a queue id or a picture is worth having."""
    try:
        return decode_reply(exchange.body) if exchange.status == 200 else None
    except BadAnswer:
        return None
