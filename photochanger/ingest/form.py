"""The booth's form: which of its fields is what, and what of it is kept."""

from typing import Final

from photochanger.web.form import MAX_FIELDS, MAX_FIELDS_BYTES, FileForm, Sink
from photochanger.web.form import plain_name as photo_name

__all__ = ["MAX_FIELDS", "MAX_FIELDS_BYTES", "Form", "kept_fields", "photo_name"]

PHOTO_FIELD: Final = "fileToUpload"
PASSWORD_FIELD: Final = "password"  # noqa: S105 - the field's name


class Form(FileForm):
    """A booth's form, of a slot that takes photos of at most `max_photo` bytes. Unknown fields are kept."""

    def __init__(self, content_type: str, sink: Sink, *, max_photo: int) -> None:
        super().__init__(
            content_type, sink, file_field=PHOTO_FIELD, largest=max_photo, thing="photo", taker="This slot"
        )

    @property
    def photo_name(self) -> str | None:
        """The photo's file name, fit for rows and pages."""
        return self.file_name

    @property
    def password(self) -> str | None:
        """The password field, once it has come whole."""
        return self.fields.get(PASSWORD_FIELD)


def kept_fields(fields: dict[str, str]) -> dict[str, str]:
    """The fields that are kept with the job: never the password, and bounded in size."""
    kept: dict[str, str] = {}
    room = 16 * 1024
    for name, value in fields.items():
        if name == PASSWORD_FIELD:
            continue
        name, value = (text.replace("\0", "\ufffd")[:1024] for text in (name, value))
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[name] = value
    return kept
