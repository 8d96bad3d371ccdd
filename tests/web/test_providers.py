"""How the providers are, for people: `/api/providers`, `/healthz` and `/metrics` tell the same of a breaker."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client.parser import text_string_to_metric_families

from photochanger.db.facade import Db
from photochanger.domain.breaker import Breaker, Signal
from photochanger.domain.budget import Level, Spending
from photochanger.domain.job import ReplyKind
from photochanger.domain.latency import Expected
from photochanger.media.filesystem import FilesystemStore
from photochanger.observability.metrics import Metrics
from photochanger.web import health, providers
from photochanger.web.app import create_app
from photochanger.web.docs import routes as contract_routes
from photochanger.web.providers import ProvidersView, ProviderView, provider_view
from supervisors import Admission, Permits, Snapshot
from tests.web.client import get
from tests.web.conftest import House

QUIET = Snapshot(
    name="root",
    kind="supervisor",
    state="running",
    since=None,
    age=0.0,
    restarts=0,
    last_error="",
    parked=False,
    overdue=False,
    mailboxes=(),
    children=(),
)


class Studio:
    """Two providers and a day's money, behind the routes."""

    def __init__(self, db: Db, media: FilesystemStore) -> None:
        self.breakers = {"gemini": Breaker(), "local": Breaker()}
        self.admission = {
            name: Admission(name, Permits(name, live=2, late=1), capacity=8) for name in ("gemini", "local")
        }
        self.spending = Spending()
        self.cap: int | None = 1_000_000
        self.slot_caps: dict[str, int | None] = {"slot-001": None, "slot-002": None}
        self.missing: dict[str, str] = {}
        self.in_use = {"gemini"}
        self.metrics = Metrics()
        self.metrics.watch_state(
            lambda: {name: breaker.state(trio.current_time()).state for name, breaker in self.breakers.items()},
            self.money,
        )
        self.health = health.HealthCheck(
            db, media, lambda: QUIET, lambda: False, lambda: 0, self.views, lambda: self.in_use, self.money
        )
        self.app = create_app()
        self.app.register_blueprint(providers.blueprint(self.views))
        self.app.register_blueprint(health.blueprint(self.health, self.metrics))
        self.app.register_blueprint(contract_routes.blueprint(self.app))

    def money(self) -> dict[str, Level]:
        slots = {slot_id: self.spending.level(slot_id, cap) for slot_id, cap in self.slot_caps.items()}
        return {"house": self.spending.level(None, self.cap)} | slots

    def views(self) -> list[ProviderView]:
        now = trio.current_time()
        return [
            provider_view(
                name,
                breaker.state(now),
                self.admission[name].statistics(),
                {"model": Expected(12.0, 20.0, 25.0)} if name == "gemini" else {},
                now=now,
                missing=self.missing.get(name),
                prices_as_of=date(2026, 11, 1) if name == "gemini" else None,
            )
            for name, breaker in self.breakers.items()
        ]

    def open_gemini(self) -> None:
        breaker = self.breakers["gemini"]
        turn = breaker.begin(trio.current_time())
        assert turn is not None
        assert breaker.ended(turn, Signal.DOWN, trio.current_time(), reason="quota")


Ask = Callable[[str], Any]


@pytest.fixture
async def studio(db: Db, tmp_path: Path) -> AsyncIterator[Studio]:
    media = FilesystemStore(tmp_path / "media")
    await media.open()
    studio = Studio(db, media)
    async with trio.open_nursery() as nursery:
        await nursery.start(studio.health.run)
        yield studio
        nursery.cancel_scope.cancel()


@pytest.fixture
async def ask(studio: Studio, house: House) -> Ask:
    await house.serve(studio.app)

    async def ask(path: str) -> Any:
        answer = await (await house.connect()).ask(get(path))
        assert answer.status == 200
        return answer.body.decode() if path == "/metrics" else answer.json

    return ask


async def test_quiet_providers(ask: Ask) -> None:
    told = await ask("/api/providers")
    msgspec.convert(told, ProvidersView)
    quiet = {"state": "closed", "reason": None, "since": None, "until": None, "forced": False}
    assert told["providers"][0] == {
        "name": "gemini",
        "missing": None,
        "breaker": quiet,
        "live": {"total": 2, "in_use": 0},
        "late": {"total": 1, "in_use": 0},
        "waiting": 0,
        "latency": {"model": {"p50": 12.0, "p90": 20.0, "p95": 25.0}},
        "prices_as_of": "2026-11-01",
    }
    assert told["providers"][1]["name"] == "local"


async def test_calls_and_money_under_way(studio: Studio, ask: Ask) -> None:
    requests = [studio.admission["gemini"].request(kind="live") for _ in range(3)]
    studio.spending.reserve("slot-001", 100_000)
    studio.spending.book("slot-002", 0, 150_000)
    told = await ask("/api/providers")
    for request in requests:
        request.withdraw()
    gemini = told["providers"][0]
    assert (gemini["live"]["in_use"], gemini["late"]["in_use"], gemini["waiting"]) == (2, 0, 1)


