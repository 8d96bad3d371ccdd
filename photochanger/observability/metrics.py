"""The numbers that Prometheus reads. Names and labels are part of the contract with dashboards and alerts."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from photochanger.domain.breaker import Position
from photochanger.domain.budget import Level
from photochanger.domain.job import ReplyKind
from photochanger.domain.outcome import AttemptOutcome
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal, StorageUnavailable
from photochanger.observability.state import StateCollector
from photochanger.observability.tree import TreeCollector
from supervisors import Snapshot

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120)
_STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
UNKNOWN_SLOT = "unknown"
"""Stands for ids that are no slot's."""


class Seen:
    """What is known of a request while it is handled. Slot ids of strangers never become label values."""

    def __init__(self, slot_id: str) -> None:
        self._slot_id = slot_id
        self.label = UNKNOWN_SLOT
        self.has_job = False
        """It became a photo at work, or joined one: what it comes to is told by that one's row."""

    def slot_known(self) -> None:
        """The slot exists: from here on its id may be a label."""
        self.label = self._slot_id


class Metrics:
    """All counters of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.on_refusal: Callable[[str, str], object] = lambda _slot, _outcome: None
        """Called (sync) with the slot's label and the outcome of a posted photo that became no job."""
        self._ingest = Counter(
            "photochanger_ingest_total",
            "Photos posted, by slot and by what the booth got (`ok`, or the failure reason).",
            ["slot", "outcome"],
            registry=self.registry,
        )
        self._ingest_seconds = Histogram(
            "photochanger_ingest_seconds",
            "From the request to its answer, by whether there was a picture.",
            ["outcome"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._attempts = Counter(
            "photochanger_attempts_total", "Provider calls.", ["provider", "outcome"], registry=self.registry
        )
        self._attempt_seconds = Histogram(
            "photochanger_attempt_seconds",
            "Service time of provider calls, without queueing.",
            ["provider"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._cost = Counter(
            "photochanger_cost_microusd_total",
            "Money booked, in millionths of a US dollar.",
            ["provider"],
            registry=self.registry,
        )
        self._hedges = Counter(
            "photochanger_hedges_total",
            "Calls made beside a slow one, by the provider asked second: early, or to the rescue of the window.",
            ["provider", "kind"],
            registry=self.registry,
        )
        self._retries = Counter(
            "photochanger_retries_total", "Calls repeated at the same provider.", ["provider"], registry=self.registry
        )
        self._late = Counter(
            "photochanger_late_total",
            "Photos whose work went on after nobody waited any more, by what it came to.",
            ["outcome"],
            registry=self.registry,
        )
        self._joined = Counter(
            "photochanger_joined_total", "Repeats that waited for a photo already at work.", registry=self.registry
        )
        self._last_resort = Counter(
            "photochanger_last_resort_total",
            "Answers without an AI picture that were a picture all the same.",
            ["kind"],
            registry=self.registry,
        )
        self._stage = Histogram(
            "photochanger_stage_seconds",
            "Time per photo by stage of our own work.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )
        self._removed = Counter(
            "photochanger_media_removed_total",
            "Files removed, by what they were; `orphan` = no row kept them.",
            ["scope"],
            registry=self.registry,
        )
        self._freed = Counter(
            "photochanger_media_removed_bytes_total", "Bytes of the files removed.", ["scope"], registry=self.registry
        )
        self._stuck = Counter(
            "photochanger_media_stuck_total", "Times that a file could not be removed.", registry=self.registry
        )
        self._used = Gauge(
            "photochanger_media_bytes",
            "Bytes of kept files, by kind, as of the last look at all of them (once an hour).",
            ["kind"],
            registry=self.registry,
        )
        self._in_flight = Gauge("photochanger_photos_in_flight", "Photos at work or waiting.", registry=self.registry)
        self._journal = Gauge(
            "photochanger_journal_entries", "Changes that wait for PostgreSQL.", registry=self.registry
        )

    def watch(self, tree: Callable[[], Snapshot], in_flight: Callable[[], float], journal: Callable[[], float]) -> None:
        """Read these whenever Prometheus asks."""
        self.registry.register(TreeCollector(tree))
        self._in_flight.set_function(in_flight)
        self._journal.set_function(journal)

    def watch_state(
        self, breakers: Callable[[], Mapping[str, Position]], budgets: Callable[[], Mapping[str, Level]]
    ) -> None:
        """Read the breakers (by provider) and today's money (by slot id, or `house`), too."""
        self.registry.register(StateCollector(breakers, budgets))

    @contextmanager
    def ingest(self, slot_id: str) -> Iterator[Seen]:
        """Count one posted photo, whatever becomes of it."""
        seen, started, outcome = Seen(slot_id), time.perf_counter(), "client_gone"
        try:
            yield seen
            outcome = "ok"
        except Refusal as refusal:
            outcome = refusal.reason.value
            raise
        except StorageUnavailable:
            outcome = Reason.STORAGE_UNAVAILABLE.value
            raise
        except Exception:
            outcome = "internal_error"
            raise
        finally:
            self._ingest.labels(seen.label, outcome).inc()
            if outcome != "ok" and not seen.has_job:
                self.on_refusal(seen.label, outcome)
            kind = "ok" if outcome == "ok" else "error"
            self._ingest_seconds.labels(kind).observe(time.perf_counter() - started)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage of our own work."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stage.labels(name).observe(time.perf_counter() - started)

    def attempt(self, provider: str, outcome: AttemptOutcome, cost_microusd: int, seconds: float) -> None:
        """Count one provider call."""
        self._attempts.labels(provider, outcome.verdict.value).inc()
        self._attempt_seconds.labels(provider).observe(seconds)
        self._cost.labels(provider).inc(cost_microusd)

    def hedge(self, provider: str, kind: Literal["early", "rescue"]) -> None:
        """Count a call to `provider` beside a slow one."""
        self._hedges.labels(provider, kind).inc()

    def retry(self, provider: str) -> None:
        """Count a call repeated at the same provider."""
        self._retries.labels(provider).inc()

    def late(self, outcome: str) -> None:
        """Count a photo that was worked on after nobody waited any more."""
        self._late.labels(outcome).inc()

    def joined(self) -> None:
        """Count a repeat that joined a photo."""
        self._joined.inc()

    def last_resort(self, kind: ReplyKind) -> None:
        """Count an answer by the last resort: `original` or `local`."""
        self._last_resort.labels(kind.value).inc()

    def media_removed(self, scope: str, size: int) -> None:
        """Count a file that was removed."""
        self._removed.labels(scope).inc()
        self._freed.labels(scope).inc(size)

    def media_stuck(self, count: int) -> None:
        """Count files that could not be removed."""
        self._stuck.inc(count)

    def media_used(self, used: Mapping[str, int]) -> None:
        """Bytes on disk by kind."""
        for kind, size in used.items():
            self._used.labels(kind).set(size)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)
