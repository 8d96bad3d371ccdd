"""Receiving a photo: the body streams through the form parser into the spool file, in batches, off the loop."""

from collections.abc import AsyncIterable, Awaitable, Callable

import trio

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.ingest.form import MAX_FIELDS_BYTES, Form

BATCH = 256 * 1024
"""Bytes parsed, hashed and written in one go. Smaller costs thread hops, larger costs memory per photo."""
FORM_OVERHEAD = MAX_FIELDS_BYTES + 128 * 1024
"""What a form may weigh beyond its photo: fields and part headers."""


async def receive(
    body: AsyncIterable[bytes],
    form: Form,
    *,
    deadline: float,
    threads: trio.CapacityLimiter,
    on_fields: Callable[[], Awaitable[None]],
) -> None:
    """Feed `body` to `form` until its end; then check that the form is whole.

    `on_fields` is awaited after every batch, so that a wrong password is refused while most of the photo is
    still on its way. Raises Refusal; `upload_timeout` when `deadline` (of Trio's clock) passes.
    """
    batch = bytearray()

    async def parse() -> None:
        nonlocal batch
        taken, batch = batch, bytearray()
        await trio.to_thread.run_sync(form.write, taken, limiter=threads)
        await on_fields()

    with trio.move_on_at(deadline) as scope:
        async for chunk in body:
            batch += chunk
            if len(batch) >= BATCH:
                await parse()
        if batch:
            await parse()
    if scope.cancelled_caught:
        raise Refusal(Reason.UPLOAD_TIMEOUT)
    form.finish()
