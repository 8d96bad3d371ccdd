"""One attempt: its row says how it ended, also when it never began."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import trio
import trio.testing

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.domain.records import AttemptRow
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.jobs.activity import Activity
from photochanger.jobs.attempt import Attempt
from photochanger.jobs.journal import Journal
from photochanger.jobs.store import JobStore
from photochanger.jobs.workshop import Workshop
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.prepare import prepare
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.group import ProviderGroup
from photochanger.providers.local.driver import LocalDriver
from tests.lab.pictures import photo

SLOT = Slot("slot-001", 1, "local", "look", settings={"look": "sepia"})


@pytest.fixture
def pictures() -> PictureThreads:
    return PictureThreads()


@pytest.fixture
def group(pictures: PictureThreads) -> ProviderGroup:
    return ProviderGroup(LocalDriver(pictures), live=1, late=0)


@pytest.fixture
def attempt(tmp_path: Path, db: Db, pictures: PictureThreads, group: ProviderGroup) -> Attempt:
    workshop = Workshop(
        store=JobStore(db, Journal(tmp_path / "journal")),
        media=FilesystemStore(tmp_path / "media"),
        pictures=pictures,
        groups={"local": group},
        metrics=Metrics(),
        activity=Activity(),
        result_ttl=timedelta(hours=1),
        max_pixels=10**8,
    )
    return Attempt(workshop, group, SLOT, uuid4(), 1)


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedPhoto:
    path = tmp_path / "photo"
    path.write_bytes(photo(64, 48))
    return prepare(path, tmp_path / "prepared", probe(path))


async def test_an_attempt_that_cannot_be_booked_is_not_made(
    tmp_path: Path, attempt: Attempt, group: ProviderGroup, prepared: PreparedPhoto
) -> None:
    async def full(_row: AttemptRow) -> None:
        raise StorageUnavailable("no room")

    with pytest.raises(StorageUnavailable):
        await attempt.run(prepared, tmp_path / "answer", Window.of(trio.current_time(), 30.0), full)
    assert attempt.row is not None
    assert (attempt.row.outcome, attempt.row.cost_microusd, attempt.row.possibly_billed) == ("crashed", 0, False)
    assert not (tmp_path / "answer").exists()
    assert group.permits.in_use("live") == 0


async def test_who_waits_for_a_group_that_is_parked_hears_at_once(
    tmp_path: Path, attempt: Attempt, group: ProviderGroup, prepared: PreparedPhoto
) -> None:
    async def book(_row: AttemptRow) -> None:
        raise AssertionError("nothing was granted")

    told: list[Reason] = []

    async def wait() -> None:
        try:
            await attempt.run(prepared, tmp_path / "answer", Window.of(trio.current_time(), 30.0), book)
        except Refusal as refusal:
            told.append(refusal.reason)

    async with group.admission.request(kind="live"), trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        group.on_parked(RuntimeError("a bug"))
    assert told == [Reason.PROVIDER_UNAVAILABLE]
    assert attempt.row is None
    assert group.permits.in_use("live") == 0
