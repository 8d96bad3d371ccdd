"""One shot of the booth: send the photo over a bare socket, wait for the modified one, say which the booth prints."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import trio

from photochanger.demo.dslr.connection import Connection, Origin
from photochanger.demo.dslr.exchange import Exchange
from photochanger.demo.dslr.form import Form, build_form, text_fields
from photochanger.demo.dslr.options import Options
from photochanger.demo.dslr.photo import Photo
from photochanger.demo.dslr.picture import flaw_of


@dataclass(frozen=True, slots=True)
class Shot:
    """What came of one shot. Times are seconds since the shot."""

    verdict: Literal["modified", "original"]
    why: str
    """One sentence: what made it "original", or that all was well."""
    elapsed: float
    """Until the reply's last byte, or until it failed."""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    path: Path | None = None
    """Where the modified photo was saved."""
    problem: Mapping[str, Any] | None = None
    """The JSON object of a reply that is JSON."""
    continue_after: float | None = None
    """When `100 Continue` came."""
    body_bytes_sent: int = 0
    reused: bool = False
    """The connection had carried an earlier shot."""

    def header(self, name: str) -> str | None:
        """The reply's first header of that name, in any case."""
        return next((value for key, value in self.headers if key == name.lower()), None)


async def shoot(
    url: str,
    photo: bytes | Path,
    *,
    password: str | None = None,
    options: Options | None = None,
    save_to: Path | None = None,
    connection: Connection | None = None,
) -> Shot:
    """Post `photo` to `url` as the booth does and judge the reply as it does.

    The verdict is "modified" only when status 200 and a JPEG or PNG that decodes whole came within the timeout.
    Without `password` the field is absent. A file is streamed from disk. `save_to` receives the modified photo
    (whole or not at all). `connection` is used again where the server allows it; without one each shot has its own.

    Raises ValueError for a URL that is not http or https, OSError when the photo cannot be read or the result not
    be saved. Whatever the server does is a Shot.
    """
    options = options or Options()
    origin, path = Origin.of(url, options.query, options.encoding)
    async with Photo.open(photo) as source:
        form = _form(source, password, options)
        exchange = Exchange(_request_head(origin, path, form, source.size, options), form, source, options)
        own = connection or Connection()
        started = trio.current_time()
        try:
            with trio.move_on_after(options.timeout) as patience:
                await exchange.run(own, origin)
            elapsed = trio.current_time() - started
            if patience.cancelled_caught:
                exchange.failure = f"no whole reply within {options.timeout:g} s"
        finally:
            if connection is None or not exchange.reusable:
                await own.cut(hard=not exchange.done)
    flaw = exchange.failure
    if flaw is None and exchange.status != 200:
        flaw = f"the server answered {exchange.status}"
    if flaw is None:
        flaw = await trio.to_thread.run_sync(flaw_of, exchange.body)
    if flaw is None and save_to is not None:
        await trio.to_thread.run_sync(_save, save_to, exchange.body)
    return Shot(
        "modified" if flaw is None else "original",
        flaw or "a whole picture came in time",
        elapsed,
        exchange.status,
        exchange.head.headers if exchange.head else (),
        exchange.body,
        save_to if flaw is None else None,
        _problem(exchange),
        None if exchange.continued_at is None else exchange.continued_at - started,
        exchange.body_bytes_sent,
        exchange.reused,
    )


async def shoot_together(shots: list[partial[Any]]) -> list[Shot]:
    """Run several prepared shots, `partial(shoot, url, photo, ...)`, at the same moment; results in their order."""
    results: dict[int, Shot] = {}

    async def one(index: int, shot: partial[Any]) -> None:
        results[index] = await shot()

    async with trio.open_nursery() as nursery:
        for index, shot in enumerate(shots):
            nursery.start_soon(one, index, shot)
    return [results[index] for index in range(len(shots))]


def _form(photo: Photo, password: str | None, options: Options) -> Form:
    fields = list(text_fields(int(time.time()), options.fields, with_hash=options.send_hash).items())
    secret = [] if password is None else [("password", password)]
    before = fields if options.password_last else fields + secret
    after = secret if options.password_last else []
    if options.file_first:
        before, after = [], before + after
    return build_form(
        before,
        fields_after=after,
        file_name=options.file_name or ("IMG_0003.PNG" if photo.mime == "image/png" else "IMG_0003.JPG"),
        mime=photo.mime,
        encoding=options.encoding,
    )


def _request_head(origin: Origin, path: str, form: Form, photo_size: int, options: Options) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {origin.host_header}",
        f"content-type: {form.content_type}",
        f"content-length: {form.overhead + photo_size}",
        "expect: 100-continue",
        *([] if options.keep_alive else ["connection: close"]),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _problem(exchange: Exchange) -> Mapping[str, Any] | None:
    kind = (exchange.head.get("content-type") or "") if exchange.head else ""
    if "json" not in kind:
        return None
    with suppress(ValueError):
        problem = json.loads(exchange.body)
        return problem if isinstance(problem, dict) else None
    return None


def _save(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
