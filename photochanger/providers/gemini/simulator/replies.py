"""What the simulator answers, by the name of the scenario.

A scenario is one content step, "ok" if there is none, and any modifiers: `drafts(3)+slow(2)`, `quota_wait(20)+list`.
"""

import base64
from collections.abc import Callable
from typing import Any, Final

from photochanger.providers.gemini.simulator.plan import MODIFIERS, Context, Plan, google_error
from photochanger.providers.simulator import ScenarioError, Step

HTML: Final = b"<!DOCTYPE html>\n<html><title>Error 502 (Server Error)!!1</title><p>The server is ill.</html>"

EARLY: Final = ("early", "refuse")
"""Scenarios that can only be queued: they happen before a prompt has been read."""

FINISH_STEPS: Final = {
    name.lower(): name
    for name in (
        "NO_IMAGE",
        "IMAGE_OTHER",
        "OTHER",
        "IMAGE_SAFETY",
        "SAFETY",
        "PROHIBITED_CONTENT",
        "IMAGE_PROHIBITED_CONTENT",
        "RECITATION",
        "IMAGE_RECITATION",
        "BLOCKLIST",
        "SPII",
        "LANGUAGE",
        "MAX_TOKENS",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
    )
}

_ERRORS: Final = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    408: ("DEADLINE_EXCEEDED", "Request timeout."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    500: ("INTERNAL", "An internal error has occurred. Please retry."),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    502: ("UNAVAILABLE", "Bad gateway."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
_TYPE: Final = "type.googleapis.com/google.rpc."


def build(steps: tuple[Step, ...], context: Context) -> Plan:
    """The plan for `steps`. Raises ScenarioError for a step that is not known or not understood."""
    plan = Plan()
    contents = [step for step in steps if step.name in _CONTENT]
    if len(contents) > 1:
        raise ScenarioError(f"{contents[0].name} and {contents[1].name}: one answer only")
    content = contents[0] if contents else Step("ok")
    plan.verdict = content.name
    _CONTENT[content.name](plan, content, context)
    for step in steps:
        if step.name not in _CONTENT:
            if step.name not in MODIFIERS:
                raise ScenarioError(f"no such scenario: {step.name}")
            MODIFIERS[step.name](plan, step)
    return plan


def check(steps: tuple[Step, ...]) -> None:
    """Raises ScenarioError for steps that cannot be played. Draws nothing."""
    if steps[0].name in EARLY:
        if len(steps) > 1:
            raise ScenarioError(f"{steps[0].name} stands alone")
        early_answer(steps[0])
        return
    build(steps, Context("gemini-3.1-flash-image", "", lambda pictures: {}, lambda png: b"picture"))


def early_answer(step: Step) -> Plan | None:
    """What is sent before a request's body is read; None for `refuse`, which just resets the connection."""
    if step.name == "refuse":
        return None
    plan = Plan()
    _error(plan, step, Context("", "", lambda pictures: {}, lambda png: b""))
    return plan


def _reply(plan: Plan, context: Context, pictures: int, candidate: dict[str, Any] | None) -> None:
    plan.value = {
        "usageMetadata": context.usage(pictures),
        "modelVersion": context.model,
        "responseId": context.response_id,
    }
    if candidate is not None:
        plan.value = {"candidates": [candidate | {"index": 0}], **plan.value}


def _image(data: bytes, mime: str, **more: Any) -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime, "data": base64.b64encode(data).decode()}, **more}


