"""429: waited for where its delay fits, taken elsewhere where it does not, never asked again at limit 0."""

from datetime import timedelta
from pathlib import Path

from tests.house.policy import LOCAL, booked, gemini, get, job_of, outcomes, reason_of, set_plans, the_bill_is_booked
from tests.lab.house import Lab, running_house
from tests.lab.process import environment, process
from tests.lab.waiting import until


async def breaker_of(lab: Lab, provider: str = "gemini") -> dict[str, object]:
    """What `/api/providers` says of a provider's breaker."""
    [view] = [each for each in (await get(lab, "/api/providers")).json()["providers"] if each["name"] == provider]
    return dict(view["breaker"])


async def test_a_delay_that_fits_is_waited_for(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=8.0) as lab:
        lab.simulator.scenario("quota_wait(1.2)")
        shot = await lab.shoot(small_photo)
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "ai")
        await lab.rest()
        job = await job_of(lab, shot)
        assert (job["status"], job["retries"]) == ("done", 1)
        refused, drawn = await lab.attempts(job["id"])
        assert (refused["outcome"], refused["http_status"], refused["cost_microusd"]) == ("quota", 429, 0)
        assert not refused["possibly_billed"]
        assert drawn["outcome"] == "picture"
        assert drawn["begun_at"] - refused["finished_at"] >= timedelta(seconds=1.15)
        assert (await breaker_of(lab))["state"] == "closed"
        await the_bill_is_booked(lab)


async def test_a_delay_that_does_not_fit_is_not(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=9.0) as lab:
        lab.simulator.default("quota_wait(30)")
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (503, "provider_quota")
        assert shot.elapsed < 6.0  # at once, not at the window's end
        await set_plans(lab, gemini(), LOCAL, slot="slot-002")
        rescued = await lab.shoot(small_photo, slot="slot-002")
        assert (rescued.status, rescued.header("x-photochanger-result")) == (200, "local")
        assert rescued.elapsed < 6.0
        await lab.rest()
        assert [each for _, each in await outcomes(lab, await job_of(lab, shot))] == ["quota"]
        job = await job_of(lab, rescued)
        assert [each for _, each in await outcomes(lab, job)] == ["quota", "picture"]
        assert (job["status"], job["failure_reason"], job["reply_kind"]) == ("done", None, "local")
        assert (await breaker_of(lab))["state"] == "closed"  # it answers, and will draw again
        assert len(lab.simulator.calls) == 2
        assert await booked(lab) == lab.simulator.charged_microusd == 0


async def test_a_limit_of_zero_opens_the_breaker(tmp_path: Path, postgres_url: str, small_photo: bytes) -> None:
    async with running_house(tmp_path, postgres_url, t_sync=9.0) as lab:
        await set_plans(lab, gemini(), LOCAL, slot="slot-002")
        lab.simulator.default("quota_zero")
        shot = await lab.shoot(small_photo)
        assert reason_of(shot) == (503, "provider_quota")
        breaker = await breaker_of(lab)
        assert (breaker["state"], breaker["reason"], breaker["forced"]) == ("open", "quota", False)
        health = (await get(lab, "/healthz")).json()
        assert health["status"] == "degraded"
        assert health["checks"]["provider.gemini"].startswith("open since ")
        assert health["checks"]["provider.gemini"].endswith(": quota")
        assert health["checks"]["provider.local"] == "ok"
        assert (await get(lab, "/readyz")).status_code == 200
        metrics = (await get(lab, "/metrics")).text
        assert 'photochanger_breaker_state{provider="gemini"} 2.0' in metrics
        assert 'photochanger_breaker_state{provider="local"} 0.0' in metrics

        # The next photos go elsewhere without a call, or are told that there is nowhere else.
        lab.simulator.default("ok")
        rescued = await lab.shoot(small_photo, slot="slot-002")
        assert (rescued.status, rescued.header("x-photochanger-result")) == (200, "local")
        refused = await lab.shoot(small_photo)
        assert reason_of(refused) == (503, "provider_unavailable")
        assert len(lab.simulator.calls) == 1
        await lab.rest()
        assert [each for _, each in await outcomes(lab, await job_of(lab, shot))] == ["quota"]
        assert await outcomes(lab, await job_of(lab, rescued)) == [("sepia", "picture")]
        assert await outcomes(lab, await job_of(lab, refused)) == []

        # An operator knows that it was paid for.
        env = environment(tmp_path, DATABASE_URL=postgres_url)
        for option, position, forced in (("--close", "closed", True), ("--auto", "closed", False)):
            async with process(["breaker", "gemini", option], env, tmp_path / "command.log") as command:
                assert await command.wait() == 0, (tmp_path / "command.log").read_text()

            async def it_stands(position: str = position, forced: bool = forced) -> bool:
                now = await breaker_of(lab)
                return (now["state"], now["forced"]) == (position, forced)

            await until(it_stands)
            asked = await lab.shoot(small_photo)
            assert (asked.status, asked.header("x-photochanger-result")) == (200, "ai")
        assert (await get(lab, "/healthz")).json()["checks"]["provider.gemini"] == "ok"
        assert len(lab.simulator.calls) == 3
        await lab.rest()
        await the_bill_is_booked(lab)
