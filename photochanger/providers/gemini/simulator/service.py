"""The simulated service: routes, records, scripts, and the sending of what a scenario planned."""

import math
import re
import secrets
import ssl
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import trio

from photochanger.providers.gemini.simulator import picture
from photochanger.providers.gemini.simulator.delivery import deliver
from photochanger.providers.gemini.simulator.files import FileStore, FileTricks
from photochanger.providers.gemini.simulator.fixed import FixedAnswer
from photochanger.providers.gemini.simulator.invalid import Invalid, bad, check_key, key_of
from photochanger.providers.gemini.simulator.plan import Context, Plan, google_error
from photochanger.providers.gemini.simulator.record import CallRecord
from photochanger.providers.gemini.simulator.replies import EARLY, build, check, early_answer
from photochanger.providers.gemini.simulator.stored import StoredFile
from photochanger.providers.gemini.simulator.usage import charge, usage_metadata
from photochanger.providers.gemini.simulator.validate import (
    BODY_CAP,
    MODELS,
    Wanted,
    check_model,
    check_request,
)
from photochanger.providers.simulator import (
    Answer,
    Control,
    Request,
    ScenarioError,
    Script,
    SimulatorServer,
    parse_steps,
    steps_in,
)

_PATH: Final = re.compile(r"/(v1|v1beta)/models/([^/:]+):generateContent")
RECORDS: Final = 1000
"""Calls that are remembered; older ones are forgotten."""


