"""Slots as their readers see them: with their address, and with what keeps them from working now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import trio

from photochanger.errors import ConfigError
from photochanger.providers.base import Driver
from photochanger.slots.change import Terms
from photochanger.slots.check import shut_out
from photochanger.slots.desk import Row
from photochanger.slots.fields import document
from photochanger.slots.views import SlotLine, SlotsQuery
from photochanger.web.contract import FieldError
from photochanger.web.problems import field_errors

_SLICE = 10
"""Slots looked at before others have their turn: each takes some tens of microseconds."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What is needed to show slots beside their rows."""

    drivers: Mapping[str, Driver]
    public_base_url: str | None

    def view(self, row: Row, terms: Terms, host_url: str) -> dict[str, Any]:
        """The `SlotView` of a row. `host_url` is where the request found this house."""
        return document(row) | {
            "ingest_url": self.ingest_url(row["id"], host_url),
            "problems": _problems(row, terms),
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "updated_by": row["updated_by"],
            "archived_at": row["archived_at"],
        }

    async def lines(self, rows: Sequence[Row], query: SlotsQuery, terms: Terms, host_url: str) -> list[SlotLine]:
        """The rows that the query asks for, in its order."""
        chosen = [row for row in rows if _wanted(row, query)]
        field = query.sort.lstrip("-")
        chosen.sort(key=lambda row: (str(row[field]).casefold() if field == "name" else row[field], row["id"]))
        if query.sort.startswith("-"):
            chosen.reverse()
        lines = []
        for number, row in enumerate(chosen, 1):
            lines.append(self._line(row, terms, host_url))
            if number % _SLICE == 0:
                await trio.lowlevel.checkpoint()
        return lines

    def ingest_url(self, slot_id: str, host_url: str) -> str:
        """Where the slot's booth posts photos."""
        return f"{(self.public_base_url or host_url).rstrip('/')}/api/ingest/{slot_id}"

    def _line(self, row: Row, terms: Terms, host_url: str) -> SlotLine:
        same = ("id", "name", "version", "provider", "operation", "is_active", "auth", "gallery")
        return SlotLine(
            **{name: row[name] for name in same},
            model=self._model(row),
            has_password=row["secret_hash"] is not None,
            ingest_url=self.ingest_url(row["id"], host_url),
            problems=_problems(row, terms),
            updated_at=row["updated_at"],
            updated_by=row["updated_by"],
            archived_at=row["archived_at"],
        )

    def _model(self, row: Row) -> str | None:
        driver = self.drivers.get(row["provider"])
        try:
            return None if driver is None else driver.model_of(driver.parse_settings(row["settings"]))
        except ConfigError:
            return None


def _wanted(row: Row, query: SlotsQuery) -> bool:
    part = (query.q or "").casefold()
    return (
        query.provider in (None, row["provider"])
        and query.is_active in (None, row["is_active"])
        and query.gallery in (None, row["gallery"])
        and (part in row["id"] or part in row["name"].casefold())
    )


def _problems(row: Row, terms: Terms) -> list[FieldError]:
    slot = terms.slot(row)
    return field_errors([*terms.check(slot), *shut_out(slot)])
