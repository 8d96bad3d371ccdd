"""A job's life in words: what the work came to (`status`) and what the booth got (`reply_*`) are told apart."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Forward only: queued → processing → one of the rest."""

    QUEUED = "queued"
    PROCESSING = "processing"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class ReplyKind(StrEnum):
    """What the booth got. NONE = nobody was there any more to get anything."""

    AI = "ai"
    FALLBACK = "fallback"
    LOCAL = "local"
    ORIGINAL = "original"
    ERROR = "error"
    NONE = "none"


class Source(StrEnum):
    """Why a job exists."""

    INGEST = "ingest"
    UI_TEST = "ui_test"
    RERUN = "rerun"
    CANARY = "canary"
