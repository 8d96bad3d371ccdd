"""How dear a password is to guess."""

import subprocess
import sys

from tests.lab.process import ROOT


def test_passwords_are_stored_at_the_full_cost() -> None:
    """In a process of its own: the houses of these tests take the lowest cost there is."""
    told = "from photochanger.domain.passwords import hash_password; print(hash_password('secret'))"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("$2b$12$")
