"""The one family of expected failures. Whatever is not one of these is a bug and is logged as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from photochanger.domain.reasons import REASONS, Reason


class PhotoChangerError(Exception):
    """Base of every failure that the service expects and can name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field. `field` is its path, as in `fallbacks[0].settings.prompt`."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class Refusal(PhotoChangerError):
    """A request is answered with a reason instead of a picture.

    `detail` is a sentence of ours for the caller (never upstream text); `retry_after` is in whole seconds;
    `job_id` names the job where there is one, `result_url` where its picture may be found later; `errors` are what is
    wrong, field by field.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        retry_after: int | None = None,
        job_id: UUID | None = None,
        result_url: str | None = None,
        errors: Sequence[Problem] = (),
    ) -> None:
        super().__init__(detail or "; ".join(map(str, errors)) or REASONS[reason].en)
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after
        self.job_id = job_id
        self.result_url = result_url
        self.errors = tuple(errors)


class ConfigError(PhotoChangerError):
    """The configuration cannot work; the message says which setting and why."""


class SlotInvalid(PhotoChangerError):
    """A slot cannot be as it was asked to be; `problems` are all there are, not only the first."""

    def __init__(self, slot_id: str, problems: Sequence[Problem]) -> None:
        super().__init__(f"{slot_id} cannot be like that: " + "; ".join(map(str, problems)))
        self.slot_id = slot_id
        self.problems = tuple(problems)


class DatabaseUnavailable(PhotoChangerError):
    """PostgreSQL cannot be asked now: not started, lost, frozen, or the pool is being replaced."""


class StorageUnavailable(PhotoChangerError):
    """The media folder cannot be written or read (disk full, permissions, device gone)."""


class PictureError(PhotoChangerError):
    """A file is not a picture that can be used. `reason` is unsupported_media_type or undecodable_image."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
