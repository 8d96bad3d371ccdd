"""One request and its reply on a connection: `Expect: 100-continue`, upload and reading at the same time."""

import trio

from photochanger.demo.dslr.connection import Connection, Origin, Stream, shrink_receive_buffer
from photochanger.demo.dslr.form import Form
from photochanger.demo.dslr.options import Options
from photochanger.demo.dslr.photo import Photo
from photochanger.demo.dslr.reply import BrokenReply, Head, ReplyReader

RECEIVE_SIZE = 256 * 1024


class Exchange:
    """What is known so far is in the attributes, so that a timeout loses none of it."""

    def __init__(self, request_head: bytes, form: Form, photo: Photo, options: Options) -> None:
        self._request_head = request_head
        self._form = form
        self._photo = photo
        self._options = options
        self._may_send = trio.Event()  # 100 Continue or a final status came
        self._replied = trio.Event()  # the final status came
        self._received = 0
        self.failure: str | None = None
        self.head: Head | None = None
        self.body = b""
        self.continued_at: float | None = None
        self.body_bytes_sent = 0
        self.reused = False
        self.done = False
        """The reply was read to its end."""
        self.reusable = False

    @property
    def status(self) -> int | None:
        """The final status, as soon as it is known."""
        return self.head.status if self.head else None

    async def run(self, connection: Connection, origin: Origin) -> None:
        """Exchange; what goes wrong is in `failure` afterwards. The caller bounds the time and closes."""
        try:
            stream, self.reused = await connection.stream_to(origin, self._options.ssl_context)
        except (OSError, trio.BrokenResourceError) as error:
            self.failure = f"cannot connect: {error.__cause__ or error}"
            return
        if self._options.stop_reading_after is not None:
            shrink_receive_buffer(stream)
        reader = ReplyReader(lambda: self._receive(stream))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, stream, nursery.cancel_scope)
            await self._read(reader)
            nursery.cancel_scope.cancel()
        whole = self.body_bytes_sent == self._form.overhead + self._photo.size
        self.reusable = bool(self.done and whole and reader.clean and self.head and self.head.persistent)

    async def _send(self, stream: Stream, exchange: trio.CancelScope) -> None:
        try:
            await stream.send_all(self._request_head)
            with trio.move_on_after(self._options.expect_wait):
                await self._may_send.wait()
            if not await self._send_body(stream):
                exchange.cancel()
        except trio.BrokenResourceError:
            return  # the reading side tells: there may be a reply to find

    async def _send_body(self, stream: Stream) -> bool:
        """Send until done or until a final status came. False: the exchange is to be cut, `failure` says why."""
        if not await self._send_piece(stream, self._form.before):
            return False
        left = self._photo.size
        while left > 0 and not self._replied.is_set():
            piece = (await self._photo.read())[:left]
            if not piece:
                self.failure = "the photo file became shorter while it was sent"
                return False
            left -= len(piece)
            if not await self._send_piece(stream, piece):
                return False
        return await self._send_piece(stream, self._form.after)

    async def _send_piece(self, stream: Stream, data: bytes) -> bool:
        rate, cut_after = self._options.upload_rate, self._options.cut_upload_after
        step = max(1, int(rate / 10)) if rate else len(data)
        for start in range(0, len(data), max(1, step)):
            if self._replied.is_set():
                return True
            part = data[start : start + step]
            if cut_after is not None:
                part = part[: cut_after - self.body_bytes_sent]
            await stream.send_all(part)
            self.body_bytes_sent += len(part)
            if self.body_bytes_sent == cut_after:
                self.failure = f"the booth cut the upload after {cut_after} bytes"
                return False
            if rate:
                with trio.move_on_after(len(part) / rate):
                    await self._replied.wait()
        return True

    async def _read(self, reader: ReplyReader) -> None:
        try:
            while (head := await reader.head()).status < 200:
                if head.status == 100 and self.continued_at is None:
                    self.continued_at = trio.current_time()
                    self._received = 0
                    self._may_send.set()
            self.head = head
            self._replied.set()
            self._may_send.set()
            self.body = await reader.body(head, self._options.reply_limit)
            self.done = True
        except BrokenReply as error:
            self.failure = self.failure or str(error)
        except trio.BrokenResourceError:
            self.failure = self.failure or "the connection broke"

    async def _receive(self, stream: Stream) -> bytes | bytearray:
        stop_after, size = self._options.stop_reading_after, RECEIVE_SIZE
        if stop_after is not None:
            if self._received >= stop_after:
                await trio.sleep_forever()
            size = min(size, stop_after - self._received)
        data = await stream.receive_some(size)
        self._received += len(data)
        return data
