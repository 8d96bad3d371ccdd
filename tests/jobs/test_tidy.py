"""What is left to do when a job has been answered: its temp folders go, each of them, whatever becomes of another."""

import shutil
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.jobs.job import Job
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import SaidDriver, drawing, upload_in, workshop_in
from tests.lab.pictures import photo

SLOT = Slot("slot-001", 1, "said", "edit")


async def test_a_folder_that_will_not_go_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = workshop_in(tmp_path, ProviderGroup(SaidDriver(drawing(b"")), live=1, late=0))
    window = Window.of(trio.current_time(), 48.0)
    job = Job(workshop, uuid4(), SLOT, upload_in(workshop, photo(64, 48), SLOT), window)
    repeats = [uuid4(), uuid4()]
    own, one, other = [workshop.media.temp_path(SLOT.id, str(each)) for each in (job.id, *repeats)]
    for folder in (own, one, other):
        folder.mkdir(parents=True)
    for repeat in repeats:
        job.cell.leave(job.join(window, repeat), None)
    rmtree = shutil.rmtree

    def removing(folder: Path) -> None:
        if folder in (own, one):
            raise PermissionError(13, "no")
        rmtree(folder)

    monkeypatch.setattr(shutil, "rmtree", removing)
    await job.tidy()
    assert (own.exists(), one.exists(), other.exists()) == (True, True, False)
