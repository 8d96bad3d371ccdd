"""What a route asks of its callers."""

from enum import StrEnum

from photochanger.domain.permission import Permission


class Access(StrEnum):
    """What a route asks of callers when it asks for no permission.

    `public` does not look at credentials at all, `optional` tells more to those who have them, `login` is for every
    account.
    """

    PUBLIC = "public"
    OPTIONAL = "optional"
    LOGIN = "login"


Needs = Access | Permission
