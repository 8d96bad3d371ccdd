"""A provider that draws nothing every so often: every photo is answered all the same, and every call is booked."""

from collections import Counter
from pathlib import Path

import pytest
import trio

from photochanger.demo.dslr import Shot
from tests.house.policy import FLASH, LITE, LOCAL, gemini, set_plans, the_bill_is_booked
from tests.lab.house import running_house

PHOTOS = 20
BOOTHS = 5


@pytest.mark.parametrize("share", [0.1, 0.5])
async def test_every_photo_is_answered(tmp_path: Path, postgres_url: str, small_photo: bytes, share: float) -> None:
    """Asked again, then another model, then a look: no order of chance leaves a booth with nothing."""
    async with running_house(tmp_path, postgres_url, t_sync=9.0, rate_per_second=1000.0, rate_burst=1000) as lab:
        slots = [f"slot-{number:03d}" for number in range(1, BOOTHS + 1)]
        for slot in slots:
            await set_plans(lab, gemini(), gemini(model=LITE), LOCAL, slot=slot, hedge=False)
        lab.simulator.mix({"no_image": share}, seed=7)
        shots: list[Shot] = []

        async def booth(slot: str) -> None:
            for _ in range(PHOTOS // BOOTHS):
                shots.append(await lab.shoot(small_photo, slot=slot))

        async with trio.open_nursery() as booths:
            for slot in slots:
                booths.start_soon(booth, slot)
        assert [shot.status for shot in shots] == [200] * PHOTOS
        await lab.rest()

        kinds = Counter(shot.header("x-photochanger-result") for shot in shots)
        assert kinds["ai"] > PHOTOS * (1 - share**2) / 2  # two tries of two coins
        told = Counter(call.verdict for call in lab.simulator.calls)
        assert told["NO_IMAGE"] > 0
        assert told["ok"] == kinds["ai"] + kinds["fallback"]
        for shot in shots:
            job = await lab.job(shot.header("x-job-id"))
            assert (job["status"], job["reply_kind"]) == ("done", shot.header("x-photochanger-result"))
            attempts = await lab.attempts(job["id"])
            asked = [attempt["model"] for attempt in attempts]
            assert asked == [*[FLASH, FLASH, LITE, LITE] * 3, "sepia"][: len(asked)]
            assert [attempt["outcome"] for attempt in attempts] == ["no_image"] * (len(asked) - 1) + ["picture"]
            assert job["retries"] == len(asked) - 1
            assert job["cost_microusd"] == sum(attempt["cost_microusd"] for attempt in attempts)
        assert await lab.count("attempt") - kinds["local"] == len(lab.simulator.calls)
        assert not await lab.house.db.fetchval("SELECT count(*) FROM attempt WHERE possibly_billed OR hedged")
        await the_bill_is_booked(lab)
