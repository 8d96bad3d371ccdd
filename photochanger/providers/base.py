"""What a provider is to the rest of the house: a Driver that turns one prepared photo into one AttemptOutcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

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
class Call:
    """One attempt, as a driver sees it.

    `settings` has passed the driver's `parse_settings`. The driver writes a received picture to `out_path`
    (the caller owns and removes it) and must be done, or cancellable at once, by `deadline` (`trio.current_time`).
    """

    photo: PreparedPhoto
    operation: str
    settings: Any
    out_path: Path
    deadline: float


class Driver(Protocol):
    """One provider's wire protocol. Only `providers.group` calls it."""

    name: str

    def parse_settings(self, settings: Mapping[str, Any]) -> Any:
        """The slot's settings in the driver's own type. Raises ConfigError naming the field that is wrong."""

    def model_of(self, settings: Any) -> str:
        """The model (or method) that the attempt row names."""

    def estimate_microusd(self, settings: Any) -> int:
        """What one call is expected to cost, for the row written before the first byte."""

    async def call(self, call: Call) -> AttemptOutcome:
        """Make one upstream call. Expected failures are outcomes; only bugs and cancellation are raised."""
