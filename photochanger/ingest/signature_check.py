"""May this signed request use this slot? In two steps, around the body; the second one uses its nonce up."""

import time
from collections.abc import Callable

from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import Refusal
from photochanger.ingest.nonces import Nonces
from photochanger.ingest.signature import Signed, check_body, check_early
from photochanger.slots.signing import signing_key


class SignatureCheck:
    """Verifies signatures with the keys that `secret`, the house's, gives the slots. `clock` gives Unix seconds."""

    def __init__(self, secret: bytes, nonces: Nonces, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._nonces = nonces
        self._clock = clock

    def early(self, slot: Slot, signed: Signed) -> None:
        """The part that needs no body. Raises Refusal, so that whoever cannot succeed uploads nothing."""
        check_early(signed, signing_key(self._secret, slot), self._clock())
        if self._nonces.seen(slot.id, signed.nonce):
            raise Refusal(Reason.REPLAYED_NONCE)

    async def whole(self, slot: Slot, signed: Signed, body_sha256: bytes) -> None:
        """The rest, once the body has come whole. Raises Refusal; returns for one request per nonce only.

        The nonce comes after the signature, so that strangers cannot use up other people's.
        """
        check_body(signed, signing_key(self._secret, slot), body_sha256)
        if not await self._nonces.use(slot.id, signed.nonce, signed.expires_at):
            raise Refusal(Reason.REPLAYED_NONCE)
