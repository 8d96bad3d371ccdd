"""One job at Turbotext: put into the queue, asked for until it is done, its picture fetched."""

import logging
from collections.abc import Mapping
from typing import Final

import trio

from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.errors import PhotoChangerError
from photochanger.providers.base import Call
from photochanger.providers.http import Exchange
from photochanger.providers.turbotext.download import Downloads
from photochanger.providers.turbotext.outcomes import bad_answer
from photochanger.providers.turbotext.request import result_form
from photochanger.providers.turbotext.service import Service
from photochanger.providers.turbotext.wire import Reply

log = logging.getLogger(__name__)

PATIENCE: Final = 3
"""Answers that are not the protocol, in a row, before it is believed that no other kind will come."""

WAIT_LIMIT: Final = 10.0
"""Seconds that a get_result is put off at most, whatever the provider asks for: a booth waits."""

_PASSING: Final = (Verdict.TRANSPORT, Verdict.OVERLOADED, Verdict.QUOTA)
"""What may be over the next time: asking for a result again costs nothing."""


class Work:
    """The state of one job. It stays readable when the work was cut short.

    `handle` is the queue id once it is known; from then on nothing may be created again. `finished` is True once
    Turbotext said that the job has ended, so that it is paid for. `trouble` is the last thing that went wrong.
    """

    def __init__(
        self, service: Service, downloads: Downloads, call: Call, *, pause: float, patience: float, handle: str | None
    ) -> None:
        self._service = service
        self._downloads = downloads
        self._call = call
        self._pause = pause
        self._patience = patience
        self._creating: Exchange | None = None
        self.handle = handle
        self.finished = False
        self.trouble: str | None = None

    @property
    def operation(self) -> str:
        """The method that the job is of."""
        return self._call.operation

    @property
    def maybe_billed(self) -> bool:
        """A job may exist: it has an id, or the request for it was handed over whole and not turned down."""
        if self.handle is not None:
            return True
        created = self._creating
        if created is None or not created.sent:
            return False
        return created.status in (None, 200) or created.status >= 500

    async def create(self, form: Mapping[str, str]) -> AttemptOutcome:
        """Put a job into the queue and follow it to its end."""
        self._creating = self._service.exchange(self._call.operation, form)
        answer = await self._service.ask(self._creating)
        if isinstance(answer, AttemptOutcome):
            return answer
        if answer.success is False:
            return AttemptOutcome(
                Verdict.REJECTED,
                http_status=200,
                error_code="CREATE",
                message=answer.error or "no reason given",
                again=0,
            )
        if answer.queueid is None:
            return bad_answer("the job was accepted without a queueid", code="CREATE")
        self.handle = answer.queueid
        try:
            await self._call.on_handle(self.handle)
        except PhotoChangerError as error:
            # It cannot be resumed after a crash now, but it is paid for and may well end before any.
            log.warning("a queueid could not be kept: %s", type(error).__name__)
        return await self.follow()

    async def follow(self) -> AttemptOutcome:
        """Ask for the result until there is one. Bounded by the caller's cancel scope only."""
        odd = 0
        while True:
            asked = trio.current_time()
            answer = await self._ask_result()
            if isinstance(answer, Reply):
                if answer.allowance:
                    log.info("turbotext: left of the allowance: %s", answer.allowance)
                if not answer.reconnect:
                    outcome = await self._ended(answer)
                    if outcome is not None:
                        return outcome
                    answer = bad_answer("a reply that tells neither a picture nor to ask again")
                else:
                    odd, self.trouble = 0, None
            if isinstance(answer, AttemptOutcome):
                self.trouble = answer.message
                odd = odd + 1 if answer.verdict is Verdict.BAD_ANSWER else 0
                if odd >= PATIENCE or not (odd or answer.verdict in _PASSING):
                    return answer
            # Counted from the asking: where the server holds the request open, it need not be made to wait again.
            await trio.sleep_until(asked + wait_after(answer, self._pause))

    async def _ask_result(self) -> Reply | AttemptOutcome:
        assert self.handle is not None
        exchange = self._service.exchange(self._call.operation, result_form(self.handle))
        with trio.move_on_after(self._patience):
            return await self._service.ask(exchange)
        return AttemptOutcome(Verdict.TRANSPORT, message=f"no answer to get_result within {self._patience:g} s")

    async def _ended(self, reply: Reply) -> AttemptOutcome | None:
        """The outcome of a reply that does not ask to come again; None if it tells nothing."""
        if reply.forbidden:
            self.finished = True
            return AttemptOutcome(
                Verdict.REFUSED,
                http_status=200,
                finish_reason="forbidden_content",
                message=reply.error or "the provider calls the content forbidden",
            )
        if reply.success is False:
            message = reply.error or "no reason given"
            return AttemptOutcome(Verdict.NO_IMAGE, http_status=200, error_code="RESULT", message=message)
        if not reply.pictures:
            if not (reply.ended and reply.whole):
                return None
            self.finished = True
            return AttemptOutcome(Verdict.NO_IMAGE, http_status=200, message="the job ended without a picture")
        self.finished = True
        result = await self._downloads.save(reply.pictures[0], self._call.out_path)
        if isinstance(result, Picture):
            return AttemptOutcome(Verdict.PICTURE, picture=result, http_status=200)
        return result


def wait_after(answer: Reply | AttemptOutcome, pause: float) -> float:
    """Seconds from one get_result to the next: the usual pause, or more where the provider asked for it."""
    asked = answer.retry_after if isinstance(answer, AttemptOutcome) else None
    return max(pause, min(asked or 0.0, WAIT_LIMIT))
