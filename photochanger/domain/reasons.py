"""The closed list of failure reasons: what went wrong, as HTTP status and as a sentence in two languages."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a request got no picture. The value is what `failure_reason` says in JSON, rows and metrics."""

    # The request itself
    INVALID_REQUEST = "invalid_request"
    INVALID_CREDENTIALS = "invalid_credentials"
    SIGNATURE_EXPIRED = "signature_expired"
    REPLAYED_NONCE = "replayed_nonce"
    SLOT_NOT_FOUND = "slot_not_found"
    SLOT_DISABLED = "slot_disabled"
    UPLOAD_TIMEOUT = "upload_timeout"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNDECODABLE_IMAGE = "undecodable_image"
    # Room
    RATE_LIMITED = "rate_limited"
    SLOT_BUSY = "slot_busy"
    QUEUE_FULL = "queue_full"
    BUDGET_EXHAUSTED = "budget_exhausted"
    # The work
    INTERNAL_ERROR = "internal_error"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_NO_IMAGE = "provider_no_image"
    PROVIDER_ERROR = "provider_error"
    PROVIDER_QUOTA = "provider_quota"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DRAINING = "draining"
    PROVIDER_TIMEOUT = "provider_timeout"
    # Reading back
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    RESULT_EXPIRED = "result_expired"
    # The work, ended by hand
    CANCELLED = "cancelled"
    # Administration
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    LOGIN_LOCKED = "login_locked"
    VALIDATION_FAILED = "validation_failed"
    TEMPLATE_IN_USE = "template_in_use"
    NOT_POSSIBLE_NOW = "not_possible_now"
    VERSION_CONFLICT = "version_conflict"
    PRECONDITION_REQUIRED = "precondition_required"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """How a reason is told: HTTP status and one sentence per language."""

    status: int
    en: str
    ru: str


