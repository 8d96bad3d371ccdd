"""What a picture still needs once it has come: to be verified, stored and sent. Estimated from what it took lately."""

from photochanger.domain.recent import Recent
from photochanger.media.threads import PictureThreads, Priority

FIRST_GUESS = 1_500_000
"""Bytes of an answer before any was seen: what 1K pictures weigh."""


class Reserve:
    """`floor` (seconds) is the least, whatever was measured."""

    def __init__(self, pictures: PictureThreads, floor: float) -> None:
        self.floor = floor
        self._pictures = pictures
        self._storing = Recent(0.02)
        self._answers = Recent(FIRST_GUESS)

    def stored(self, seconds: float, size: int) -> None:
        """A picture of `size` bytes was kept, which took so long."""
        self._storing.add(seconds)
        self._answers.add(size)

    def seconds(self, window: float, upload_rate: float | None) -> float:
        """The reserve now, for a window of so many seconds and a client that sent `upload_rate` bytes per second.

        Never more than half of the window: that would leave nothing to work with.
        """
        state = self._pictures.state()
        ahead = state.queued[Priority.VERIFY] / self._pictures.per_kind
        verifying = self._pictures.usual(Priority.VERIFY) * (ahead + 1)
        sending = self.sending(self._answers.p90, upload_rate)
        return min(max(self.floor, verifying + self._storing.p90 + sending), window / 2)

    def sending(self, size: float, upload_rate: float | None) -> float:
        """Seconds to send so many bytes to a client, taking its line to be as quick downwards as upwards."""
        return size / upload_rate if upload_rate else 0.0
