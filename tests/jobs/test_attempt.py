"""One attempt: booked before its first byte, and its row, its money and its permit are right however it ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
import trio.testing

from photochanger.domain.breaker import MANUAL
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.slot import Slot
from photochanger.errors import ConfigError, StorageUnavailable
from photochanger.jobs.attempt import NOT_NEEDED, Attempt
from photochanger.jobs.ledger import Ledger
from photochanger.providers.base import Call
from tests.jobs.one_attempt import Bench, open_bench, told
from tests.jobs.workbench import PRICE, drawing, giving, workshop_in
from tests.lab import pictures
from tests.lab.waiting import until


@pytest.fixture
async def bench(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path, nursery) as bench:
        yield bench


async def test_it_is_booked_before_the_first_byte(bench: Bench) -> None:
    seen: list[object] = []

    async def book(attempt: Attempt) -> None:
        seen.append(("booked", attempt.row is not None and attempt.row.outcome, attempt.begun, bench.money))

    async def call(call: Call) -> AttemptOutcome:
        seen.append(("called", round(call.deadline - trio.current_time()), call.operation, call.out_path.name))
        return AttemptOutcome(Verdict.REFUSED, cost_microusd=700)

    bench.book, bench.driver.doing = book, call
    attempt = bench.attempt()
    await attempt.run()
    assert seen == [("booked", None, None, (0, PRICE)), ("called", 30, "edit", "answer-1")]
    assert told(attempt) == ("refused", 700, False, None)
    assert bench.money == (700, 0)


async def test_what_the_policy_sees_of_it(bench: Bench) -> None:
    gate, answer = trio.Event(), trio.Event()

    async def book(_attempt: Attempt) -> None:
        await gate.wait()

    async def call(_call: Call) -> AttemptOutcome:
        await answer.wait()
        return AttemptOutcome(Verdict.NO_IMAGE)

    bench.book, bench.driver.doing = book, call
    async with bench.group.admission.request(kind="live"):
        attempt = bench.attempt()
        bench.nursery.start_soon(attempt.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (attempt.seen().queued, attempt.seen().begun) == (True, None)
    await trio.testing.wait_all_tasks_blocked()
    assert (attempt.seen().queued, attempt.seen().begun) == (False, None)
    gate.set()
    await trio.testing.wait_all_tasks_blocked()
    seen, changes = attempt.seen(), bench.changes
    assert seen.begun is not None
    assert (seen.ended, seen.outcome, attempt.is_running, changes) == (None, None, True, 1)
    answer.set()
    await until(lambda: attempt.ended is not None)
    seen = attempt.seen()
    assert seen.outcome is not None
    assert (seen.outcome.verdict, seen.verified, attempt.is_running, bench.changes) == (
        Verdict.NO_IMAGE,
        False,
        False,
        2,
    )


async def test_a_picture_counts_when_it_was_decoded_whole(bench: Bench) -> None:
    bench.driver.doing = drawing(pictures.photo(80, 60))
    attempt = bench.attempt()
    await attempt.run()
    assert attempt.verified is not None
    assert (attempt.verified.width, attempt.verified.height, attempt.seen().verified) == (80, 60, True)
    assert told(attempt) == ("picture", PRICE, False, None)


async def test_half_a_picture_was_paid_for_all_the_same(bench: Bench) -> None:
    whole = pictures.photo(80, 60)
    bench.driver.doing = drawing(whole[: len(whole) // 2])
    attempt = bench.attempt()
    await attempt.run()
    assert told(attempt)[:3] == ("bad_picture", PRICE, False)
    assert attempt.verified is None
    assert bench.money == (PRICE, 0)


async def test_so_was_one_that_our_disk_did_not_take(bench: Bench) -> None:
    bench.driver.doing = drawing(pictures.png(80, 60), "image/png")  # it is delivered as JPEG, which is a new file
    (bench.upload.folder / "answer-1.reply").mkdir()
    attempt = bench.attempt()
    await attempt.run()
    assert told(attempt)[:3] == ("storage", PRICE, False)
    assert bench.money == (PRICE, 0)


async def test_what_cannot_be_booked_is_not_made(bench: Bench) -> None:
    async def full(_attempt: Attempt) -> None:
        raise StorageUnavailable("no room")

    bench.book = full
    attempt = bench.attempt()
    await attempt.run()
    assert told(attempt) == ("storage", 0, False, "no room")
    assert bench.driver.calls == []
    assert bench.money == (0, 0)


async def test_what_cannot_be_afforded_is_not_even_booked(bench: Bench, tmp_path: Path) -> None:
    bench.workshop = workshop_in(tmp_path, bench.group, ledger=Ledger(cap_day_microusd=PRICE - 1))
    attempt = bench.attempt()
    await attempt.run()
    assert attempt.row is None
    assert attempt.outcome == AttemptOutcome(Verdict.UNAFFORDABLE)
    assert (bench.driver.calls, bench.booked) == ([], [])


async def test_two_at_the_edge_of_the_budget_do_not_pass_it_together(bench: Bench, tmp_path: Path) -> None:
    bench.workshop = workshop_in(tmp_path, bench.group, ledger=Ledger(cap_day_microusd=PRICE + PRICE // 2))
    bench.group.permits.resize(2, 1)
    first, second = bench.start(1), bench.start(2)
    await trio.testing.wait_all_tasks_blocked()
    assert [each.outcome and each.outcome.verdict for each in (first, second)].count(Verdict.UNAFFORDABLE) == 1
    first.stop(NOT_NEEDED)
    second.stop(NOT_NEEDED)


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.PICTURE, Verdict.CANCELLED}))
async def test_what_the_provider_said_is_in_the_row(bench: Bench, verdict: Verdict) -> None:
    bench.driver.doing = giving(AttemptOutcome(verdict, message="upstream", response_id="r", cost_microusd=1))
    attempt = bench.attempt(hedge=True)
    await attempt.run()
    assert told(attempt) == (verdict.value, 1, False, "upstream")
    assert attempt.row is not None
    assert (attempt.row.response_id, attempt.row.hedged, attempt.row.model) == ("r", True, "one")


async def test_a_bug_in_a_driver_is_an_outcome_that_may_have_cost_money(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(_call: Call) -> AttemptOutcome:
        raise RuntimeError("a bug")

    bench.driver.doing = crash
    attempt = bench.attempt()
    await attempt.run()
    assert told(attempt) == ("crashed", PRICE, True, None)
    assert "the said driver crashed" in caplog.text


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ConfigError("the template is gone"), Verdict.REJECTED),
        (StorageUnavailable("the photo is gone"), Verdict.STORAGE),
        (RuntimeError("a bug"), Verdict.CRASHED),
    ],
)
async def test_what_went_wrong_before_the_call_cost_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception, verdict: Verdict
) -> None:
    async def fail(_slot: Slot) -> None:
        raise error

    monkeypatch.setattr(bench.workshop.templates, "load", fail)
    attempt = bench.attempt()
    await attempt.run()
    assert attempt.row is None
    assert attempt.outcome is not None
    assert (attempt.outcome.verdict, attempt.outcome.possibly_billed) == (verdict, False)


async def test_the_breaker_is_asked_at_the_last_moment(bench: Bench) -> None:
    async with bench.group.admission.request(kind="live"):
        attempt = bench.start()
        await trio.testing.wait_all_tasks_blocked()
        bench.group.breaker.force("open", trio.current_time())
        assert bench.group.breaker.state(trio.current_time()).reason == MANUAL
    await until(lambda: attempt.ended is not None)
    assert attempt.outcome == AttemptOutcome(Verdict.UNAVAILABLE)
    assert (attempt.row, bench.driver.calls) == (None, [])


async def test_who_waits_for_a_group_that_is_parked_hears_at_once(bench: Bench) -> None:
    async with bench.group.admission.request(kind="live"):
        attempt = bench.start()
        await trio.testing.wait_all_tasks_blocked()
        bench.group.on_parked(RuntimeError("a bug"))
        await until(lambda: attempt.ended is not None)
    assert attempt.outcome == AttemptOutcome(Verdict.UNAVAILABLE)
    assert attempt.row is None


async def test_the_providers_own_id_is_durable_as_soon_as_it_is_known(bench: Bench) -> None:
    handles: list[str | None] = []

    async def book(attempt: Attempt) -> None:
        handles.append(attempt.row.handle if attempt.row else "no row")

    async def call(call: Call) -> AttemptOutcome:
        await call.on_handle("q-17")
        return AttemptOutcome(Verdict.OVERLOADED)

    bench.book, bench.driver.doing = book, call
    attempt = bench.attempt()
    await attempt.run()
    assert handles == [None, "q-17"]
    assert attempt.row is not None
    assert (attempt.row.handle, attempt.row.outcome) == ("q-17", "overloaded")
