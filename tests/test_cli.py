"""The command line itself; what its commands do is tested with their parts."""

import subprocess
import sys
from pathlib import Path

from tests.lab.process import ROOT, environment


def test_a_command_brings_along_only_what_it_needs() -> None:
    """`photochanger health` runs every half minute beside a service at work."""
    heavy = ("alembic", "sqlalchemy", "quart", "hypercorn", "pyvips", "asyncpg", "photochanger.app")
    code = f"import sys, photochanger.cli; print([each for each in {heavy} if each in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


def test_an_unknown_provider_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "photochanger", "breaker", "gemni", "--open"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "photochanger: there is no provider 'gemni': there are gemini, turbotext, local\n"
