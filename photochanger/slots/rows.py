"""A slot's row, and what it means: the one place that knows how a slot lies in the database."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from photochanger.domain.slot import Plan, Slot, Template

_COLUMNS: Final = """
SELECT id, version, provider, operation, settings, secret_hash, is_active, size_limit_bytes, t_sync_seconds,
       permits, mailbox, allow_png, jpeg_quality, longest_side, send_quality, fallbacks, hedge, keep_spares, on_timeout,
       t_late_seconds, last_resort, last_resort_settings, dedupe_seconds, budget_day_microusd, at_budget, output,
       output_width, output_height, rate_per_minute, rate_burst, auth, signing_generation, name, gallery,
       gallery_generation, moderated,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('id', media.id, 'role', bound.role, 'position', bound.position,
                                                     'mime', media.mime, 'path', media.path)
                                  ORDER BY bound.position), '[]'::jsonb)
        FROM slot_template AS bound JOIN template_media AS media ON media.id = bound.template_id
        WHERE bound.slot_id = slot.id) AS templates
"""
SELECT: Final = _COLUMNS + "FROM slot WHERE archived_at IS NULL"
"""All slots in use; go on with AND for one of them."""

_CHANGED_BY: Final = "SELECT changed_by FROM slot_change WHERE slot_id = slot.id AND slot_change.version = slot.version"
SELECT_WHOLE: Final = (
    f"{_COLUMNS}, archived_at, created_at, updated_at, ({_CHANGED_BY}) AS updated_by FROM slot WHERE true"
)
"""All slots that ever were, with what administrators see besides; go on with AND for one of them."""

_BESIDES: Final = ("archived_at", "created_at", "updated_at", "updated_by")


def slot_of(row: Mapping[str, Any], *, t_sync: float, t_late: float) -> Slot:
    """The slot of a row of either SELECT. `t_sync` and `t_late` are the house's own, for slots that leave them to it.

    Never raises for what is inside a row's JSON: one slot that was spoilt by hand must not take the others along.
    """
    values = {name: value for name, value in row.items() if name not in _BESIDES}
    sync, late = values.pop("t_sync_seconds"), values.pop("t_late_seconds")
    values["t_sync"] = t_sync if sync is None else float(sync)
    values["t_late"] = t_late if late is None else float(late)
    fallbacks = values["fallbacks"]
    values["fallbacks"] = tuple(_plan(plan) for plan in (fallbacks if isinstance(fallbacks, list) else [fallbacks]))
    values["settings"] = _object(values["settings"])
    values["last_resort_settings"] = _object(values["last_resort_settings"])
    values["templates"] = tuple(
        Template(UUID(each["id"]), each["role"], each["mime"], each["path"]) for each in values["templates"]
    )
    return Slot(**values)


def _plan(stored: Any) -> Plan:
    """A plan as it lies in the row; what is not understood becomes a plan that no provider takes, and says so."""
    known = _object(stored)
    return Plan(str(known.get("provider", "")), str(known.get("operation", "")), _object(known.get("settings")))


def _object(stored: Any) -> dict[str, Any]:
    return stored if isinstance(stored, dict) else {}
