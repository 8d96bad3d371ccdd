"""Health: is the process alive, may it get photos, and what is not as it should be."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
import trio
from quart import Blueprint, Response, jsonify

from photochanger.db.facade import Db
from photochanger.domain.budget import Level
from photochanger.errors import StorageUnavailable
from photochanger.media.store import MediaStore
from photochanger.observability.metrics import Metrics
from photochanger.web.access import Access
from photochanger.web.contract import Body, contract, json_body
from photochanger.web.providers import ProviderView
from supervisors import Snapshot

LOOK_EVERY = 5.0
"""Seconds between two looks at the disk. Whoever asks gets the last one: no request waits for a disk."""

BUDGET_NEAR = 80
"""Percent of the day's cap from which on it is told."""


class Health(msgspec.Struct):
    """`status` is `ok` or `degraded`; `checks` says per part what is the matter."""

    status: str
    ready: bool
    checks: dict[str, str]


class HealthCheck:
    """Looks at the parts of the house. Never fails: what cannot be asked is reported as such.

    `in_use` are the providers that slots ask: what another one lacks is told, and nothing that is the matter.
    `budgets` are today's by slot id, `house` for the whole house. A child of the tree: `run` looks at the disk now
    and then.
    """

    def __init__(
        self,
        db: Db,
        media: MediaStore,
        tree: Callable[[], Snapshot],
        draining: Callable[[], bool],
        journal: Callable[[], int],
        providers: Callable[[], Sequence[ProviderView]] = tuple,
        in_use: Callable[[], AbstractSet[str]] = frozenset,
        budgets: Callable[[], Mapping[str, Level]] = dict,
    ) -> None:
        self._db = db
        self._media = media
        self._tree = tree
        self._draining = draining
        self._journal = journal
        self._providers = providers
        self._in_use = in_use
        self._budgets = budgets
        self._media_state = "ok"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look at the disk every few seconds until cancelled."""
        await self._look_at_media()
        task_status.started()
        while True:
            await trio.sleep(LOOK_EVERY)
            await self._look_at_media()

    def look(self) -> Health:
        """The state of the house now; the disk's a few seconds old."""
        checks = {
            # Guests can ask, too: why it is away names hosts and folders, and is for the log.
            "database": "ok" if self._db.state.available else "unavailable",
            "media": self._media_state,
        }
        if waiting := self._journal():
            checks["journal"] = f"{waiting} changes wait for the database"
        unused = set()
        for provider in self._providers():
            checks[f"provider.{provider.name}"] = _told(provider)
            if provider.missing is not None and provider.name not in self._in_use():
                unused.add(f"provider.{provider.name}")
        for scope, level in self._budgets().items():
            if level.spent_percent is not None and level.spent_percent >= BUDGET_NEAR:
                name = "budget" if scope == "house" else f"budget.{scope}"
                checks[name] = f"{level.spent_percent:.0f} % of today's cap are spent"
        for child in self._tree().children:
            if child.state not in {"running", "finished"}:
                checks[child.name] = child.state
        draining = self._draining()
        if draining:
            checks["service"] = "draining"
        bad = {name for name, state in checks.items() if state != "ok"} - unused
        # A lost database is no reason to send photos elsewhere: they are served, their rows wait in the journal.
        # Nor is an ill provider, or an empty purse: slots have fallbacks and last resorts.
        return Health("degraded" if bad else "ok", not draining and "media" not in bad, checks)

    async def _look_at_media(self) -> None:
        try:
            await self._media.check()
            self._media_state = "ok"
        except StorageUnavailable as error:
            self._media_state = str(error)


def _told(provider: ProviderView) -> str:
    if provider.missing is not None:
        return f"not set up: {provider.missing}"
    breaker = provider.breaker
    if breaker.state == "closed":
        return "ok"
    since = breaker.since.isoformat().replace("+00:00", "Z") if breaker.since else "the start"
    return f"{breaker.state.replace('_', '-')} since {since}: {breaker.reason}"


def blueprint(check: HealthCheck, metrics: Metrics) -> Blueprint:
    """`/healthz` for whoever restarts processes, `/readyz` for whoever sends photos, `/metrics` for Prometheus."""
    routes = Blueprint("health", __name__)

    @routes.get("/healthz")
    @contract(
        "Alive, and what is not as it should be.",
        tag="health",
        access=Access.PUBLIC,
        database=False,
        responses={200: [json_body(Health)]},
    )
    async def healthz() -> Response:
        return jsonify(msgspec.to_builtins(check.look()))

    @routes.get("/readyz")
    @contract(
        "May photos be sent here?",
        tag="health",
        access=Access.PUBLIC,
        database=False,
        responses={200: [json_body(Health)], 503: [json_body(Health)]},
    )
    async def readyz() -> tuple[Response, int]:
        health = check.look()
        return jsonify(msgspec.to_builtins(health)), 200 if health.ready else 503

    @routes.get("/metrics")
    @contract(
        "Counters for Prometheus.",
        tag="health",
        access=Access.PUBLIC,
        database=False,
        responses={200: [Body("text/plain", {"type": "string"})]},
    )
    async def prometheus() -> Response:
        return Response(metrics.render(), mimetype="text/plain; version=0.0.4")

    return routes
