"""What a job works with, without the house around it, and a provider that does what the test says."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from photochanger.db.facade import Db
from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.domain.slot import Slot
from photochanger.jobs.activity import Activity
from photochanger.jobs.hedges import EarlyHedges
from photochanger.jobs.journal import Journal
from photochanger.jobs.ledger import Ledger
from photochanger.jobs.reserve import Reserve
from photochanger.jobs.shelf import TemplateShelf
from photochanger.jobs.store import JobStore
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Lifetimes, Workshop
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.base import Call
from photochanger.providers.group import ProviderGroup

PRICE = 67_000
"""Microusd that a call is expected to cost."""

Doing = Callable[[Call], Awaitable[AttemptOutcome]]


class SaidDriver:
    """A `Driver` whose calls do what `doing` says; `calls` are those that were made."""

    needs_public_address = False
    on_this_machine = True
    missing: str | None = None
    cap = 30.0

    def __init__(self, doing: Doing, *, name: str = "said", price: int = PRICE, accepts: Sequence[str] = ()) -> None:
        self.name = name
        self.doing = doing
        self.price = price
        self.accepts = frozenset(accepts or ("image/jpeg", "image/png", "image/webp"))
        self.calls: list[Call] = []

    def check(self, operation: str, settings: Any, roles: Sequence[str]) -> None:
        """Anything works."""

    def expects(self, settings: Any) -> Expected:
        """The cold start."""
        return Expected(5.0, 8.0, 9.0)

    def parse_settings(self, settings: Mapping[str, Any]) -> Any:
        """As they are."""
        return dict(settings)

    def model_of(self, settings: Any) -> str:
        """The settings may name one."""
        return str(settings.get("model", "one"))

    def estimate_microusd(self, settings: Any) -> int:
        """The price."""
        return self.price

    async def call(self, call: Call) -> AttemptOutcome:
        """Whatever the test wants."""
        self.calls.append(call)
        return await self.doing(call)


def giving(outcome: AttemptOutcome) -> Doing:
    """Every call comes to this at once."""

    async def give(_call: Call) -> AttemptOutcome:
        return outcome

    return give


def drawing(data: bytes, mime: str = "image/jpeg", cost: int = PRICE) -> Doing:
    """Every call gives this picture at once."""

    async def draw(call: Call) -> AttemptOutcome:
        call.out_path.write_bytes(data)
        return AttemptOutcome(Verdict.PICTURE, picture=Picture(call.out_path, mime), cost_microusd=cost)

    return draw


def damaged(picture: bytes) -> bytes:
    """One byte in the middle is another one: for a PNG, its pixels cannot be read to the end."""
    middle = len(picture) // 2
    return picture[:middle] + bytes([picture[middle] ^ 0xFF]) + picture[middle + 1 :]


def workshop_in(root: Path, *groups: ProviderGroup, db: Db | None = None, **changes: Any) -> Workshop:
    """A workshop whose files lie below `root`. Without `db` nothing can be written to PostgreSQL."""
    pictures = changes.pop("pictures", None) or PictureThreads(2)
    media = FilesystemStore(root / "media")
    parts: dict[str, Any] = {
        "store": JobStore(cast(Db, db), Journal(root / "journal")),
        "media": media,
        "pictures": pictures,
        "groups": {group.name: group for group in groups},
        "metrics": Metrics(),
        "activity": Activity(),
        "ledger": Ledger(cap_day_microusd=None),
        "hedges": EarlyHedges(0.1),
        "reserve": Reserve(pictures, 1.5),
        "templates": TemplateShelf(media),
        "lifetimes": Lifetimes(timedelta(hours=72)),
        "max_pixels": 10**8,
    }
    return Workshop(**(parts | changes))


def upload_in(workshop: Workshop, data: bytes, slot: Slot, **changes: Any) -> Upload:
    """A photo as it was received, in the temp folder of a job of its own."""
    folder = workshop.media.temp_path(slot.id, str(uuid4()))
    folder.mkdir(parents=True)
    path = folder / "payload"
    path.write_bytes(data)
    values: dict[str, Any] = {
        "path": path,
        "folder": folder,
        "size": len(data),
        "sha256": bytes(32),
        "name": "a.jpg",
        "fields": {},
        "probe": probe(path),
    }
    return Upload(**(values | changes))