def _drawn(plan: Plan, context: Context, parts: list[dict[str, Any]], pictures: int = 1) -> None:
    # The last picture of a Gemini 3 reply carries a signature; that does not make it a draft.
    last = max(number for number, part in enumerate(parts) if "inlineData" in part)
    if not context.model.startswith("gemini-2.5"):
        parts[last]["thoughtSignature"] = base64.b64encode(b"signature" * 12).decode()
    _reply(plan, context, pictures, {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"})


def _ok(plan: Plan, step: Step, context: Context) -> None:
    text = [{"text": "Here is your picture."}]
    picture = [_image(context.draw(step.name == "ok_png"), "image/png" if step.name == "ok_png" else "image/jpeg")]
    order = {"text_before": text + picture, "text_after": picture + text}
    _drawn(plan, context, order.get(step.name, picture))


def _drafts(plan: Plan, step: Step, context: Context) -> None:
    """drafts(n) or drafts(n, thought): n pictures before the final one, which differ from it."""
    count = int(step.number(2))
    mark = {"thought": True} if "thought" in step.args else {}
    drafts = [_image(b"\xff\xd8\xff draft %d" % number, "image/jpeg", **mark) for number in range(count)]
    if mark:
        drafts.insert(0, {"text": "Let me think about the light.", "thought": True})
    _drawn(plan, context, [*drafts, _image(context.draw(False), "image/jpeg")], count + 1)


def _text_only(plan: Plan, step: Step, context: Context) -> None:
    parts = [{"text": "I can describe how I would draw it."}]
    _reply(plan, context, 0, {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"})


def _finish(plan: Plan, step: Step, context: Context) -> None:
    """finish(REASON, empty|null|absent, silent) or the reason in lower case as the step's name."""
    args = list(step.args)
    reason = FINISH_STEPS.get(step.name) or (args.pop(0).upper() if args else "OTHER")
    candidate: dict[str, Any] = {"finishReason": reason}
    if "null" in args:
        candidate["content"] = {"role": "model", "parts": None}
    elif "absent" not in args:
        candidate["content"] = {}
    if "silent" not in args:
        candidate["finishMessage"] = f"Unable to show the generated image ({reason})." + (
            " You will not be charged for this request." if reason == "IMAGE_OTHER" else ""
        )
    plan.verdict = reason
    _reply(plan, context, 0, candidate)
    if reason == "IMAGE_OTHER":
        del plan.value["usageMetadata"]


def _block(plan: Plan, step: Step, context: Context) -> None:
    """block(REASON, absent|null|empty): the prompt or the photo was refused before any drawing."""
    args = list(step.args)
    reason = args.pop(0).upper() if args and args[0] not in ("absent", "null", "empty") else "PROHIBITED_CONTENT"
    _reply(plan, context, 0, None)
    plan.value["promptFeedback"] = {"blockReason": reason}
    plan.value["usageMetadata"].pop("candidatesTokenCount", None)
    if "null" in args:
        plan.value["candidates"] = None
    elif "empty" in args:
        plan.value["candidates"] = []
    plan.verdict = f"block {reason}"


def _error(plan: Plan, step: Step, context: Context) -> None:
    plan.http = int(step.number(500))
    status, message = _ERRORS.get(plan.http, ("UNKNOWN", "Unknown error."))
    if not 300 <= plan.http < 600:
        raise ScenarioError(f"{step.name}: a status from 300 to 599")
    plan.value = google_error(plan.http, status, message)
    plan.verdict = str(plan.http)


def _quota(plan: Plan, step: Step, context: Context) -> None:
    """quota_day, quota_zero: waiting does not help, and RetryInfo comes all the same. quota_wait(seconds): it does."""
    seconds = step.number(20.044661790)
    quota_id, limit = {
        "quota_day": ("GenerateRequestsPerDayPerProjectPerModel", "250"),
        "quota_zero": ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0"),
        "quota_wait": ("GenerateRequestsPerMinutePerProjectPerModel", "10"),
    }[step.name]
    message = (
        "You exceeded your current quota, please check your plan and billing details.\n"
        f"* Quota exceeded for metric: generate_content_requests, limit: {limit}, model: {context.model}\n"
        f"Please retry in {seconds:.9f}s."
    )
    violation = {"quotaMetric": "generate_content_requests", "quotaId": quota_id, "quotaValue": limit}
    details: list[dict[str, Any]] = [
        {"@type": _TYPE + "QuotaFailure", "violations": [violation]},
        {"@type": _TYPE + "Help", "links": [{"description": "Learn more about quotas"}]},
        {"@type": _TYPE + "RetryInfo", "retryDelay": f"{seconds:.9f}s"},
    ]
    plan.http, plan.verdict = 429, step.name
    plan.value = google_error(429, "RESOURCE_EXHAUSTED", message, details)


def _location(plan: Plan, step: Step, context: Context) -> None:
    plan.http, plan.verdict = 400, "location"
    plan.value = google_error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")


def _html(plan: Plan, step: Step, context: Context) -> None:
    plan.http, plan.raw, plan.content_type = int(step.number(502)), HTML, "text/html; charset=UTF-8"


def _redirect(plan: Plan, step: Step, context: Context) -> None:
    plan.http, plan.raw, plan.content_type = 307, b"moved", "text/plain"
    plan.headers["Location"] = step.args[0] if step.args else "https://example.com/"


def _bare(plan: Plan, step: Step, context: Context) -> None:
    plan.value = {}


def _error_ok(plan: Plan, step: Step, context: Context) -> None:
    """An error inside a 200, as some gateways answer."""
    _error(plan, step if step.args else Step(step.name, ("503",)), context)
    plan.http = 200


def _bad_base64(plan: Plan, step: Step, context: Context) -> None:
    _ok(plan, Step("ok"), context)
    blob = plan.value["candidates"][0]["content"]["parts"][0]["inlineData"]
    middle = len(blob["data"]) // 2
    blob["data"] = blob["data"][:middle] + "*" + blob["data"][middle + 1 :]


def _not_picture(plan: Plan, step: Step, context: Context) -> None:
    """HTML that calls itself a picture."""
    _drawn(plan, context, [_image(HTML, "image/png")])


def _half_picture(plan: Plan, step: Step, context: Context) -> None:
    picture = context.draw(False)
    _drawn(plan, context, [_image(picture[: len(picture) // 2], "image/jpeg")])


def _large(plan: Plan, step: Step, context: Context) -> None:
    """large(megabytes) of base64 in one picture."""
    _drawn(plan, context, [_image(bytes(int(step.number(70) * 750_000)), "image/jpeg")])


_CONTENT: Final[dict[str, Callable[[Plan, Step, Context], None]]] = {
    **dict.fromkeys(("ok", "ok_png", "text_before", "text_after"), _ok),
    **dict.fromkeys((*FINISH_STEPS, "finish"), _finish),
    **dict.fromkeys(("quota_day", "quota_zero", "quota_wait"), _quota),
    "drafts": _drafts,
    "text_only": _text_only,
    "block": _block,
    "error": _error,
    "error_ok": _error_ok,
    "location": _location,
    "html": _html,
    "redirect": _redirect,
    "bare": _bare,
    "bad_base64": _bad_base64,
    "not_picture": _not_picture,
    "half_picture": _half_picture,
    "large": _large,
}
