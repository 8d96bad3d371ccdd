"""The simulated service as it is started and told what to do."""

import ssl
from collections import deque
from collections.abc import Awaitable, Mapping
from urllib.parse import parse_qs

import trio

from photochanger.providers.simulator import Answer, Control, Request, Script, SimulatorServer
from photochanger.providers.turbotext.simulator.backend import RECORDS, Backend, CallRecord, Fetch, Ways
from photochanger.providers.turbotext.simulator.forms import METHODS, Refused
from photochanger.providers.turbotext.simulator.plan import check


class TurbotextSimulator:
    """The photo methods on loopback. `run` is a supervised child; `base_url` is known once it has started.

    `api_key` is the only key accepted; None accepts any or none. The addresses of photos are really fetched, at
    create_queue or when the job is about to end (`fetch`), on request with a HEAD before. `delay` precedes every
    answer; a job takes `seconds` at least. `allowance` is how many jobs are left, None for any number. With
    `fixed_answer` (a picture's bytes) nothing is drawn. Scenarios come from tags in `content`, `[sim:failed]`, or from
    `scenario`, `mix` and `/_sim/scenarios`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str | None = None,
        price_microusd: int = 20_000,
        fetch: Fetch = "create",
        head_first: bool = False,
        delay: float = 0.0,
        seconds: float = 0.0,
        allowance: int | None = None,
        fixed_answer: bytes | None = None,
        ssl_context: ssl.SSLContext | None = None,
        threads: int = 2,
    ) -> None:
        self._script = Script(check)
        self.calls: deque[CallRecord] = deque(maxlen=RECORDS)
        self.key_checks = 0
        """How often it was asked what a key may use."""
        ways = Ways(api_key, price_microusd, fetch, head_first, delay, seconds, fixed_answer)
        self._backend = Backend(ways, self._script, self.calls, allowance, threads)
        self._control = Control(self._script, self.calls)
        self._server = SimulatorServer(
            self._route,
            host=host,
            port=port,
            ssl_context=ssl_context,
            headers={"X-Simulated": "turbotext", "Server": "simulator"},
        )

    @property
    def site(self) -> str:
        """The address of the server, under which the pictures are."""
        return self._server.base_url

    @property
    def base_url(self) -> str:
        """What TURBOTEXT_BASE_URL is to be."""
        return f"{self.site}/api_ai"

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return self._server.connections

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started with the port, which a restart keeps."""
        await self._server.run(task_status=task_status)

    def scenario(self, *scenarios: str) -> None:
        """Queue scenarios, one per create_queue to come. Raises ScenarioError."""
        self._script.queue(*scenarios)

    def mix(self, shares: Mapping[str, float], seed: int = 0) -> None:
        """E.g. {"failed": 0.1}: the chance of each scenario for jobs without a queued one. Raises ScenarioError."""
        self._script.mix(shares, seed)

    def default(self, scenario: str) -> None:
        """What becomes of all jobs that nothing else was said for. Raises ScenarioError."""
        self._script.default(scenario)

    def reset(self) -> None:
        """Forget scenarios and records; jobs stay."""
        self._script.reset()
        self.calls.clear()

    @property
    def allowance(self) -> int | None:
        """How many jobs are left; None is any number."""
        return self._backend.allowance

    @property
    def charged_microusd(self) -> int:
        """The bill for the jobs that are remembered."""
        return sum(call.charged_microusd for call in self.calls)

    async def _route(self, request: Request, answer: Answer) -> None:
        method = request.path.removeprefix("/api_ai/")
        if request.path.startswith("/_sim/"):
            await self._control(request, answer)
        elif request.method == "POST" and request.path == "/api_ai/available_api":
            self.key_checks += 1
            await _refusable(self._backend.available(request, answer), answer)
        elif request.method == "POST" and method != request.path and method in METHODS:
            await _refusable(self._backend.method(method, request, self.site, answer), answer)
        elif request.method == "GET" and (name := _picture_name(request)) is not None:
            await self._backend.download(name, request, answer)
        else:
            await answer.whole(404, b"<html><title>404 Not Found</title></html>", "text/html")


async def _refusable(work: Awaitable[None], answer: Answer) -> None:
    try:
        await work
    except Refused as error:
        await answer.json(error.http, {"success": False, "error": str(error)})


def _picture_name(request: Request) -> str | None:
    """The file asked for: /download.php?f=NAME or /image/NAME."""
    if request.path == "/download.php":
        return next(iter(parse_qs(request.query).get("f", [])), None)
    return request.path.removeprefix("/image/") if request.path.startswith("/image/") else None
