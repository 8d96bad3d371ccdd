"""Second pictures that were paid for: kept beside the result, whether they came before its end or after it."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.domain.situation import Settle, Situation, Start, Step, Wait
from photochanger.domain.slot import Slot
from photochanger.domain.window import Window
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.reply import PictureReply
from photochanger.providers.base import Call
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import PRICE, SaidDriver, upload_in, workshop_in
from tests.lab.pictures import photo


def both_first(situation: Situation) -> Step:
    """Two calls at once, and no decision before both pictures have been looked at."""
    if len(situation.tries) < 2:
        return Start(0)
    if all(each.verified for each in situation.tries):
        return Settle(0)
    return Wait(situation.settle_by)


@pytest.mark.parametrize("keep_spares", [True, False])
async def test_one_that_was_there_before_the_end_is_kept_too(
    db: Db, tmp_path: Path, nursery: trio.Nursery, keep_spares: bool
) -> None:
    pictures = [photo(64, 48), photo(80, 60)]

    async def draw(call: Call) -> AttemptOutcome:
        call.out_path.write_bytes(pictures[len(driver.calls) - 1])
        return AttemptOutcome(Verdict.PICTURE, picture=Picture(call.out_path, "image/jpeg"), cost_microusd=PRICE)

    driver = SaidDriver(draw)
    group = ProviderGroup(driver, live=2, late=0)
    slot = Slot("slot-001", 1, "said", "edit", keep_spares=keep_spares)
    workshop = replace(workshop_in(tmp_path, group, db=db), decide=both_first)
    lanes = Lanes(room=1)
    await workshop.media.open()  # type: ignore[attr-defined]
    await nursery.start(group.run)
    await nursery.start(lanes.supervisor.run)
    await lanes.update([slot])
    window = Window.of(trio.current_time(), 20.0)
    job = Job(workshop, uuid4(), slot, upload_in(workshop, photo(64, 48), slot), window)
    waiter = job.cell.join(window.deadline)
    lanes.submit(job, window.deadline)
    reply = await job.cell.attend(waiter)
    assert isinstance(reply, PictureReply)
    await lanes.wait_idle()
    rows = await db.fetch("SELECT scope, path FROM media_object WHERE job_id = $1", job.id)
    spares = [row["path"] for row in rows if row["scope"] == "provider"]
    assert len(driver.calls) == 2
    assert len(spares) == keep_spares
    for path in spares:
        assert workshop.media.locate(path).read_bytes() not in (b"", reply.path.read_bytes())
    assert len(list((tmp_path / "media" / "results").rglob("*.jpg"))) == 1 + keep_spares
    assert await db.fetchval("SELECT cost_microusd FROM job WHERE id = $1", job.id) == 2 * PRICE
