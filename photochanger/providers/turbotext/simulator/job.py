"""A simulated job: its pictures fetched from where the client put them, its drawing, its replies."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpcore
import msgspec
import trio

from photochanger.providers.gemini.simulator import picture
from photochanger.providers.turbotext.simulator.forms import CANVAS, Refused
from photochanger.providers.turbotext.simulator.plan import Plan

FETCH_SECONDS: Final = 10.0
LONGEST: Final = 1024
"""Pixels of a drawing's longer side; the documented examples have 768 to 1472."""

_INPUTS: Final = ("url", "url_image_target")


@dataclass(slots=True)
class Job:
    """`photos` by field name, None until they were fetched; `failed` is why that did not work."""

    queueid: int
    method: str
    form: dict[str, str]
    plan: Plan
    made_at: float
    polls: int = 0
    downloads: int = 0
    photos: dict[str, bytes] | None = None
    drawn: bytes | None = None
    failed: str | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(12))

    @property
    def file_name(self) -> str:
        return f"{self.token}.{'jpg' if self.plan.picture == 'jpeg' else 'png'}"

    @property
    def ready(self) -> bool:
        """Nothing is left of the answers that say to come again."""
        return self.polls > self.plan.reconnects and trio.current_time() >= self.made_at + self.plan.seconds

    @property
    def photo_bytes(self) -> int:
        """Of all pictures that were fetched."""
        return sum(map(len, (self.photos or {}).values()))

    async def fetch(self, *, head_first: bool) -> None:
        """Get the pictures as Turbotext does, by their addresses. Sets `failed` when one cannot be had."""
        photos: dict[str, bytes] = {}
        try:
            with trio.fail_after(FETCH_SECONDS):
                for name in _INPUTS:
                    if name in self.form:
                        photos[name] = await _get(self.form[name], head_first)
        except (Refused, trio.TooSlowError) as error:
            self.failed = str(error) or "the picture did not come in time"
        else:
            self.photos = photos

    def draw(self, fixed: bytes | None) -> None:
        """Blocks: run in a thread. Sets `failed` when the photos are none."""
        assert self.photos is not None
        try:
            for photo in self.photos.values():
                picture.photo_size(photo)
            canvas = self.photos[CANVAS[self.method]]
            self.drawn = fixed or picture.transform(
                canvas, _size(*picture.photo_size(canvas)), self.method, png=self.plan.picture != "jpeg"
            )
        except picture.NotAPicture:
            self.failed = "the picture cannot be read"
            return
        if self.plan.picture == "half_picture":
            self.drawn = self.drawn[: len(self.drawn) // 2]

    def waiting(self) -> bytes:
        """The reply while there is nothing yet."""
        reply: dict[str, Any] = {"action": "reconnect"}
        if self.plan.reconnect_success is not None:
            reply = {"success": self.plan.reconnect_success, "error": "", **reply}
        return msgspec.json.encode(reply)

    def result(self, site: str, limits: dict[str, int] | None) -> bytes:
        """The reply at the end. `site` is the address under which the pictures are."""
        address = f"{site}/download.php?f={self.file_name}"
        data: dict[str, Any] = {"prompt": self.form.get("content", ""), "width": 768, "height": 768, "seed": 9147962925}
        reply: dict[str, Any] = {"success": True, "error": "", "data": data}
        _ENDINGS.get(self.plan.ending, _top)(reply, address, self)
        if limits is not None:
            reply["limits"] = limits
        body = msgspec.json.encode(reply)
        # The documented example of mix_images has a bracket behind the prompt.
        return body.replace(b',"width"', b'],"width"', 1) if self.plan.ending == "stray" else body


def _top(reply: dict[str, Any], address: str, job: Job) -> None:
    reply["uploaded_image"] = job.plan.text if job.plan.ending == "other_host" else address


def _nested(reply: dict[str, Any], address: str, job: Job) -> None:
    reply["data"]["uploaded_image"] = address


def _relative(reply: dict[str, Any], address: str, job: Job) -> None:
    reply["data"]["image"] = [f"image/{job.file_name}"]
    if job.plan.ending == "null_image":
        reply["uploaded_image"] = None


def _absolute(reply: dict[str, Any], address: str, job: Job) -> None:
    reply["data"] |= {"image": [address], "forbidden_content": False, "face_restore": "False"}


def _forbidden(reply: dict[str, Any], address: str, job: Job) -> None:
    _absolute(reply, address, job)
    reply["data"]["forbidden_content"] = True
    reply["uploaded_image"] = address


def _failed(reply: dict[str, Any], address: str, job: Job) -> None:
    reply.clear()
    reply |= {"success": False, "error": job.plan.text or "the face was not found"}


def _bare(reply: dict[str, Any], address: str, job: Job) -> None:
    reply.clear()
    reply["success"] = True


def _none(reply: dict[str, Any], address: str, job: Job) -> None:
    """`data` without any picture."""


_ENDINGS: Final[dict[str, Callable[[dict[str, Any], str, Job], None]]] = {
    "nested": _nested,
    "relative": _relative,
    "null_image": _relative,
    "absolute": _absolute,
    "forbidden": _forbidden,
    "failed": _failed,
    "bare": _bare,
    "no_image": _none,
}


async def _get(url: str, head_first: bool) -> bytes:
    """A picture by its address: no key, no cookie, no redirect. Raises Refused."""
    try:
        async with httpcore.AsyncConnectionPool() as pool:
            for method in ("HEAD", "GET") if head_first else ("GET",):
                response = await pool.request(method, url)
                if response.status != 200:
                    raise Refused(f"the picture could not be loaded: {method} answered {response.status}")
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise Refused(f"the picture could not be loaded: {type(error).__name__}") from None
    if not response.content.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
        raise Refused("the picture is neither jpg nor png")
    return response.content


def _size(width: int, height: int) -> tuple[int, int]:
    scale = LONGEST / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
