"""How many photos may be asked for twice early: a share of all, saved up a little, never more."""

MOST_SAVED = 3.0

_SLACK = 1e-6  # ten tenths are a little less than one


class EarlyHedges:
    """`share` is of photos, 0.1 for one in ten. Rescue hedges do not count."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = min(1.0, share * 10)

    @property
    def share(self) -> float:
        """Of photos, how many may be helped early."""
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        """From now on. What was saved up stays, unless there are to be none at all."""
        self._share = share
        if not share:
            self._saved = 0.0

    def photo(self) -> None:
        """One more photo is at work."""
        self._saved = min(self._saved + self._share, MOST_SAVED)

    @property
    def allowed(self) -> bool:
        """One may be made now."""
        return self._saved > 1.0 - _SLACK

    def made(self) -> None:
        """One was."""
        self._saved -= 1.0