class GeminiSimulator:
    """generateContent on loopback. `run` is a supervised child; `base_url` is known once it has started.

    `api_key` is the only key accepted; None accepts any or none. `delay` precedes every answer. With `fixed_answer`
    (a JPEG's bytes or path) nothing is decoded or judged and each call gets that picture: for benchmarks.
    Scenarios come from tags in the prompt, `[sim:no_image]`, or from `scenario`, `mix` and `/_sim/scenarios`.
    `file_tricks` says how the Files API misbehaves.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str | None = None,
        delay: float = 0.0,
        fixed_answer: bytes | Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
        threads: int = 2,
    ) -> None:
        self._key = api_key
        self._delay = delay
        self._fixed = FixedAnswer(fixed_answer) if fixed_answer is not None else None
        self._limiter = trio.CapacityLimiter(threads)
        self._script = Script(check)
        self._store = FileStore(api_key)
        self.calls: deque[CallRecord] = deque(maxlen=RECORDS)
        self.key_checks = 0
        """How often the list of models was asked for."""
        self._control = Control(self._script, self.calls)
        self._server = SimulatorServer(
            self._route,
            host=host,
            port=port,
            ssl_context=ssl_context,
            headers={"X-Simulated": "gemini", "Server": "simulator"},
            early=self._early,
            keep=lambda request: self._fixed is None or request.path.startswith(("/_sim/", "/upload/")),
        )

    @property
    def base_url(self) -> str:
        return self._server.base_url

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return self._server.connections

    @property
    def files(self) -> dict[str, StoredFile]:
        """What lies at the Files API now, by name."""
        return self._store.files

    @property
    def file_tricks(self) -> FileTricks:
        return self._store.tricks

    @property
    def file_requests(self) -> list[str]:
        """What the Files API was asked, in order: "start", "upload", "get", "list", "delete"."""
        return list(self._store.requests)

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started with the port, which a restart keeps."""
        await self._server.run(task_status=task_status)

    def scenario(self, *scenarios: str) -> None:
        """Queue scenarios, one per call to come. Raises ScenarioError."""
        self._script.queue(*scenarios)

    def mix(self, shares: Mapping[str, float], seed: int = 0) -> None:
        """E.g. {"no_image": 0.1}: the chance of each scenario for calls without a queued one. Raises ScenarioError."""
        self._script.mix(shares, seed)

    def default(self, scenario: str) -> None:
        """What all calls do that nothing else was said for. Raises ScenarioError."""
        self._script.default(scenario)

    def reset(self) -> None:
        """Forget scenarios, calls and files."""
        self._script.reset()
        self.calls.clear()
        self._store.reset()

    @property
    def charged_microusd(self) -> int:
        """The bill for the calls that are remembered."""
        return sum(call.charged_microusd for call in self.calls)

    async def _early(self, request: Request, answer: Answer) -> bool:
        """A queued `early(status)` is answered, and `refuse` cut off, before the body is read."""
        if not _PATH.fullmatch(request.path):
            return False
        step = parse_steps(self._script.peek())[0]
        if step.name not in EARLY:
            length = request.headers.get("content-length", "0")
            if length.isdecimal() and int(length) > BODY_CAP:
                await answer.json(400, google_error(400, "INVALID_ARGUMENT", "Request payload size exceeds the limit."))
                return True
            return False
        self._script.next()
        plan = early_answer(step)
        if plan is None:
            await answer.cut(reset=True)
        else:
            await answer.whole(plan.http, plan.body, plan.content_type)
        return True

    async def _route(self, request: Request, answer: Answer) -> None:
        found = _PATH.fullmatch(request.path)
        if request.path.startswith("/_sim/"):
            await self._control(request, answer)
        elif self._store.serves(request.path):
            await self._store(request, answer, self.base_url)
        elif request.path == "/v1beta/models" and request.method == "GET":
            await self._models(request, answer)
        elif found is None or request.method != "POST":
            await answer.whole(404, b"<html><title>Error 404 (Not Found)!!1</title></html>", "text/html")
        else:
            call = CallRecord(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                model=found[2],
                request_bytes=request.size,
                server_timeout=request.headers.get("x-server-timeout"),
            )
            self.calls.append(call)
            started = time.monotonic()
            try:
                await (self._answer_fixed if self._fixed else self._answer)(found[1], call, request, answer)
            except (trio.Cancelled, trio.BrokenResourceError, trio.ClosedResourceError):
                call.client_gone = True
                raise
            finally:
                call.seconds = round(time.monotonic() - started, 3)
                call.status, call.reply_bytes = answer.status, answer.sent
                if call.verdict == "running":
                    call.verdict = "abandoned"

    async def _models(self, request: Request, answer: Answer) -> None:
        """The list of models, a page of it: what a key is tried with."""
        self.key_checks += 1
        try:
            check_key(key_of(request), self._key)
            pages = parse_qs(request.query).get("pageSize", ["50"])
            if not pages[0].isdecimal():
                raise bad("Invalid value at 'page_size' (TYPE_INT32)")
        except Invalid as error:
            await answer.json(error.http, google_error(error.http, error.status, str(error), error.details))
        else:
            names = sorted(MODELS)[: max(1, min(int(pages[0][:4]), 1000))]
            models = [{"name": f"models/{name}", "supportedGenerationMethods": ["generateContent"]} for name in names]
            await answer.json(200, {"models": models})

    async def _answer(self, version: str, call: CallRecord, request: Request, answer: Answer) -> None:
        try:
            check_key(key_of(request), self._key)
            check_model(call.model)
            wanted = await self._in_thread(
                partial(check_request, version, call.model, request.body, self._store.by_uri())
            )
            request.body = bytearray()
            call.prompt = wanted.prompt[:500]
            call.pictures = wanted.ways
            call.photo_bytes = sum(map(len, wanted.photos))
            steps = steps_in(wanted.prompt)
            call.scenario = "+".join(step.name for step in steps) or self._script.next()
            plan = await self._in_thread(partial(self._plan, steps or parse_steps(call.scenario), wanted, call))
        except Invalid as error:
            call.verdict = f"invalid: {error}"
            await answer.json(error.http, google_error(error.http, error.status, str(error), error.details))
        except ScenarioError as error:
            call.verdict = f"invalid: {error}"
            await answer.json(400, google_error(400, "INVALID_ARGUMENT", f"simulator: {error}"))
        else:
            # Drawn is billed, whether or not anybody takes it.
            call.charged_microusd = charge(call.model, plan.usage) if plan.http == 200 else 0
            await trio.sleep(self._delay + plan.delay if math.isfinite(plan.delay) else math.inf)
            await deliver(plan, answer)
            call.verdict = plan.verdict

    def _plan(self, steps: tuple[Any, ...], wanted: Wanted, call: CallRecord) -> Plan:
        """In a thread: the answer, drawn if the scenario draws."""
        try:
            sizes = [picture.photo_size(photo) for photo in wanted.photos]  # all of them, so that each is judged
            call.photo_size = sizes[0] if sizes else None
            size = picture.output_size(call.model, wanted.aspect_ratio, wanted.image_size, call.photo_size)
            context = Context(
                call.model,
                secrets.token_urlsafe(16),
                lambda pictures: usage_metadata(
                    call.model, wanted.prompt, len(wanted.photos), wanted.image_size, wanted.thinking, pictures
                ),
                lambda png: picture.transform(wanted.photos[0] if wanted.photos else None, size, call.model, png=png),
            )
            return build(steps, context)
        except picture.NotAPicture:
            raise Invalid(400, "INVALID_ARGUMENT", "Unable to process input image. Please retry.") from None

    async def _answer_fixed(self, version: str, call: CallRecord, request: Request, answer: Answer) -> None:
        assert self._fixed is not None
        try:
            check_key(key_of(request), self._key)
        except Invalid as error:
            call.verdict = "invalid: key"
            await answer.json(error.http, google_error(error.http, error.status, str(error), error.details))
            return
        call.scenario = "fixed"
        await trio.sleep(self._delay)
        head = self._fixed.head(call.model)
        await answer.start(200, {"Content-Type": "application/json; charset=UTF-8"}, len(head) + len(self._fixed.tail))
        await answer.send(head)
        await answer.send(self._fixed.tail)
        await answer.end()
        call.verdict = "ok"

    async def _in_thread(self, work: Any) -> Any:
        return await trio.to_thread.run_sync(work, limiter=self._limiter)
