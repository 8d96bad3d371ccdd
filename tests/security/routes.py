"""Every route of a running house, with paths made for it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from photochanger.web.contract import Contract, contract_of
from tests.lab.house import Lab


@dataclass(frozen=True, slots=True)
class RouteOf:
    """One method of one route."""

    method: str
    rule: str
    contract: Contract

    def path(self, value: str = "slot-001", *, encoded: bool = False) -> str:
        """The path with `value` for each of its parameters."""
        return re.sub(r"<[^>]*>", lambda _: value if encoded else quote(value, safe=""), self.rule)

    @property
    def has_parameters(self) -> bool:
        return "<" in self.rule

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


def routes(lab: Lab) -> Iterator[RouteOf]:
    """All of them, HEAD and OPTIONS left out; LookupError where one has no contract."""
    for rule in sorted(lab.house.app.url_map.iter_rules(), key=lambda rule: rule.rule):
        found = contract_of(lab.house.app.view_functions[rule.endpoint])
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield RouteOf(method, rule.rule, found)
