"""The demo's passwords: made once at random, kept under `SECRETS_DIR`, readable by their owner only."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from photochanger.domain.passwords import hash_password

ADMINISTRATORS = ("serg", "igor")
PERMISSIONS = ("settings:read", "settings:write", "slots:write", "stats:read")
PASSWORDS_FILE = "demo_passwords.json"
CREDENTIALS_FILE = "runtime_credentials.json"
INGEST_FILE = "ingest_password"


@dataclass(frozen=True, slots=True)
class DemoSecrets:
    """`admins` maps user name to password; `ingest_password` is what every slot asks for."""

    ingest_password: str
    admins: dict[str, str]


def load_or_make(folder: Path) -> DemoSecrets:
    """The passwords of an earlier run, or new ones. Blocking: bcrypt takes a moment per account.

    `runtime_credentials.json` gets the administrators with hashed passwords, as the service reads them; the
    plain ones stand beside it, for whoever tries the demo.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain = folder / PASSWORDS_FILE
    try:
        return DemoSecrets(**json.loads(plain.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        pass
    made = DemoSecrets(secrets.token_urlsafe(12), {name: secrets.token_urlsafe(12) for name in ADMINISTRATORS})
    accounts = [
        {"username": name, "password_hash": hash_password(password), "permissions": PERMISSIONS}
        for name, password in made.admins.items()
    ]
    write_private(folder / CREDENTIALS_FILE, json.dumps({"accounts": accounts}, indent=2))
    write_private(folder / INGEST_FILE, made.ingest_password + "\n")
    write_private(plain, json.dumps(asdict(made), indent=2))
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
