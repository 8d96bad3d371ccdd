"""Random trees: slow leavers, crashes anywhere, a stop or a cancellation at any time. What must hold in every one."""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trio
from hypothesis import event, given, settings
from hypothesis import strategies as st

from supervisors import Admission, Backoff, Child, Mailbox, Permits, Snapshot, SupervisionError, Supervisor
from tests.supervisors.lab import FOREVER, Boom, Diary, Script, Scripted, Steps, run_mock

QUICK = Backoff(first=0.3, factor=2, max=3, reset_after=10)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


seconds = st.floats(0, 8).map(lambda number: round(number, 3))
scripts = st.builds(
    Script,
    start=st.sampled_from([0.0, 0.5, 2.0, FOREVER]),
    start_ends=st.sampled_from(["up"] * 6 + ["crash", "return"]),
    up=seconds | st.just(FOREVER),
    ends=st.sampled_from(["crash", "finish"]),
    cleanup=st.sampled_from([0.0, 0.0, 0.7, 4.0]),
)
good_first = st.builds(
    Script, start=st.sampled_from([0.0, 0.5]), up=seconds | st.just(FOREVER), cleanup=st.sampled_from([0.0, 1.1])
)


@dataclass(frozen=True)
class Leaf:
    scripts: tuple[Script, ...]
    restart: str
    grace: float
    polite: bool
    park: bool


@dataclass(frozen=True)
class Branch:
    children: tuple["Leaf | Branch", ...]
    strategy: str
    intensity: int
    restart: str


leaves = st.builds(
    Leaf,
    scripts=st.tuples(good_first | scripts, scripts, scripts),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    grace=st.sampled_from([0.0, 1.0, 3.0]),
    polite=st.booleans(),
    park=st.booleans(),
)


def branches(children: st.SearchStrategy["Leaf | Branch"]) -> st.SearchStrategy[Branch]:
    return st.builds(
        Branch,
        children=st.lists(children, min_size=1, max_size=4).map(tuple),
        strategy=st.sampled_from(["one_for_one", "rest_for_one", "one_for_all"]),
        intensity=st.integers(0, 4),
        restart=st.sampled_from(["permanent", "transient"]),
    )


trees = branches(st.recursive(leaves, branches, max_leaves=7))


