"""A photo that was received whole, as a value."""

from dataclasses import dataclass
from pathlib import Path

from photochanger.media.probe import Probe

_TELLS_A_RATE = 256 * 1024
"""Bytes; the time that less took says more of the way than of its width."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The spool file inside the job's own temp folder, and what is known of it.

    `seconds` is how long its bytes took to come, 0 where nobody looked.
    """

    path: Path
    folder: Path
    size: int
    sha256: bytes
    name: str | None
    fields: dict[str, str]
    probe: Probe
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Bytes per second of the client's line; None where this upload does not tell."""
        return self.size / self.seconds if self.seconds > 0 and self.size >= _TELLS_A_RATE else None
