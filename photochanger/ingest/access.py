"""May this request use this slot? The slot's password, checked off the event loop and remembered for a while."""

import hmac
import secrets
from collections import OrderedDict

import trio

from photochanger.domain.passwords import check_password
from photochanger.domain.slot import Slot

REMEMBER = 600.0
"""Seconds for which a right password is not checked by bcrypt again."""
REMEMBER_WRONG = 30.0
"""The same for a wrong one: a booth that was set up wrongly must not burn a core."""
CAPACITY = 1024


class PasswordCheck:
    """Verifies slot passwords: bcrypt once (some 200 ms of a core), then a keyed digest (microseconds).

    The digest's key lives only in this process, the password itself is kept nowhere, and a digest is bound to
    the stored hash: after a rotation the old password is unknown at once.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._threads = trio.CapacityLimiter(2)

    async def allows(self, slot: Slot, password: str | None) -> bool:
        """True when `password` is the slot's. A slot without a password accepts nobody."""
        if slot.secret_hash is None or password is None:
            return False
        secret = password.encode("utf-8", "surrogateescape")
        digest = hmac.digest(self._key, slot.secret_hash.encode() + b"\0" + secret, "sha256")
        now = trio.current_time()
        known = self._known.get(digest)
        if known is not None and known[1] > now:
            return known[0]
        right = await trio.to_thread.run_sync(check_password, password, slot.secret_hash, limiter=self._threads)
        self._known[digest] = (right, trio.current_time() + (REMEMBER if right else REMEMBER_WRONG))
        self._known.move_to_end(digest)
        while len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return right
