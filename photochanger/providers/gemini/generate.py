"""One exchange of generateContent: sent, its picture saved, and every way in which it can fail made an outcome."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import trio

from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.errors import StorageUnavailable
from photochanger.providers.gemini.outcomes import FINISH, UNKNOWN, from_error, from_reply
from photochanger.providers.gemini.picture import save_picture
from photochanger.providers.gemini.prices import ModelPrice
from photochanger.providers.gemini.settings import GeminiSettings
from photochanger.providers.gemini.wire import BadAnswer, Reply, decode_error, decode_reply
from photochanger.providers.http import Exchange, Outbound, ReplyTooLarge, TransportFailed


class Generation:
    """Runs exchanges over `outbound`; replies may have `cap` bytes, and are decoded in threads of `limiter`."""

    def __init__(
        self, outbound: Outbound, prices: Mapping[str, ModelPrice], limiter: trio.CapacityLimiter, cap: int
    ) -> None:
        self._outbound = outbound
        self._prices = prices
        self._limiter = limiter
        self._cap = cap

    async def run(self, exchange: Exchange, settings: GeminiSettings, out_path: Path) -> AttemptOutcome:
        """Send `exchange`; what its reply comes to, the picture in `out_path`. The caller bounds the time."""
        try:
            await self._outbound.run(exchange, cap=self._cap)
        except TransportFailed as error:
            if exchange.status not in (None, 200):
                # The status came whole, even if its explanation did not.
                header = exchange.headers.get("retry-after")
                return from_error(exchange.status or 0, decode_error(exchange.body), header)
            return AttemptOutcome(
                Verdict.TRANSPORT,
                http_status=exchange.status,
                message=str(error),
                possibly_billed=maybe_billed(exchange),
                # Broken off within the answer, the work was done and is paid: only before it a second try is due.
                again=None if exchange.status is None else 0,
            )
        except ReplyTooLarge as error:
            return AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message=str(error), possibly_billed=True)
        except StorageUnavailable as error:
            return AttemptOutcome(Verdict.STORAGE, message=str(error))
        if exchange.status != 200:
            header = exchange.headers.get("retry-after")
            return from_error(exchange.status or 0, decode_error(exchange.body), header)
        try:
            # Not abandoned when cancelled, so the caller may remove the file at once; it takes milliseconds.
            reply, picture, problem = await trio.to_thread.run_sync(
                take, exchange.body, out_path, limiter=self._limiter
            )
        except BadAnswer as error:
            return AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message=str(error), possibly_billed=True)
        if reply.has_error:
            told = decode_error(exchange.body)
            return replace(from_error(told.code or 0, told), http_status=200)
        outcome = from_reply(reply, picture, settings, self._prices)
        if problem is None:
            return outcome
        # It was drawn and is paid for, but there is no file.
        verdict = Verdict.STORAGE if isinstance(problem, StorageUnavailable) else Verdict.BAD_ANSWER
        return replace(outcome, verdict=verdict, picture=None, message=str(problem))


def take(body: bytearray, out_path: Path) -> tuple[Reply, Picture | None, Exception | None]:
    """The reply, its picture if it was saved to `out_path`, and what went wrong in saving it. Raises BadAnswer."""
    reply = decode_reply(body)
    blob = reply.picture
    if blob is None or FINISH.get(reply.finish_reason or "", UNKNOWN)[0] is Verdict.REFUSED:
        return reply, None, None  # pictures in a refused reply are drafts
    problem: Exception | None = None
    try:
        save_picture(blob.data, out_path)
    except (BadAnswer, StorageUnavailable) as error:
        problem = error
    return reply, Picture(out_path, (blob.mime_type or "").lower()), problem


def maybe_billed(exchange: Exchange) -> bool:
    """Nobody can have worked on a request that was not handed over whole, and failed requests are not billed."""
    return exchange.sent and exchange.status in (None, 200)
