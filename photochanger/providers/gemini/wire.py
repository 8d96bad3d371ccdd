"""The generateContent reply, typed: only the fields that are read, every one of them optional. Names are camelCase
on the wire. From Google's API reference; what may be absent or null was gathered from captured replies.
"""

from typing import Any

import msgspec

from photochanger.domain.outcome import Usage


class BadAnswer(Exception):
    """A 200 reply that is not the protocol: not JSON, cut off, or a picture that is not base64."""


class Blob(msgspec.Struct, rename="camel"):
    """`data` stays raw JSON, a view into the reply: it is decoded straight into a file, once."""

    mime_type: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class Part(msgspec.Struct, rename="camel"):
    """Text or a picture. `thought` marks a draft; a `thoughtSignature` does not, the final picture carries one too."""

    text: str | None = None
    inline_data: Blob | None = None
    thought: bool | None = None

    @property
    def is_picture(self) -> bool:
        # Whatever it is called: its bytes are looked at later, and a picture under a wrong name is paid for, too.
        blob = self.inline_data
        return not self.thought and blob is not None and bytes(memoryview(blob.data)[:1]) == b'"'


class Content(msgspec.Struct, rename="camel"):
    parts: list[Part | None] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None

    @property
    def parts(self) -> list[Part]:
        parts = self.content.parts if self.content else None
        return [part for part in parts or () if part is not None]


class PromptFeedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class TokenDetail(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    candidates_tokens_details: list[TokenDetail] | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None


class Reply(msgspec.Struct, rename="camel"):
    """A whole reply. `usage_metadata` and `error` are decoded apart: an odd number must not cost a paid picture."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: msgspec.Raw = msgspec.Raw()
    model_version: str | None = None
    response_id: str | None = None
    error: msgspec.Raw = msgspec.Raw()

    @property
    def picture(self) -> Blob | None:
        """The last picture that is not marked as a draft, of the first candidate that has one."""
        for candidate in self.candidates or ():
            for part in reversed(candidate.parts):
                if part.is_picture:
                    return part.inline_data
        return None

    @property
    def has_error(self) -> bool:
        """An error in the clothes of a 200; gateways answer so."""
        return not self.candidates and bytes(self.error) not in (b"", b"null")

    @property
    def finish_reason(self) -> str | None:
        return next((candidate.finish_reason for candidate in self.candidates or ()), None)

    @property
    def said(self) -> str | None:
        """Why there is no picture, in the provider's words: the finish message, or what the model talked instead."""
        for candidate in self.candidates or ():
            if candidate.finish_message:
                return candidate.finish_message
            text = " ".join(part.text for part in candidate.parts if part.text and not part.thought)
            if text:
                return text
        return self.prompt_feedback.block_reason_message if self.prompt_feedback else None

    @property
    def usage(self) -> Usage:
        """Tokens as counted by Google; all None where the reply does not say them, or not as numbers."""
        try:
            meta = _USAGE.decode(self.usage_metadata) if self.usage_metadata else None
        except (msgspec.MsgspecError, ValueError):
            meta = None
        if meta is None:
            return Usage()
        details = [item for item in meta.candidates_tokens_details or () if item.modality == "IMAGE"]
        return Usage(
            prompt=meta.prompt_token_count,
            candidates=meta.candidates_token_count,
            candidates_image=sum(item.token_count or 0 for item in details) if details else None,
            thoughts=meta.thoughts_token_count,
            total=meta.total_token_count,
        )


# strict=False also takes numbers written as strings, as protobuf's JSON may write them.
_REPLY = msgspec.json.Decoder(Reply, strict=False)
_USAGE = msgspec.json.Decoder(UsageMetadata | None, strict=False)


def decode_reply(body: bytes | bytearray) -> Reply:
    """A 200 reply. It holds views into `body`, which must not be changed afterwards. Raises BadAnswer."""
    try:
        return _REPLY.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        start = body[:200].decode("utf-8", "replace")
        raise BadAnswer(f"{error}; it starts with {start!r}") from None


class ApiError(msgspec.Struct):
    """An error reply, taken apart as far as it can be. `details` are the google.rpc objects, possibly none."""

    message: str
    status: str | None = None
    code: int | None = None
    details: list[dict[str, Any]] = []

    def detail(self, kind: str) -> dict[str, Any]:
        """The first detail of type google.rpc.`kind`, or an empty one."""
        return next((item for item in self.details if str(item.get("@type", "")).endswith(f".{kind}")), {})


def decode_error(body: bytes | bytearray) -> ApiError:
    """An error body: an object, a list of one such object, or whatever a front end wrote. Never raises."""
    text = body.decode("utf-8", "replace")
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ApiError(text)
    if isinstance(found, list):
        found = next(iter(found), None)
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return ApiError(error if isinstance(error, str) else text)
    message, status, code = error.get("message"), error.get("status"), error.get("code")
    details = error.get("details")
    return ApiError(
        message if isinstance(message, str) else text,
        status if isinstance(status, str) else None,
        code if isinstance(code, int) else None,
        [item for item in details if isinstance(item, dict)] if isinstance(details, list) else [],
    )
