"""Two providers over real sockets: one takes over from the other, and the illness of one is not the other's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from photochanger.demo.dslr import Shot
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.house.policy import LOCAL, booked, gemini, job_of, outcomes, reason_of, set_plans
from tests.lab.house import Lab, running_house
from tests.lab.process import free_port


def turbotext(scenario: str = "ok") -> dict[str, Any]:
    """A plan for Turbotext; `scenario` is what becomes of each of its jobs."""
    settings = {"content": f"Oil. [sim:{scenario}]"}
    return {"provider": "turbotext", "operation": "generate_image2image", "settings": settings}


@asynccontextmanager
async def two_providers(
    tmp_path: Path, postgres_url: str, **changes: Any
) -> AsyncIterator[tuple[Lab, TurbotextSimulator]]:
    """A house that Turbotext can fetch its photos from."""
    simulator = TurbotextSimulator()
    port = free_port()
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.run)
        changes |= {
            "port": port,
            "public_base_url": f"http://127.0.0.1:{port}",
            "turbotext_base_url": simulator.base_url,
        }
        async with running_house(tmp_path, postgres_url, **changes) as lab:
            yield lab, simulator
        nursery.cancel_scope.cancel()


async def test_one_takes_over_from_the_other(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with two_providers(tmp_path, postgres_url, t_sync=9.0) as (lab, simulator):
        await set_plans(lab, gemini("quota_zero"), turbotext(), LOCAL)
        first, second = await lab.shoot(small_photo), await lab.shoot(small_photo)
        assert [shot.status for shot in (first, second)] == [200, 200]
        assert [shot.header("x-photochanger-result") for shot in (first, second)] == ["fallback", "fallback"]
        await set_plans(lab, turbotext("failed"), gemini(), LOCAL, slot="slot-002")
        third = await lab.shoot(small_photo, slot="slot-002")
        assert (third.status, third.header("x-photochanger-result")) == (200, "local")
        await lab.rest()
        first_job, second_job, third_job = [await job_of(lab, shot) for shot in (first, second, third)]
        assert [each for _, each in await outcomes(lab, first_job)] == ["quota", "picture"]
        assert [each for _, each in await outcomes(lab, second_job)] == ["picture"]  # the breaker is open
        assert (await outcomes(lab, third_job))[-1] == ("sepia", "picture")
        made = (await lab.attempts(second_job["id"]))[0]
        assert (made["provider"], made["handle"], made["possibly_billed"]) == ("turbotext", made["response_id"], False)
        assert len(lab.simulator.calls) == 1
        assert len(simulator.calls) == 3
        assert await booked(lab) == simulator.charged_microusd + lab.simulator.charged_microusd > 0


async def test_who_hangs_holds_up_his_own_photos_only(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with two_providers(tmp_path, postgres_url, t_sync=5.0, provider_permits_live=2) as (lab, simulator):
        ill = [f"slot-{number:03d}" for number in range(1, 6)]
        well = [f"slot-{number:03d}" for number in range(6, 9)]
        for slot in ill:
            await set_plans(lab, gemini("hang"), slot=slot)
        for slot in well:
            await set_plans(lab, turbotext(), slot=slot)
        await set_plans(lab, LOCAL, slot="slot-009")
        hung: list[Shot] = []
        answered: list[Shot] = []

        async def shoot(slot: str, shots: list[Shot]) -> None:
            shots.append(await lab.shoot(small_photo, slot=slot))

        async with trio.open_nursery() as booths:
            for slot in ill * 2:
                booths.start_soon(shoot, slot, hung)
            async with trio.open_nursery() as others:
                for slot in [*well, "slot-009", "slot-009"]:
                    others.start_soon(shoot, slot, answered)
            # All of the others' photos are answered while not one of the ill provider's has been.
            assert [shot.status for shot in answered] == [200] * 5
            assert hung == []
            assert lab.house.groups["gemini"].permits.in_use("live") == 2
        assert {reason_of(shot) for shot in hung} == {(504, "provider_timeout")}
        assert all(shot.elapsed < 5.5 for shot in hung)
        await lab.rest()
        assert len(lab.simulator.calls) == 2  # whoever never got a permit paid nothing
        assert len(simulator.calls) == 3
        gone = await lab.house.db.fetch("SELECT possibly_billed, outcome FROM attempt WHERE provider = 'gemini'")
        assert [tuple(row) for row in gone] == [(True, "timeout")] * 2
