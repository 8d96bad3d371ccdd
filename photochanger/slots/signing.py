"""A slot's signing key: derived from the house's secret, so that the database holds nothing to steal."""

import base64
import hmac
from typing import Final

from photochanger.domain.slot import Slot

PREFIX: Final = "whsec_"
"""In front of a shown key, as Standard Webhooks has it."""


def signing_key(secret: bytes, slot: Slot) -> bytes:
    """The 32 bytes with which clients of `slot` sign now; `secret` is the house's."""
    return derived_key(secret, slot.id, slot.signing_generation)


def derived_key(secret: bytes, slot_id: str, generation: int) -> bytes:
    """The 32 bytes of one generation. A slot's next generation makes its old key worthless."""
    return hmac.digest(secret, f"photochanger signing key\n{slot_id}\n{generation}".encode(), "sha256")


def shown(key: bytes) -> str:
    """The key as people carry it to a client."""
    return PREFIX + base64.b64encode(key).decode()
