"""A slot as the administrators set it up: an immutable, versioned snapshot, fixed per job at admission."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Slot:
    """`settings` is the provider's own part, validated by that provider's schema before it is used."""

    id: str
    version: int
    provider: str
    operation: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secret_hash: str | None = None
    is_active: bool = True
    size_limit_bytes: int = 50_000_000
    t_sync: float = 48.0
    permits: int = 2
    mailbox: int = 8
    allow_png: bool = False
    jpeg_quality: int = 92
    longest_side: int | None = None
