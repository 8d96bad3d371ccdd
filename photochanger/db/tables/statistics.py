"""Statistics: counters by hour and by day, so that no answer has to look through history."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from photochanger.db.tables.base import at, metadata


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _histogram(name: str) -> Column[list[int]]:
    return Column(name, ARRAY(BigInteger), nullable=False, server_default=text("'{}'::bigint[]"))


def _cell(*more: Column[Any]) -> list[Column[Any]]:
    """What a cell of the statistics is about. An empty `slot_id` is the whole house."""
    return [
        Column("slot_id", Text, primary_key=True),
        Column("span", Text, primary_key=True),  # hour, day; of UTC
        Column("source", Text, primary_key=True),
        Column("at", DateTime(timezone=True), primary_key=True),  # its beginning; every question names these four
        *more,
    ]


stats_slot = Table(
    "stats_slot",
    metadata,
    *_cell(),
    *map(
        _count,
        (
            *("jobs", "replied_ok", "replied_timeout", "replied_other"),
            *("kind_ai", "kind_fallback", "kind_local", "kind_original", "kind_error", "kind_none"),
            *("done", "failed", "timed_out", "cancelled", "late", "retries", "joined"),
        ),
    ),
    _histogram("answer_ms"),
    _histogram("overhead_ms"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_provider = Table(
    "stats_provider",
    metadata,
    *_cell(Column("provider", Text, primary_key=True), Column("model", Text, primary_key=True)),
    *map(
        _count,
        (
            *("calls", "pictures", "no_image", "refused", "rejected", "quota", "overloaded", "transport"),
            *("timeouts", "cancelled", "other", "retries", "hedged", "possibly_billed", "cost_microusd"),
        ),
    ),
    _histogram("latency_ms"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_tally = Table(
    "stats_tally",
    metadata,
    *_cell(
        Column("subject", Text, primary_key=True),  # failure_reason, refusal, finish_reason, provider_error
        Column("provider", Text, primary_key=True),  # empty where it is nobody's
        Column("model", Text, primary_key=True),
        Column("name", Text, primary_key=True),
    ),
    _count("n"),
    CheckConstraint("span IN ('hour', 'day')", name="span_known"),
)

stats_flush = Table(  # what was counted in memory and has been written: written again, it counts once
    "stats_flush",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    at("at", now=True),
    Index(None, "at"),
)

stats_state = Table(
    "stats_state",
    metadata,
    Column("name", Text, primary_key=True),  # rolled: what ended before `at` is counted
    at("at", nullable=False),
)

uptime_hour = Table(
    "uptime_hour",
    metadata,
    at("at", nullable=False),
    Column("minutes", BigInteger, nullable=False),  # a bit for each in which the house was ready, the lowest the first
    PrimaryKeyConstraint("at"),
)
