"""The running service keeps its contract, whatever it is sent: by an administrator, by a reader, by a stranger.

schemathesis makes the requests from the contract, right ones and wrong ones, and looks at every answer. The house is
one of its own on real PostgreSQL with imitated providers, so that everything may be changed and deleted.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.config._checks import MISSING_REQUIRED_HEADER_EXPECTED_STATUSES as MISSING
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES as NEGATIVE
from schemathesis.config._checks import POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES as POSITIVE
from schemathesis.engine import Status, events, from_schema

from photochanger.web.docs.routes import NAMES
from tests.contracts.files import whole_contract
from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import ADMIN, PASSWORD, READER, Lab
from tests.lab.pictures import photo
from tests.postgres import PostgresServer

SEED = 20_261_128
SLOTS = [f"slot-{number:03}" for number in range(1, 16)]
EXAMPLES = {ADMIN: 4, READER: 1, None: 1}
"""Generated requests per route, beyond those that go through the limits of every field."""
RUNS: list[tuple[str | None, tuple[str, ...]]] = [
    (ADMIN, ("examples", "coverage")),
    (ADMIN, ("fuzzing", "stateful")),
    (READER, ("fuzzing",)),
    (None, ("fuzzing",)),
]
"""Who asks, in which of the phases. Whoever is let in nowhere needs no long list of wrong fields."""


SLOT = {"provider": "gemini", "operation": "edit", "settings": {"prompt": "Paint"}, "auth": "open"}
FINE = [*POSITIVE, 410, 412, 415, 422]
FORMS = ("/api/ingest/{slot_id}", "/api/slots/{slot_id}/test-run", "/api/templates")
ALIKE = (
    "POST /api/slots/bulk", "PUT /api/slots/{slot_id}", "POST /api/slot-presets", "PUT /api/slot-presets/{preset_id}"
)  # fmt: skip
CHECKS = {
    # An If-Match that was never ours is refused as one that is not the present version (412); the head of a request may
    # be too large (431).
    "negative_data_rejection": {"expected-statuses": [*NEGATIVE, 412, 413, 431]},
    "missing_required_header": {"expected-statuses": [*MISSING, 428]},
    # What no schema can say is told by field (422): a cursor that was never given, days that are no span, a slot that
    # could not work. Versions move on (412), pictures expire (410), and a photo may be none (415).
    "positive_data_acceptance": {"expected-statuses": FINE},
}
"""Where a check expects less than our contract tells, with the reason. Everything else is as it comes."""

# A body that is a file: a photo mostly, sometimes none.
FILES = {
    "image/jpeg": st.sampled_from([photo(64, 48), photo(320, 240), b"no photo"]),
}
for media_type, strategy in FILES.items():
    schemathesis.openapi.media_type(media_type, strategy)


@pytest.fixture(scope="module")
def house(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    """A house that knows a job with a picture, and takes requests as fast as they come."""
    folder = tmp_path_factory.mktemp("house")
    with shared_house(postgres_server, folder, rate_per_second=10_000, rate_burst=10_000) as house:
        house.run(_used)
        yield house


async def _used(lab: Lab) -> None:
    for slot in SLOTS[:3]:
        assert (await lab.shoot(photo(320, 240), slot=slot)).status == 200
    await lab.rest()
    await lab.set_slot(SLOTS[0], auth="open")  # or most photos would be refused for their password


async def _jobs(lab: Lab) -> list[str]:
    return [str(row["id"]) for row in await lab.house.db.fetch("SELECT id FROM job ORDER BY created_at LIMIT 20")]


def config(base_url: str, jobs: list[str], examples: int) -> SchemathesisConfig:
    """All checks, in every phase; where one asks for more than our contract promises, it is said here."""
    known = {
        "slots": SLOTS,
        "jobs": jobs,
        "files": list(NAMES),
        "passwords": [PASSWORD],
        "versions": ["*", '"1"', '"2"'],
    }
    uses = {
        "path.slot_id": ("slots", 0.8),
        "path.job_id": ("jobs", 0.7),
        "path.name": ("files", 0.5),
        "body.password": ("passwords", 0.8),
        "header.If-Match": ("versions", 0.8),
    }
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "base-url": base_url,
            "generation": {"deterministic": True, "max-examples": examples, "database": "none", "no-shrink": True},
            "continue-on-failure": True,
            "request-timeout": 20,
            "dictionaries": {name: {"values": values} for name, values in known.items()},
            "parameters": {name: {"dictionary": which, "probability": share} for name, (which, share) in uses.items()},
            "cache": {"enabled": False},
            "checks": CHECKS,
            "operations": [
                # The path is one that `/api/slots/{slot_id}` matches as well: Allow tells the methods of both.
                {"include-path": "/api/slots/bulk", "checks": {"allow_header_conformance": {"enabled": False}}},
                # A part's name may be any text in the schema; with a control character in it no form is right.
                *(
                    {"include-path": path, "checks": {"positive_data_acceptance": {"expected-statuses": [*FINE, 400]}}}
                    for path in FORMS
                ),
                # The documents of slots: every limit of their fields is tried where they are made.
                *({"include-name": name, "phases": {"coverage": {"enabled": False}}} for name in ALIKE),
            ],
        }
    )


def with_examples(contract: dict[str, Any], jobs: list[str]) -> dict[str, Any]:
    """The contract, its paths with ids of what is there: otherwise most requests would end at 404."""
    known = {"slot_id": SLOTS[:2], "job_id": jobs[:2], "name": list(NAMES[:2])}
    for item in contract["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = parameter["schema"] | {"examples": known[parameter["name"]]}
                if parameter["name"] == "If-Match":
                    parameter["schema"] = {"enum": ["*"]}  # or nearly every change would end at 412
    form = contract["paths"]["/api/ingest/{slot_id}"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    contract["components"]["schemas"]["SlotCreateIn"]["examples"] = [SLOT]
    form["properties"]["password"] |= {"examples": [PASSWORD]}
    return contract


def sentence(failure: Any, label: str) -> str:
    lines = [line for line in str(failure).strip().splitlines() if line.strip()]
    return f"{label}: {type(failure).__name__}: " + " | ".join(lines[:6])


def look(
    house: SharedHouse, username: str | None, phases: tuple[str, ...]
) -> tuple[list[str], Counter[tuple[str, int]]]:
    """What is wrong with the answers that `username` gets, and how often each operation answered what."""
    lab, jobs = house.run(_lab), house.run(_jobs)
    contract = with_examples(whole_contract(), jobs)
    schema = schemathesis.openapi.from_dict(contract, config=config(lab.base_url, jobs, EXAMPLES[username]))
    for name in ("examples", "coverage", "fuzzing", "stateful"):
        schema.config.phases.get_by_name(name=name).enabled = name in phases
    if username is not None:

        @schema.auth(refresh_interval=None)
        class Bearer:
            """A new token each time: a logout gives back the one that it came with."""

            def get(self, case: Any, context: Any) -> str:
                assert username is not None
                return lab.bearer(username)["Authorization"]

            def set(self, case: Any, data: str, context: Any) -> None:
                case.headers = {**(case.headers or {}), "Authorization": data}

    wrong: list[str] = []
    seen: Counter[tuple[str, int]] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            wrong.append(str(event))
        elif isinstance(event, events.ScenarioFinished):
            for case_id, interaction in event.recorder.interactions.items():
                if interaction.response is not None:
                    operation = event.recorder.cases[case_id].value.operation
                    if interaction.request.method == operation.method.upper():
                        seen[operation.label, interaction.response.status_code] += 1
            for case_id, checks in event.recorder.checks.items():
                for check in checks:
                    if check.status == Status.FAILURE:
                        assert check.failure_info is not None
                        status = event.recorder.interactions[case_id].response
                        told = f"{event.label} → {status.status_code if status else 'nothing'}"
                        wrong.append(sentence(check.failure_info.failure, told))
                        wrong.append("   " + check.failure_info.code_sample)
    return wrong, seen


async def _lab(lab: Lab) -> Lab:
    return lab


@pytest.mark.parametrize(("username", "phases"), RUNS, ids=["serg-limits", "serg-more", "igor", "stranger"])
def test_the_service_keeps_its_contract(house: SharedHouse, username: str | None, phases: tuple[str, ...]) -> None:
    wrong, seen = look(house, username, phases)
    house.run(lambda lab: lab.rest())
    assert wrong == [], "\n".join(dict.fromkeys(wrong))
    everything = {f"{method.upper()} {path}" for path, item in whole_contract()["paths"].items() for method in item}
    assert {label for label, _ in seen} | set(ALIKE) == everything
    done = {label for label, status in seen if status < 300}
    if username == ADMIN:
        assert len(done) > len(everything) * 0.6, f"hardly anything was done: {sorted(everything - done)}"
    else:
        assert done < everything, "everything was done for everybody"