async def test_an_open_breaker_is_told_with_its_times_and_leaves_the_house_ready(studio: Studio, ask: Ask) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    studio.open_gemini()
    breaker = (await ask("/api/providers"))["providers"][0]["breaker"]
    assert (breaker["state"], breaker["reason"], breaker["forced"]) == ("open", "quota", False)
    since, until = datetime.fromisoformat(breaker["since"]), datetime.fromisoformat(breaker["until"])
    assert before - timedelta(seconds=1) <= since <= datetime.now(UTC)
    assert until - since == timedelta(seconds=15)
    for path in ("/healthz", "/readyz"):
        told = await ask(path)
        assert (told["status"], told["ready"]) == ("degraded", True)
        assert told["checks"]["provider.local"] == "ok"
        words = told["checks"]["provider.gemini"].split(" ")
        assert words[:2] + words[3:] == ["open", "since", "quota"]
        assert datetime.fromisoformat(words[2].rstrip(":")).tzinfo is not None


async def test_what_an_operator_keeps_is_told_as_forced(studio: Studio, ask: Ask) -> None:
    studio.breakers["gemini"].force("closed", trio.current_time())
    studio.breakers["local"].force("open", trio.current_time())
    gemini, local = (provider["breaker"] for provider in (await ask("/api/providers"))["providers"])
    assert (gemini["state"], gemini["forced"]) == ("closed", True)
    assert (local["state"], local["forced"], local["reason"], local["until"]) == ("open", True, "manual", None)
    checks = (await ask("/healthz"))["checks"]
    assert checks["provider.gemini"] == "ok"
    assert checks["provider.local"].endswith(": manual")


async def test_a_provider_without_its_key_is_told_and_matters_where_a_slot_asks_it(studio: Studio, ask: Ask) -> None:
    studio.missing["gemini"] = "GEMINI_API_KEY is not set"
    gemini, local = (await ask("/api/providers"))["providers"]
    assert (gemini["missing"], local["missing"]) == ("GEMINI_API_KEY is not set", None)
    for in_use, status in (({"gemini", "local"}, "degraded"), ({"local"}, "ok")):
        studio.in_use = in_use
        told = await ask("/healthz")
        assert (told["status"], told["ready"]) == (status, True)
        assert told["checks"]["provider.gemini"] == "not set up: GEMINI_API_KEY is not set"
        assert told["checks"]["provider.local"] == "ok"


async def test_health_tells_of_a_slots_money_beside_the_houses(studio: Studio, ask: Ask) -> None:
    studio.slot_caps = {"slot-001": 100_000, "slot-002": 100_000}
    studio.spending.book("slot-001", 0, 79_999)
    studio.spending.book("slot-002", 0, 120_000)
    told = await ask("/healthz")
    budgets = {name: text for name, text in told["checks"].items() if name.startswith("budget")}
    assert budgets == {"budget.slot-002": "120 % of today's cap are spent"}
    assert (told["status"], told["ready"]) == ("degraded", True)
    studio.spending.book("slot-001", 0, 1)
    assert (await ask("/healthz"))["checks"]["budget.slot-001"] == "80 % of today's cap are spent"


async def test_health_tells_of_money_from_80_percent_on(studio: Studio, ask: Ask) -> None:
    healthy = {"database": "ok", "media": "ok", "provider.gemini": "ok", "provider.local": "ok"}
    studio.spending.reserve("slot-001", 900_000)  # only held back
    studio.spending.book("slot-001", 0, 799_000)
    assert await ask("/healthz") == {"status": "ok", "ready": True, "checks": healthy}
    studio.spending.book("slot-001", 0, 1_000)
    checks = healthy | {"budget": "80 % of today's cap are spent"}
    assert await ask("/healthz") == {"status": "degraded", "ready": True, "checks": checks}
    studio.cap = None
    assert await ask("/healthz") == {"status": "ok", "ready": True, "checks": healthy}


async def test_metrics_of_breakers_money_and_what_was_done_about_trouble(studio: Studio, ask: Ask) -> None:
    metrics = studio.metrics
    metrics.hedge("local", "early")
    metrics.hedge("local", "rescue")
    metrics.hedge("local", "rescue")
    metrics.retry("gemini")
    metrics.late("picture")
    metrics.joined()
    metrics.last_resort(ReplyKind.ORIGINAL)
    studio.spending.book("slot-001", 0, 250_000)
    studio.open_gemini()
    text = await ask("/metrics")
    samples = {
        (sample.name.removeprefix("photochanger_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    expected = {
        ("breaker_state", "gemini"): 2.0,
        ("breaker_state", "local"): 0.0,
        ("budget_share", "house"): 0.25,
        ("spent_microusd", "house"): 250_000.0,
        ("spent_microusd", "slot-001"): 250_000.0,
        ("spent_microusd", "slot-002"): 0.0,
        ("hedges_total", "early", "local"): 1.0,
        ("hedges_total", "rescue", "local"): 2.0,
        ("retries_total", "gemini"): 1.0,
        ("late_total", "picture"): 1.0,
        ("joined_total",): 1.0,
        ("last_resort_total", "original"): 1.0,
    }
    assert samples.items() >= expected.items()
    assert ("budget_share", "slot-001") not in samples, "it has no cap"


async def test_the_contract_describes_it(ask: Ask) -> None:
    document = await ask("/openapi.json")
    OpenAPIV31SpecValidator(document).validate()
    assert "/api/providers" in document["paths"]
