"""A full disk is noticed before anything is paid for."""

import pytest
import trio
import trio.testing

from photochanger.errors import StorageUnavailable
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.room import FRESH, Room


class Disk(FilesystemStore):
    """A store whose disk has as much room as the test says."""

    free = 0
    asked = 0

    async def free_bytes(self) -> int:
        self.asked += 1
        return self.free


@pytest.fixture
def disk(tmp_path: object) -> Disk:
    return Disk(tmp_path)  # type: ignore[arg-type]


async def test_a_photo_its_copy_and_the_reserve_must_fit(disk: Disk, autojump_clock: trio.testing.MockClock) -> None:
    room = Room(disk, reserve=1000)
    disk.free = 1199
    with pytest.raises(StorageUnavailable, match="full"):
        await room.require(100)
    disk.free = 1200
    await trio.sleep(FRESH + 0.1)
    await room.require(100)


async def test_the_disk_is_asked_now_and_then_only(disk: Disk, autojump_clock: trio.testing.MockClock) -> None:
    room = Room(disk, reserve=1)
    disk.free = 10**9
    for _ in range(50):
        await room.require(1)
    assert disk.asked == 1
    await trio.sleep(FRESH + 0.1)
    await room.require(1)
    assert disk.asked == 2
