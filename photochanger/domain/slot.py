"""A slot as the administrators set it up: an immutable, versioned snapshot, fixed per job at admission."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

OnTimeout = Literal["drop", "store", "poll"]
LastResort = Literal["error", "original", "local"]
AtBudget = Literal["refuse", "last_resort"]
Output = Literal["as_is", "fit", "crop"]
Auth = Literal["password", "signature", "either", "open"]
"""`open` asks for nothing: for closed networks only."""
Gallery = Literal["off", "token", "public"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to a picture: which provider is asked to do what. `settings` is that provider's own part."""

    provider: str
    operation: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Template:
    """A picture bound to a slot: a reference for the model, a style, a face. `path` is relative to the media root."""

    id: UUID
    role: str
    mime: str
    path: str


@dataclass(frozen=True, slots=True)
class Slot:
    """`settings` is the provider's own part, validated by that provider's schema before it is used.

    Times are in seconds, money in microusd. `fallbacks` are tried after the first plan, in their order. `hedge`
    allows a second call beside a slow one; `keep_spares` lets a paid second picture finish and be kept. `t_late` is
    how long work may go on after the window for `on_timeout` store and poll. `output_width` and `output_height` are
    pixels, or both None for the shape of the photo that was sent. `longest_side` and `send_quality` are of the photo
    as it travels to the provider, `jpeg_quality` of the picture as it is delivered. `name` is for people.
    `gallery` says who sees the slot's public page: nobody, who has its link (a new `gallery_generation` makes old links
    worthless), or everybody; `moderated` that a picture appears there only once it was approved.
    """

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
    send_quality: int = 92
    fallbacks: tuple[Plan, ...] = ()
    hedge: bool = True
    keep_spares: bool = False
    on_timeout: OnTimeout = "store"
    t_late: float = 120.0
    last_resort: LastResort = "error"
    last_resort_settings: Mapping[str, Any] = field(default_factory=dict)
    dedupe_seconds: int = 60
    budget_day_microusd: int | None = None
    at_budget: AtBudget = "refuse"
    output: Output = "as_is"
    output_width: int | None = None
    output_height: int | None = None
    rate_per_minute: int | None = None
    rate_burst: int | None = None
    auth: Auth = "either"
    signing_generation: int = 1
    name: str = ""
    gallery: Gallery = "off"
    gallery_generation: int = 1
    moderated: bool = False
    templates: tuple[Template, ...] = ()

    @property
    def plans(self) -> tuple[Plan, ...]:
        """All plans in the order of preference."""
        return (Plan(self.provider, self.operation, self.settings), *self.fallbacks)
