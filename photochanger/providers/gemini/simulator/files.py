"""The simulated Files API: resumable upload, a look, a list, a deletion. Written from Google's SDK and samples."""

import re
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
import trio

from photochanger.providers.gemini.simulator.invalid import Invalid, bad, check_key, key_of
from photochanger.providers.gemini.simulator.parts import MIMES, magic
from photochanger.providers.gemini.simulator.plan import google_error
from photochanger.providers.gemini.simulator.stored import StoredFile
from photochanger.providers.gemini.simulator.validate import message_of
from photochanger.providers.simulator import Answer, Request

RECORDS: Final = 1000
SIZE_CAP: Final = 2_000_000_000
_UPLOAD: Final = "/upload/v1beta/files"
_NAME: Final = re.compile(r"files/[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FIELDS: Final[dict[str, Any]] = {
    "file": dict.fromkeys(("name", "displayName", "mimeType", "sizeBytes")),
}


@dataclass(slots=True)
class FileTricks:
    """How the Files API misbehaves until it is told otherwise. Steps are "start", "upload", "get" and "delete".

    `processing` is how many looks find a new file unfinished, `fails` what becomes of it then. `silent_ends` uploads
    are thrown away with a 200 that has no X-Goog-Upload-Status. `upload_base` replaces our address in the upload's
    URL. `errors` are statuses by step; a step in `hangs` is neither done nor answered, one in `mute` only done.
    """

    processing: int = 0
    fails: bool = False
    silent_ends: int = 0
    end_status: str = "final"
    upload_base: str | None = None
    errors: dict[str, int] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Session:
    """An upload under way."""

    name: str
    mime: str
    size: int
    display_name: str | None
    data: bytearray = field(default_factory=bytearray)


class FileStore:
    """Serves what is below /v1beta/files and /upload. `files` is what lies there now, by name."""

    def __init__(self, api_key: str | None) -> None:
        self._key = api_key
        self.reset()

    def reset(self) -> None:
        """Forget files, tricks and what was asked."""
        self._sessions: dict[str, _Session] = {}
        self.files: dict[str, StoredFile] = {}
        self.tricks = FileTricks()
        self.requests: deque[str] = deque(maxlen=RECORDS)

    def serves(self, path: str) -> bool:
        """Whether requests for `path` are ours."""
        return path == _UPLOAD or path == "/v1beta/files" or path.startswith("/v1beta/files/")

    async def __call__(self, request: Request, answer: Answer, base_url: str) -> None:
        """Answer one request; `base_url` is where this service is."""
        try:
            step = _step(request)
            self.requests.append(step)
            if step in self.tricks.hangs:
                await trio.sleep_forever()
            if step in self.tricks.errors:
                raise Invalid(self.tricks.errors[step], "UNKNOWN", f"simulator: {step} fails")
            if step != "upload":
                check_key(key_of(request), self._key)
            value, headers = self._do(step, request, base_url)
            if step in self.tricks.mute:
                await trio.sleep_forever()
        except Invalid as error:
            await answer.json(error.http, google_error(error.http, error.status, str(error), error.details))
        else:
            await answer.json(200, value, headers)

    def by_uri(self) -> Mapping[str, StoredFile]:
        """The files by the address that requests refer to."""
        return {file.uri: file for file in self.files.values()}

    def _do(self, step: str, request: Request, base_url: str) -> tuple[Any, dict[str, str]]:
        """No checkpoint in here: what is done is done whole, whatever becomes of the connection."""
        if step == "start":
            return {}, {"X-Goog-Upload-URL": self._start(request, base_url), "X-Goog-Upload-Status": "active"}
        if step == "upload":
            return self._upload(request, base_url)
        if step == "list":
            return {"files": [file.told() for file in self.files.values()]}, {}
        name = request.path.removeprefix("/v1beta/")
        if name not in self.files:
            raise Invalid(
                403,
                "PERMISSION_DENIED",
                f"You do not have permission to access the File {name[6:][:40]} or it may not exist.",
            )
        if step == "delete":
            del self.files[name]
            return {}, {}
        file = self.files[name]
        told = file.told()
        file.looks = max(0, file.looks - 1)
        return told, {}

    def _start(self, request: Request, base_url: str) -> str:
        headers = request.headers
        if headers.get("x-goog-upload-protocol") != "resumable" or headers.get("x-goog-upload-command") != "start":
            raise bad("an upload begins with protocol resumable and command start")
        size = headers.get("x-goog-upload-header-content-length", "")
        mime = headers.get("x-goog-upload-header-content-type", "")
        if not size.isdecimal() or not 0 < int(size) <= SIZE_CAP:
            raise bad("X-Goog-Upload-Header-Content-Length must be the file's size")
        if mime not in MIMES:
            raise bad(f"Unsupported MIME type: {mime}")
        try:
            body = msgspec.json.decode(request.body or b"{}")
        except (msgspec.MsgspecError, ValueError) as error:
            raise bad(f"Invalid JSON payload received. {error}") from None
        file = message_of(body, _FIELDS).get("file", {})
        name = file.get("name") or f"files/{secrets.token_hex(6)}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise bad("Invalid resource name: files/ and up to 40 of a-z, 0-9 and dashes, none at the ends")
        if name in self.files:
            raise Invalid(409, "ALREADY_EXISTS", f"File {name} already exists.")
        token = secrets.token_urlsafe(24)
        self._sessions[token] = _Session(name, mime, int(size), file.get("displayName"))
        return f"{self.tricks.upload_base or base_url}{_UPLOAD}?upload_id={token}&upload_protocol=resumable"

    def _upload(self, request: Request, base_url: str) -> tuple[Any, dict[str, str]]:
        token = parse_qs(request.query).get("upload_id", [""])[0]
        session = self._sessions.get(token)
        if session is None:
            raise Invalid(404, "NOT_FOUND", "Requested entity was not found.")
        command = {part.strip() for part in request.headers.get("x-goog-upload-command", "").split(",")}
        if "upload" not in command or not command <= {"upload", "finalize"}:
            raise bad("X-Goog-Upload-Command must be upload, with or without finalize")
        if request.headers.get("x-goog-upload-offset") != str(len(session.data)):
            raise bad(f"X-Goog-Upload-Offset must be {len(session.data)}")
        if self.tricks.silent_ends:
            self.tricks.silent_ends -= 1
            return {}, {}
        session.data += request.body
        if "finalize" not in command:
            return {}, {"X-Goog-Upload-Status": "active"}
        del self._sessions[token]
        if len(session.data) != session.size:
            raise bad(f"the file has {len(session.data)} bytes, {session.size} were announced")
        if magic(session.data) != session.mime.replace("heif", "heic"):
            raise bad("Provided image is not valid.")
        file = StoredFile(
            session.name,
            session.mime,
            bytes(session.data),
            f"{base_url}/v1beta/{session.name}",
            datetime.now(UTC),
            self.tricks.processing,
            self.tricks.fails,
            session.display_name,
        )
        self.files[file.name] = file
        return {"file": file.told()}, {"X-Goog-Upload-Status": self.tricks.end_status}


def _step(request: Request) -> str:
    if request.path == _UPLOAD and request.method == "POST":
        return "upload" if "upload_id" in parse_qs(request.query) else "start"
    if request.path == "/v1beta/files" and request.method == "GET":
        return "list"
    if request.path.startswith("/v1beta/files/") and request.method in ("GET", "DELETE"):
        return request.method.lower()
    raise Invalid(404, "NOT_FOUND", "Requested entity was not found.")
