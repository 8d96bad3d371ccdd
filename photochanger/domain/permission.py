"""What an administrator's account may be allowed to do."""

from enum import StrEnum


class Permission(StrEnum):
    """The value is what accounts and tokens name. Reading slots and their gallery desk is part of `slots:write`."""

    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    SLOTS_WRITE = "slots:write"
    STATS_READ = "stats:read"