REASONS: Final[dict[Reason, ReasonInfo]] = {
    Reason.INVALID_REQUEST: ReasonInfo(400, "The request could not be understood.", "Запрос не удалось разобрать."),
    Reason.INVALID_CREDENTIALS: ReasonInfo(
        401, "The slot password or signature is missing or wrong.", "Пароль или подпись слота не указаны или неверны."
    ),
    Reason.SIGNATURE_EXPIRED: ReasonInfo(
        401, "The signature's time is too far from ours.", "Время подписи слишком отличается от нашего."
    ),
    Reason.REPLAYED_NONCE: ReasonInfo(401, "This signed request was already used.", "Этот подписанный запрос уже был."),
    Reason.SLOT_NOT_FOUND: ReasonInfo(404, "There is no such slot.", "Такого слота нет."),
    Reason.SLOT_DISABLED: ReasonInfo(404, "This slot is switched off.", "Этот слот выключен."),
    Reason.UPLOAD_TIMEOUT: ReasonInfo(408, "The request did not arrive in time.", "Запрос не пришёл вовремя."),
    Reason.IDEMPOTENCY_CONFLICT: ReasonInfo(
        409, "This Idempotency-Key belongs to another photo.", "Этот Idempotency-Key уже занят другой фотографией."
    ),
    Reason.PAYLOAD_TOO_LARGE: ReasonInfo(
        413, "The request is larger than what is accepted here.", "Запрос больше, чем здесь принимается."
    ),
    Reason.UNSUPPORTED_MEDIA_TYPE: ReasonInfo(
        415, "Only JPEG, PNG and WebP photos are accepted.", "Принимаются только фотографии JPEG, PNG и WebP."
    ),
    Reason.UNDECODABLE_IMAGE: ReasonInfo(
        422, "The photo is damaged or cannot be used.", "Фотография повреждена или не годится."
    ),
    Reason.RATE_LIMITED: ReasonInfo(
        429,
        "Photos come faster than allowed; try again shortly.",
        "Фотографии идут слишком часто, повторите позже.",
    ),
    Reason.SLOT_BUSY: ReasonInfo(429, "This slot is busy; try again shortly.", "Слот занят, повторите чуть позже."),
    Reason.QUEUE_FULL: ReasonInfo(
        429,
        "Too many photos are in progress; try again shortly.",
        "Слишком много фотографий в работе, повторите позже.",
    ),
    Reason.BUDGET_EXHAUSTED: ReasonInfo(
        429, "Today's budget for AI pictures is used up.", "Сегодняшний бюджет на AI-изображения исчерпан."
    ),
    Reason.INTERNAL_ERROR: ReasonInfo(
        500, "Something broke on our side; it has been logged.", "Внутренняя ошибка, она записана в журнал."
    ),
    Reason.PROVIDER_REFUSED: ReasonInfo(
        502, "The AI provider refused this photo.", "Провайдер отказался обрабатывать эту фотографию."
    ),
    Reason.PROVIDER_NO_IMAGE: ReasonInfo(
        502, "The AI provider answered without a picture.", "Провайдер ответил без изображения."
    ),
    Reason.PROVIDER_ERROR: ReasonInfo(502, "The AI provider answered with an error.", "Провайдер ответил ошибкой."),
    Reason.PROVIDER_QUOTA: ReasonInfo(503, "The AI provider's quota is used up.", "Квота у провайдера исчерпана."),
    Reason.PROVIDER_UNAVAILABLE: ReasonInfo(
        503, "The AI provider is not available now.", "Провайдер сейчас недоступен."
    ),
    Reason.STORAGE_UNAVAILABLE: ReasonInfo(
        503, "The picture could not be stored.", "Не удалось сохранить изображение."
    ),
    Reason.DATABASE_UNAVAILABLE: ReasonInfo(
        503, "The database is not available now.", "База данных сейчас недоступна."
    ),
    Reason.DRAINING: ReasonInfo(
        503, "The service is shutting down; try again shortly.", "Сервис останавливается, повторите позже."
    ),
    Reason.PROVIDER_TIMEOUT: ReasonInfo(
        504, "No picture came inside the window.", "Изображение не успело прийти за отведённое время."
    ),
    Reason.NOT_FOUND: ReasonInfo(404, "There is nothing here.", "Здесь ничего нет."),
    Reason.METHOD_NOT_ALLOWED: ReasonInfo(405, "This method is not allowed here.", "Этот метод здесь не разрешён."),
    Reason.RESULT_EXPIRED: ReasonInfo(
        410, "This picture has expired and was deleted.", "Срок хранения изображения истёк, оно удалено."
    ),
    Reason.CANCELLED: ReasonInfo(
        503, "An administrator stopped the work on this photo.", "Администратор остановил обработку этой фотографии."
    ),
    Reason.UNAUTHENTICATED: ReasonInfo(401, "Log in first.", "Сначала войдите в систему."),
    Reason.FORBIDDEN: ReasonInfo(403, "This account may not do that.", "У этой учётной записи нет на это права."),
    Reason.LOGIN_LOCKED: ReasonInfo(
        429,
        "Too many tries to log in; try again later.",
        "Слишком много попыток входа, повторите позже.",
    ),
    Reason.VALIDATION_FAILED: ReasonInfo(422, "Some fields cannot be like that.", "Некоторые поля заполнены неверно."),
    Reason.TEMPLATE_IN_USE: ReasonInfo(409, "This template is in use by slots.", "Этот шаблон используется слотами."),
    Reason.NOT_POSSIBLE_NOW: ReasonInfo(
        409, "That is not possible as things are now.", "В текущем состоянии это невозможно."
    ),
    Reason.VERSION_CONFLICT: ReasonInfo(
        412, "Somebody else changed it meanwhile; look again.", "Данные уже изменил кто-то другой, обновите их."
    ),
    Reason.PRECONDITION_REQUIRED: ReasonInfo(
        428, "Say with If-Match which version you change.", "Укажите в If-Match, какую версию вы меняете."
    ),
}
