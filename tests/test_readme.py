"""Every command of the READMEs works, as it stands there."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.process import ROOT, environment, free_port

READMES = ("README.md", "README.ru.md")
WHOLE_SUITES = {"make test", "make check", "make bench"}
"""Not run from inside the tests: that make knows them is checked, and CI runs them."""


def commands(readme: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """`make run`, serving; ended by Ctrl-C as a user would."""
    var = tmp_path_factory.mktemp("demo") / "var"
    env = environment(var, PORT=free_port())
    with subprocess.Popen(
        ["make", "run"], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        output = ""
        for line in process.stdout:
            output += line
            if "Ctrl-C" in line:
                break
        description = json.loads((var / "demo.json").read_text())
        assert set(description) == {"base_url", "pid", "database_url", "ingest_password", "admin", "simulators"}
        assert description["simulators"]["gemini"].startswith("http://127.0.0.1:")
        assert (var / "demo.json").stat().st_mode & 0o077 == 0
        yield var, {"output": output, **description}
        subprocess.run(["kill", "-INT", str(description["pid"])], check=True)
        assert process.wait(60) == 0
    assert not (var / "demo.json").exists()


@pytest.fixture(scope="module")
def simulators(demo: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """The environment with which the demo's service was started, as far as its providers go."""
    description = json.loads((demo[0] / "demo.json").read_text())
    return {f"{name.upper()}_BASE_URL": url for name, url in description["simulators"].items()}


def test_make_run_tells_what_a_newcomer_needs(demo: tuple[Path, dict[str, str]]) -> None:
    var, told = demo
    for text in (
        "SIMULATED",
        "status 200",
        str(var / "demo" / "result.jpg"),
        "/public/results/",
        "/api/ingest/slot-001",
    ):
        assert text in told["output"]
    assert "HOST=0.0.0.0" in told["output"]  # the warning while only this machine reaches it
    assert told["ingest_password"] not in told["output"]
    credentials = json.loads((var / "secrets" / "runtime_credentials.json").read_text())
    assert [account["username"] for account in credentials["accounts"]] == ["igor", "serg"]


def test_every_command_works(demo: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """Once: those of the other language are the same."""
    var, told = demo
    tried = commands(READMES[0])
    assert len(tried) >= 5
    for command in tried:
        if command in WHOLE_SUITES:
            subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        elif command == "make run":
            assert told["output"]  # that is the demo of these tests
        elif command == "make run ARGS=--once":
            env = environment(tmp_path / "var", PORT=free_port())
            done = subprocess.run(shlex.split(command), cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            assert (tmp_path / "var" / "demo" / "result.jpg").stat().st_size > 10_000
            assert told["base_url"] not in done.stdout  # one beside the other
        else:
            # As it stands there, but for where this demo listens and keeps its files.
            command = command.replace("http://127.0.0.1:8080", told["base_url"]).replace(" var/", f" {var}/")
            env = environment(var)
            done = subprocess.run(shlex.split(command), cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, command + done.stdout + done.stderr
            assert (var / "mine.jpg").stat().st_size > 10_000


@pytest.mark.parametrize("readme", READMES)
def test_the_slot_that_is_shown_can_be_set(
    readme: str, demo: tuple[Path, dict[str, str]], tmp_path: Path, simulators: dict[str, str]
) -> None:
    var, told = demo
    [document] = re.findall(
        r"^```json\n(.*?)^```", (ROOT / readme).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    change = tmp_path / "change.json"
    change.write_text(document, encoding="utf-8")
    env = environment(var, PUBLIC_BASE_URL=told["base_url"], **simulators)
    command = [str(ROOT / ".venv/bin/photochanger"), "slot", "slot-002", "--set", str(change)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "slot-002 is at version" in done.stdout


def test_the_readmes_say_the_same() -> None:
    english, russian = ((ROOT / name).read_text(encoding="utf-8") for name in READMES)
    assert commands(READMES[0]) == commands(READMES[1])
    for pattern in (r"`([A-Z][A-Z_]{3,})`", r"`([a-z_]+_[a-z_]+)`", r"\n\| (\d{3})"):
        assert sorted(re.findall(pattern, english)) == sorted(re.findall(pattern, russian))


def test_every_setting_is_in_the_readme() -> None:
    code = (ROOT / "photochanger" / "config.py").read_text()
    settings = set(re.findall(r'"([A-Z][A-Z_]{3,})"', code)) - {"DEBUG", "INFO", "WARNING", "ERROR"}
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in settings if f"`{name}`" not in told} == set()
