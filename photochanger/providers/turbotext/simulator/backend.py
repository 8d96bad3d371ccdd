"""What the simulated service does with a request: create_queue, get_result, and the download of a picture."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal

import msgspec
import trio

from photochanger.providers.simulator import Answer, Request, ScenarioError, Script, parse_steps, steps_in
from photochanger.providers.turbotext.simulator.faults import HTML, JSON, play
from photochanger.providers.turbotext.simulator.forms import METHODS, Refused, check_create, check_head, read_form
from photochanger.providers.turbotext.simulator.job import Job
from photochanger.providers.turbotext.simulator.plan import Fault, build

RECORDS: Final = 1000
"""Jobs that are remembered; older ones are forgotten."""
FIRST_ID: Final = 700_001

Fetch = Literal["create", "start"]


@dataclass(slots=True)
class CallRecord:
    """One create_queue and what followed. `verdict` is "running" until it is known what it came to.

    `charged_microusd` is what the simulated bill grew by. `polls` counts get_result, `downloads` the GETs of the
    picture, `keyed_downloads` those that showed the key. `client_gone` is a client that left before
    an answer was whole.
    """

    at: str
    method: str
    scenario: str = ""
    verdict: str = "running"
    queueid: int | None = None
    fields: tuple[str, ...] = ()
    photo_bytes: int = 0
    polls: int = 0
    downloads: int = 0
    keyed_downloads: int = 0
    charged_microusd: int = 0
    client_gone: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """How the service behaves in general; see TurbotextSimulator."""

    key: str | None
    price_microusd: int
    fetch: Fetch
    head_first: bool
    delay: float
    seconds: float
    fixed: bytes | None


class Backend:
    """The queue, and what happens to each job in it."""

    def __init__(
        self, ways: Ways, script: Script, calls: deque[CallRecord], allowance: int | None, threads: int
    ) -> None:
        self._ways = ways
        self._script = script
        self._calls = calls
        self._limiter = trio.CapacityLimiter(threads)
        self._jobs: dict[str, tuple[Job, CallRecord]] = {}
        self._next_id = FIRST_ID
        self.allowance = allowance

    async def method(self, method: str, request: Request, site: str, answer: Answer) -> None:
        """One POST. `site` is the address under which pictures are had. Raises Refused."""
        check_head(request.headers.get("content-type", ""), request.headers.get("authorization"), self._ways.key)
        form = read_form(request.body)
        await trio.sleep(self._ways.delay)
        if form.get("do") == "create_queue":
            await self._create(method, form, answer)
        elif form.get("do") == "get_result":
            await self._get_result(method, form, site, answer)
        else:
            raise Refused("do: create_queue or get_result")

    async def available(self, request: Request, answer: Answer) -> None:
        """What the key may use, in the same two steps as everything else. Raises Refused."""
        check_head(request.headers.get("content-type", ""), request.headers.get("authorization"), self._ways.key)
        step = read_form(request.body).get("do")
        await trio.sleep(self._ways.delay)
        if step == "create_queue":
            await answer.json(200, {"success": True, "queueid": 1})
        elif step == "get_result":
            await answer.json(200, {"success": True, "error": "", "data": {"available": sorted(METHODS)}})
        else:
            raise Refused("do: create_queue or get_result")

    async def _create(self, method: str, form: dict[str, str], answer: Answer) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        call = CallRecord(at=now, method=method, fields=tuple(sorted(form)))
        self._calls.append(call)
        with _watching(call):
            await self._created(method, form, call, answer)

    async def _created(self, method: str, form: dict[str, str], call: CallRecord, answer: Answer) -> None:
        try:
            check_create(method, form)
            call.scenario, job = self._job(method, form)
            if self._ways.fetch == "create":
                await job.fetch(head_first=self._ways.head_first)
                call.photo_bytes = job.photo_bytes
                if job.failed is not None:
                    raise Refused(job.failed)
        except ScenarioError as error:
            call.verdict = f"invalid: {error}"
            raise Refused(f"simulator: {error}") from None
        except Refused as error:
            call.verdict = f"invalid: {error}"
            raise
        fault = job.plan.faults.get("create")
        if fault is None or fault.status is None:
            # The answer may get lost, but the job exists: that is the case to be afraid of.
            self._keep(job, call)
        body = msgspec.json.encode({"success": True, **_id_of(job, fault)})
        if fault is None or not await play(fault, answer, body):
            await answer.whole(200, body, JSON)
        elif fault.status is not None:
            call.verdict = str(fault.status)

    def _job(self, method: str, form: dict[str, str]) -> tuple[str, Job]:
        """A job by its scenario, which stands in the prompt or is the next one. Raises Refused and ScenarioError."""
        if self.allowance is not None and self.allowance <= 0:
            raise Refused("the photo limit is used up")
        steps = steps_in(form.get("content", ""))
        scenario = "+".join(step.name for step in steps) or self._script.next()
        plan = build(steps or parse_steps(scenario))
        plan.seconds = max(plan.seconds, self._ways.seconds)
        self._next_id += 1
        return scenario, Job(self._next_id, method, form, plan, trio.current_time())

    def _keep(self, job: Job, call: CallRecord) -> None:
        """Into the queue, and onto the bill."""
        while len(self._jobs) >= RECORDS:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[str(job.queueid)] = job, call
        call.queueid, call.charged_microusd = job.queueid, self._ways.price_microusd
        if self.allowance is not None:
            self.allowance -= 1

    async def _get_result(self, method: str, form: dict[str, str], site: str, answer: Answer) -> None:
        job, call = self._jobs.get(form.get("queueid", ""), (None, None))
        if job is None or call is None or job.method != method or form.keys() != {"do", "queueid"}:
            raise Refused("queueid: no such queue")
        job.polls += 1
        call.polls += 1
        with _watching(call):
            await trio.sleep(job.plan.hold)
            body = await self._result(job, call, site) if job.ready else job.waiting()
            fault = job.plan.faults.get("poll")
            if fault is None or job.polls > fault.times or not await play(fault, answer, body):
                await answer.whole(200, body, JSON)

    async def _result(self, job: Job, call: CallRecord, site: str) -> bytes:
        """The reply at the end. Raises Refused when the photos were not to be had or are none."""
        if job.photos is None and job.failed is None:
            await job.fetch(head_first=self._ways.head_first)
            call.photo_bytes = job.photo_bytes
        if job.drawn is None and job.failed is None:
            await trio.to_thread.run_sync(partial(job.draw, self._ways.fixed), limiter=self._limiter)
        if job.failed is not None:
            call.verdict = "failed"
            raise Refused(job.failed)
        call.verdict = job.plan.ending
        left = None if self.allowance is None else {"foto_limit": self.allowance, "text_limit": 123}
        return job.result(site, left)

    async def download(self, name: str, request: Request, answer: Answer) -> None:
        """A picture, if the job that it belongs to has ended."""
        found = next((pair for pair in self._jobs.values() if pair[0].file_name == name), None)
        job, call = found or (None, None)
        if job is None or call is None or job.drawn is None:
            await answer.whole(404, HTML, "text/html")
            return
        picture = job.drawn
        job.downloads += 1
        call.downloads += 1
        keyed = request.headers.get("authorization")
        call.keyed_downloads += keyed is not None
        mime = job.plan.typed or "application/octet-stream"
        fault = job.plan.faults.get("download")
        with _watching(call):
            if fault is None or not await self._spoilt(job, fault, keyed, request, answer, mime):
                await answer.whole(200, picture, mime)

    async def _spoilt(
        self, job: Job, fault: Fault, keyed: str | None, request: Request, answer: Answer, mime: str
    ) -> bool:
        """The download went wrong as planned; False if it is to go on."""
        if fault.kind == "once" and job.downloads > 1:
            await answer.whole(410, HTML, "text/html")
        elif fault.kind == "key" and (keyed is None or (self._ways.key and keyed != f"Bearer {self._ways.key}")):
            await answer.whole(401, HTML, "text/html")
        elif fault.kind == "moved" and not request.path.startswith("/image/"):
            await answer.whole(302, b"", "text/plain", {"Location": f"/image/{job.file_name}"})
        else:
            return job.downloads <= fault.times and await play(fault, answer, job.drawn or b"", mime)
        return True


@contextmanager
def _watching(call: CallRecord) -> Iterator[None]:
    try:
        yield
    except (trio.Cancelled, trio.BrokenResourceError, trio.ClosedResourceError):
        call.client_gone = True
        raise


def _id_of(job: Job, fault: Fault | None) -> dict[str, object]:
    """The field that names the job, which three faults change."""
    kind = fault.kind if fault is not None else ""
    if kind == "no_id":
        return {}
    if kind == "asyncid":
        return {"asyncid": job.queueid}
    return {"queueid": str(job.queueid) if kind == "text_id" else job.queueid}
