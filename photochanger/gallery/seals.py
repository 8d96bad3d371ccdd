"""What this house signs for those without an account: gallery links, shares, guest links.

Nothing of it is stored: a token is what it opens, and a MAC over that. All three are 32 characters or fewer and safe in
any URL. Each kind has its own key, so a token of one is worthless as another.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from uuid import UUID

from photochanger.domain.slot import Slot
from photochanger.slots.house_key import derived

SHARE_LIFE: Final = 900
"""Seconds for which a share is good."""

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{32}")
_GUEST_MAC: Final = 8
_SHARE_MAC: Final = 16
_GALLERY_MAC: Final = 16


class Seals:
    """The signatures of one house; `secret` is the house's."""

    def __init__(self, secret: bytes) -> None:
        self._gallery = derived(secret, "gallery links")
        self._share = derived(secret, "gallery shares")
        self._guest = derived(secret, "guest links")

    def gallery_key(self, slot: Slot) -> str:
        """What opens the gallery of `slot`, until its `gallery_generation` rises."""
        told = f"{slot.id}\n{slot.gallery_generation}".encode()
        return urlsafe_b64encode(_mac(self._gallery, told, _GALLERY_MAC)).rstrip(b"=").decode()

    def opens(self, slot: Slot, key: str) -> bool:
        """Whether `key` is the slot's. Takes as long for a wrong one."""
        return hmac.compare_digest(self.gallery_key(slot).encode(), key.encode(errors="replace"))

    def share(self, until: int) -> str:
        """A token for the galleries of all slots, good until then (Unix seconds)."""
        told = until.to_bytes(8)
        return _token(told, _mac(self._share, told, _SHARE_MAC))

    def shared_until(self, token: str) -> int | None:
        """When a share ends or ended, in Unix seconds; None for what never was one."""
        told = self._told(self._share, token, _SHARE_MAC)
        return None if told is None else int.from_bytes(told)

    def guest(self, job_id: UUID) -> str:
        """The token of a guest's link: the same each time, also before there is a picture."""
        return _token(job_id.bytes, _mac(self._guest, job_id.bytes, _GUEST_MAC))

    def job_of(self, token: str) -> UUID | None:
        """The job that a guest's link is for; None for what never was one."""
        told = self._told(self._guest, token, _GUEST_MAC)
        return None if told is None else UUID(bytes=told)

    @staticmethod
    def _told(key: bytes, token: str, length: int) -> bytes | None:
        if not _FORM.fullmatch(token):
            return None
        raw = urlsafe_b64decode(token)
        told, mac = raw[:-length], raw[-length:]
        return told if hmac.compare_digest(_mac(key, told, length), mac) else None


def _mac(key: bytes, told: bytes, length: int) -> bytes:
    return hmac.digest(key, told, "sha256")[:length]


def _token(told: bytes, mac: bytes) -> str:
    return urlsafe_b64encode(told + mac).decode()
