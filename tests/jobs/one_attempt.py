"""One provider with one live and one late permit, and the attempts that a test makes of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import trio
import trio.testing

from photochanger.domain.outcome import AttemptOutcome
from photochanger.domain.slot import Slot
from photochanger.jobs.attempt import Attempt, Errand
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.prepare import as_it_came
from photochanger.media.threads import PictureThreads
from photochanger.providers.base import Call, PreparedPhoto
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import SaidDriver, upload_in, workshop_in
from tests.lab import pictures

SLOT = Slot("slot-001", 1, "said", "edit")


async def for_ever(_call: Call) -> AttemptOutcome:
    await trio.sleep_forever()
    raise AssertionError


@dataclass
class Bench:
    """One provider with one live and one late permit, and the attempts that a test makes of it."""

    workshop: Workshop
    group: ProviderGroup
    driver: SaidDriver
    upload: Upload
    nursery: trio.Nursery
    booked: list[str | None] = field(default_factory=list)
    """The outcome of each row that was made durable; None = begun."""
    book: Callable[[Attempt], Awaitable[None]] | None = None
    changes: int = 0

    def attempt(self, number: int = 1, *, hedge: bool = False) -> Attempt:
        errand = Errand(
            slot=SLOT,
            job_id=uuid4(),
            number=number,
            way_number=0,
            operation="edit",
            settings={},
            group=self.group,
            hedged=hedge,
            folder=self.upload.folder,
            fit=None,
        )

        async def photo_for(_group: ProviderGroup) -> PreparedPhoto:
            photo = as_it_came(self.upload.path, self.upload.probe)
            assert photo is not None
            return photo

        async def book() -> None:
            assert attempt.row is not None
            if self.book is not None:
                await self.book(attempt)
            self.booked.append(attempt.row.outcome)

        def changed() -> None:
            self.changes += 1

        attempt = Attempt(self.workshop, errand, photo_for=photo_for, book=book, on_change=changed)
        attempt.request = self.group.ask(SLOT.id, float("inf"), hedge=hedge)
        return attempt

    def start(self, number: int = 1) -> Attempt:
        attempt = self.attempt(number)
        self.nursery.start_soon(attempt.run)
        return attempt

    @property
    def money(self) -> tuple[int, int]:
        """Microusd spent and held back."""
        level = self.workshop.ledger.level(SLOT)
        return level.spent, level.reserved


@asynccontextmanager
async def open_bench(root: Path, nursery: trio.Nursery) -> AsyncIterator[Bench]:
    """A bench at work; at the end it must hold nothing."""
    driver = SaidDriver(for_ever)
    group = ProviderGroup(driver, live=1, late=1)
    await nursery.start(group.run)
    workshop = workshop_in(root, group, pictures=PictureThreads(1))
    bench = Bench(workshop, group, driver, upload_in(workshop, pictures.photo(64, 48), SLOT), nursery)
    yield bench
    await trio.testing.wait_all_tasks_blocked()
    assert (group.permits.in_use("live"), group.permits.in_use("late")) == (0, 0)
    assert group.admission.statistics().depth == 0
    assert group.running == 0
    assert bench.money[1] == 0, "money is held back for ever"
    nursery.cancel_scope.cancel()


def told(attempt: Attempt) -> tuple[str | None, int, bool, str | None]:
    """What its row says: outcome, cost, whether that is a guess, message."""
    assert attempt.row is not None
    row = attempt.row
    return row.outcome, row.cost_microusd, row.possibly_billed, row.message
