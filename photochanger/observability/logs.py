"""Logs: one line per event on standard error, as key=value text or JSON; tracebacks belong to their line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

AUDIT: Final = "photochanger.audit"
"""The log of what matters to security. It is complete whatever the level of the others: while PostgreSQL is away an
event stands nowhere else."""


class JsonLines(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: time, level, logger, message, and the traceback where there is one."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def setup(level: str, *, as_json: bool = False) -> None:
    """Send all logs to standard error, from `level` on. Libraries speak up only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonLines() if as_json else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "hypercorn", "quart", "alembic", "asyncio", "pyvips"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger(AUDIT).setLevel(logging.INFO)
