"""More photos than a provider takes at once: who waits, who goes elsewhere, and who is not begun at all any more."""

from pathlib import Path

import pytest
import trio

from photochanger.demo.dslr import Shot
from tests.house.policy import LOCAL, gemini, job_of, outcomes, reason_of, set_plans, shoot_at_once, the_bill_is_booked
from tests.lab.house import running_house
from tests.lab.waiting import until

pytestmark = pytest.mark.alone


async def test_a_permit_that_comes_too_late_begins_nothing(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    """It is free at the end of the first photo's window, a moment before the end of the second one's."""
    async with running_house(tmp_path, postgres_url, t_sync=2.0, provider_permits_live=1) as lab:
        lab.simulator.default("hang")
        shots: list[Shot] = []

        async def shoot(slot: str) -> None:
            shots.append(await lab.shoot(small_photo, slot=slot))

        async with trio.open_nursery() as booths:
            booths.start_soon(shoot, "slot-001")
            await until(lambda: len(lab.simulator.calls) == 1)
            await trio.sleep(0.3)
            booths.start_soon(shoot, "slot-002")
        assert [reason_of(shot) for shot in shots] == [(504, "provider_timeout")] * 2
        await lab.rest()
        assert len(lab.simulator.calls) == 1
        assert await lab.count("attempt") == 1
        assert await lab.house.db.fetchval("SELECT count(*) FROM job WHERE status = 'timeout'") == 2


async def test_whoever_waits_for_a_permit_in_vain_gets_the_makeshift(
    tmp_path: Path, postgres_url: str, small_photo: bytes
) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=5.0, provider_permits_live=1) as lab:
        lab.simulator.default("slow(2)")
        slots = [f"slot-{number:03d}" for number in range(1, 5)]
        for slot in slots:
            await set_plans(lab, gemini(), LOCAL, slot=slot, hedge=False)
        shots = await shoot_at_once(lab, [(small_photo, slot) for slot in slots])
        kinds = [shot.header("x-photochanger-result") for shot in shots]
        assert kinds.count("ai") + kinds.count("local") == 4
        assert 1 <= kinds.count("ai") < 4  # one permit does not let all of them through in five seconds
        await lab.rest()
        for shot in shots:
            assert [each for _, each in await outcomes(lab, await job_of(lab, shot))][-1] == "picture"
        await the_bill_is_booked(lab)
