"""A slot's plans looked at per photo: what is set up wrongly is never tried, and said once."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Plan, Slot
from photochanger.jobs import ways
from photochanger.jobs.ways import ways_of
from photochanger.providers.group import ProviderGroup
from tests.jobs.workbench import SaidDriver, giving

SLOT = Slot("slot-001", 1, "said", "edit", fallbacks=(Plan("nobody", "edit"),))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing was said yet."""
    ways._tell.cache_clear()
    yield
    ways._tell.cache_clear()


async def test_what_is_set_up_wrongly_is_said_once_per_slot_and_version(caplog: pytest.LogCaptureFixture) -> None:
    driver = SaidDriver(giving(AttemptOutcome(Verdict.OVERLOADED)))
    driver.missing = "SAID_API_KEY is not set"
    groups = {"said": ProviderGroup(driver, live=1, late=1)}
    for _ in range(3):
        first, second = ways_of(SLOT, groups, has_public_address=False)
        assert (first.impossible, second.impossible) == (Reason.PROVIDER_ERROR, Reason.PROVIDER_UNAVAILABLE)
    lines = [
        "slot slot-001 cannot use said as it is set up: SAID_API_KEY is not set",
        "slot slot-001 names a provider that is not there: 'nobody'",
    ]
    assert caplog.messages == lines
    for changed in (replace(SLOT, version=2), replace(SLOT, id="slot-002")):
        ways_of(changed, groups, has_public_address=False)
    assert len(caplog.messages) == 6
    driver.missing = "SAID_REGION is not set"
    ways_of(SLOT, groups, has_public_address=False)
    assert caplog.messages[6:] == ["slot slot-001 cannot use said as it is set up: SAID_REGION is not set"]