class Grower:
    """Builds the supervisors of a tree; every leaf also moves letters and permits."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.graces = 0.0
        self.order: list[str] = []

    def branch(self, plan: Branch, name: str) -> tuple[Supervisor, float]:
        children, graces = [], 0.0
        for number, part in enumerate(plan.children):
            child = self.child(part, f"{name}.{number}", plan.strategy)
            graces += child.grace
            children.append(child)
        supervisor = Supervisor(
            name,
            children,
            strategy=plan.strategy,  # type: ignore[arg-type]
            intensity=plan.intensity,
            period=20,
            backoff=QUICK,
            park_backoff=Backoff(first=4, max=9),
        )
        return supervisor, graces

    def child(self, plan: "Leaf | Branch", name: str, strategy: str) -> Child:
        if isinstance(plan, Branch):
            sub, graces = self.branch(plan, name)
            return Child(
                name,
                sub.run,
                request_stop=sub.request_stop,
                supervisor=sub,
                grace=graces,
                restart=plan.restart,  # type: ignore[arg-type]
            )
        self.order.append(name)
        body = Scripted(name, self.diary, plan.scripts)
        return body.child(
            restart=plan.restart,
            grace=plan.grace,
            start_timeout=1.5,
            request_stop=body.leave_now if plan.polite else None,
            park=plan.park and strategy == "one_for_one",
        )


def all_of(snapshot: Snapshot) -> Iterator[Snapshot]:
    yield snapshot
    for child in snapshot.children:
        yield from all_of(child)


@settings(max_examples=250, deadline=None)
@given(plan=trees, end_at=st.floats(0, 40), how=st.sampled_from(["request_stop", "cancel", "both"]))
def test_no_task_is_left_none_runs_twice_order_holds_and_the_stop_takes_no_longer_than_it_may(
    plan: Branch, end_at: float, how: str
) -> None:
    diary = Diary()
    grower = Grower(diary)
    root, graces = grower.branch(plan, "root")
    cleanups = sum(max(script.cleanup for script in leaf.scripts) for leaf in leaves_of(plan))
    steps = Steps()
    ended: list[str] = []

    async def main() -> None:
        before = len(steps.tasks)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(end, scope)
                try:
                    await root.run()
                except SupervisionError as error:
                    ended.append(type(error).__name__)
                nursery.cancel_scope.cancel()
        assert len(steps.tasks) == before
        if not ended:
            assert trio.current_time() <= end_at + graces + cleanups + 1e-6
        for seen in all_of(root.snapshot()):
            assert seen.state in ("stopped", "finished", "failed", "waiting"), seen

    async def end(scope: trio.CancelScope) -> None:
        await trio.sleep(end_at)
        up_at_the_end.update(diary.running)
        if how in ("request_stop", "both"):
            root.request_stop()
        if how in ("cancel", "both"):
            scope.cancel()
        diary.note("stop", "all")

    up_at_the_end: set[str] = set()
    run_mock(main, steps)
    event(ended[0] if ended else "stopped from outside")
    assert not diary.running
    runs = Counter(diary.entries)
    for name in grower.order:
        assert runs["begin", name] == runs["end", name]
    first_begins = list(dict.fromkeys(diary.who("begin")))
    assert first_begins == grower.order[: len(first_begins)], "the first starts are in the order of the list"
    if ("stop", "all") in diary.entries and not ended:
        after = list(zip(diary.entries, diary.times, strict=True))[diary.entries.index(("stop", "all")) + 1 :]
        for (what, who), time in after:
            # Deeper down a supervisor keeps its children up until its own turn to stop.
            assert what != "begin" or "." in who.removeprefix("root.") or time == end_at, "a start after the stop"
        calm = list(calm_leaves(plan, grower.order))
        leaving = [who for (what, who), _ in after if what == "end" and who in up_at_the_end and who in calm]
        assert leaving == sorted(leaving, key=grower.order.index, reverse=True), "the stop runs backwards"


def leaves_of(plan: "Leaf | Branch") -> Iterator[Leaf]:
    if isinstance(plan, Leaf):
        yield plan
    else:
        for child in plan.children:
            yield from leaves_of(child)


def calm_leaves(root: Branch, order: list[str]) -> Iterator[str]:
    """Those which are never stopped for anything but the stop of the whole tree."""
    names = iter(order)
    for part in root.children:
        leaves = list(leaves_of(part))
        mine = [next(names) for _ in leaves]
        if all(script.up == FOREVER and script.start_ends == "up" for leaf in leaves for script in leaf.scripts):
            yield from mine


@settings(max_examples=150, deadline=None)
@given(
    crashes=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    capacity=st.integers(1, 5),
    letters=st.integers(1, 40),
    tokens=st.integers(1, 3),
    strategy=st.sampled_from(["one_for_one", "one_for_all"]),
    gap=st.sampled_from([0.0, 0.01, 0.4]),
)
def test_no_letter_and_no_permit_is_lost_while_readers_and_the_admission_crash(
    crashes: list[int], capacity: int, letters: int, tokens: int, strategy: str, gap: float
) -> None:
    """Readers crash while they handle a letter and hold a permit, and the admission crashes beside them."""
    mailbox = Mailbox[int]("letters", capacity)
    permits = Permits("permits", tokens)
    admission = Admission("admission", permits, 10)
    due = Counter(crashes)
    handled: list[int] = []
    tries = 0

    async def reader(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal tries
        task_status.started()
        while True:
            async with mailbox.take() as letter, admission.request(kind="live", key="reader"):
                tries += 1
                await trio.sleep(0.05)
                if due[tries] and letter not in suspects:
                    suspects.add(letter)
                    raise Boom
                handled.append(letter)
                if len(handled) == letters:
                    all_handled.set()

    async def actor(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.move_on_after(0.33):
            await admission.run(task_status=task_status)
        raise Boom

    suspects: set[int] = set()
    all_handled = trio.Event()
    root = Supervisor(
        "root",
        [Child("admission", actor), Child("reader-1", reader), Child("reader-2", reader)],
        strategy=strategy,  # type: ignore[arg-type]
        intensity=10_000,
        backoff=Backoff(first=0.1, factor=1, jitter=0),
    )

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            for letter in range(letters):
                await mailbox.send(letter)
                await trio.sleep(gap)
            with trio.fail_after(1000):
                await all_handled.wait()
            root.request_stop()
        assert permits.free("live") == tokens
        assert admission.statistics().depth == 0

    run_mock(main)
    assert sorted(handled) == list(range(letters))
