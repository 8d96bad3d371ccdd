"""A file as the Files API tells it, typed: only the fields that are read. From Google's SDK."""

import msgspec

from photochanger.providers.gemini.wire import BadAnswer


class RemoteFile(msgspec.Struct):
    """A file at Gemini's. `state` is PROCESSING, ACTIVE or FAILED."""

    name: str
    uri: str
    state: str | None = None


class _Wrapped(msgspec.Struct):
    file: RemoteFile


def decode_file(body: bytes | bytearray, *, wrapped: bool) -> RemoteFile:
    """A file as the Files API tells it, inside `{"file": ..}` after an upload. Raises BadAnswer."""
    try:
        file = msgspec.json.decode(body, type=_Wrapped).file if wrapped else msgspec.json.decode(body, type=RemoteFile)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadAnswer(f"not a file of the Files API: {error}") from None
    if not 0 < len(file.uri) <= 500:
        raise BadAnswer("the uploaded file has no proper address")
    return file
