"""What the demo tells: on the screen for a person, in `demo.json` for programs."""

import json
import os
from pathlib import Path

from photochanger.config import Config
from photochanger.demo.address import is_loopback
from photochanger.demo.dslr import Shot
from photochanger.demo.secrets import CREDENTIALS_FILE, INGEST_FILE, PASSWORDS_FILE, DemoSecrets
from photochanger.media.files import write_private


def write_description(
    path: Path, base_url: str, database_url: str | None, secrets: DemoSecrets, simulators: dict[str, str]
) -> None:
    """Describe the running instance. The file holds passwords, so only its owner can read it."""
    username, password = next(iter(secrets.admins.items()))
    description = {
        "base_url": base_url,
        "pid": os.getpid(),
        "database_url": database_url,
        "ingest_password": secrets.ingest_password,
        "admin": {"username": username, "password": password},
        "simulators": simulators,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, json.dumps(description, indent=2).encode())


def greeting(shot: Shot, base_url: str, public: str, config: Config, description: Path, *, simulated: bool) -> str:
    """What became of the photo, and where everything is."""
    lines = [""]
    if shot.verdict == "modified":
        kind = "SIMULATED picture (no provider was called, nothing was paid)" if simulated else "picture"
        lines += [f"  {kind} in {shot.elapsed:.2f} s, status {shot.status}", f"  saved      {shot.path}"]
        lines += [f"  link       {base_url}/public/results/{shot.header('x-job-id')}"]
    else:
        reason = (shot.problem or {}).get("failure_reason", "")
        lines += [f"  no picture: {shot.why} {reason}".rstrip()]
        lines += [f"  status {shot.status or 'none'}, {shot.elapsed:.2f} s"]
    lines += [
        "",
        f"  booth      {public}/api/ingest/slot-001 … slot-015",
        f"  password   in {config.secrets_dir / INGEST_FILE}",
        f"  accounts   serg, igor: passwords in {PASSWORDS_FILE} beside it, hashes in {CREDENTIALS_FILE}",
        f"  instance   {description}",
    ]
    if is_loopback(config.host):
        lines += ["", "  Only this machine reaches it now. For a booth on your network: HOST=0.0.0.0 make run"]
    return "\n".join(lines)


def farewell(*, once: bool) -> str:
    """What happens next."""
    return "" if once else "\n  Serving. Ctrl-C ends it; photos in progress are finished first.\n"
