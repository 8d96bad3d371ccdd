"""What a provider is to the rest of the house: a Driver that turns one prepared photo into one AttemptOutcome."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome


@dataclass(frozen=True, slots=True)
class FileSlice:
    """`length` bytes of the photo file from `offset`."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """The photo as it travels: `parts` in order are literal bytes or slices of the file at `path`.

    So metadata is left out without copying the file. `size` is the sum of the parts, `mime` comes from the bytes.
    """

    path: Path
    mime: str
    width: int
    height: int
    parts: Sequence[bytes | FileSlice]
    size: int


@dataclass(frozen=True, slots=True)
class TemplateImage:
    """A picture of the slot's that travels along; what `role` means is the driver's to say."""

    role: str
    photo: PreparedPhoto


class Publisher(Protocol):
    """Puts a picture under a public address for a while, for providers that fetch what they work on."""

    def publish(self, photo: PreparedPhoto) -> AbstractContextManager[str]:
        """The absolute address, good inside the block. Raises ConfigError when this house has no public address."""


async def _forget(_handle: str) -> None:
    """For calls whose handle nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt, as a driver sees it.

    `settings` has passed the driver's `parse_settings`. The driver writes a received picture to `out_path`
    (the caller owns and removes it) and must be done, or cancellable at once, by `deadline` (`trio.current_time`).
    `on_handle` is awaited with the provider's own id of the work as soon as it is known: it makes the id durable, so
    that the work can be taken up again after a crash.
    """

    photo: PreparedPhoto
    operation: str
    settings: Any
    out_path: Path
    deadline: float
    templates: tuple[TemplateImage, ...] = ()
    publisher: Publisher | None = None
    on_handle: Callable[[str], Awaitable[None]] = _forget


@runtime_checkable
class Resumable(Protocol):
    """A driver whose provider gives a handle (`Call.on_handle`) by which the work can be taken up again."""

    async def resume(self, call: Call, handle: str) -> AttemptOutcome:
        """What came of the work that an earlier process began. `call.photo` is not needed any more."""


KeyVerdict = Literal["accepted", "refused", "quota", "missing", "unreachable", "unclear"]
"""What a provider says of a key. `quota`: it is good, but has nothing left; `unclear`: an answer that tells nothing."""


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """What trying a key came to. `detail` is a sentence of ours, never the provider's own text."""

    verdict: KeyVerdict
    detail: str


@runtime_checkable
class Keyed(Protocol):
    """A driver that shows its provider a key, which may be exchanged while it works."""

    def use_key(self, key: str | None) -> None:
        """Every call that begins from now on shows `key`; those that run keep theirs. Synchronous.

        Raises ConfigError for what cannot be a key; then the old one stays.
        """

    async def check_key(self, key: str | None = None) -> KeyCheck:
        """Try `key`, or the one in use, with the cheapest request there is. Bounded by itself; raises ConfigError."""


class Driver(Protocol):
    """One provider's wire protocol. Only `providers.group` calls it."""

    name: str
    accepts: frozenset[str]
    """MIME types of photos that can be sent as they are; others are made JPEG first."""
    needs_public_address: bool
    """The provider fetches photos from us, so this house must have an address that it can reach."""
    cap: float
    """Seconds that one call may take at most, whatever the window says."""

    @property
    def on_this_machine(self) -> bool:
        """The provider runs where this house does, as simulators do: it reaches every address that we reach."""

    @property
    def missing(self) -> str | None:
        """What must be configured before any call can work, as a sentence; None when nothing is missing."""

    def check(self, operation: str, settings: Any, roles: Sequence[str]) -> None:
        """Raises ConfigError for an operation, or roles of templates, that cannot work with these settings."""

    def expects(self, settings: Any) -> Expected:
        """How long a call takes as far as is known before any was measured."""

    def parse_settings(self, settings: Mapping[str, Any]) -> Any:
        """The slot's settings in the driver's own type. Raises ConfigError naming the field that is wrong."""

    def model_of(self, settings: Any) -> str:
        """The model (or method) that the attempt row names."""

    def estimate_microusd(self, settings: Any) -> int:
        """What one call is expected to cost, for the row written before the first byte."""

    async def call(self, call: Call) -> AttemptOutcome:
        """Make one upstream call. Expected failures are outcomes; only bugs and cancellation are raised."""
