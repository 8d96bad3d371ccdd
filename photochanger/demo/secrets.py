"""The demo's passwords: made once at random, kept under `SECRETS_DIR`, readable by their owner only."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from photochanger.accounts.credentials import FILE, Account, write_accounts
from photochanger.domain.passwords import hash_password
from photochanger.domain.permission import Permission
from photochanger.media.files import write_private

ADMINISTRATORS = ("serg", "igor")
PASSWORDS_FILE = "demo_passwords.json"
CREDENTIALS_FILE = FILE
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
        return msgspec.json.decode(plain.read_bytes(), type=DemoSecrets)
    except (FileNotFoundError, msgspec.DecodeError):
        pass
    made = DemoSecrets(secrets.token_urlsafe(12), {name: secrets.token_urlsafe(12) for name in ADMINISTRATORS})
    everything = frozenset(Permission)
    accounts = [Account(name, hash_password(password), everything) for name, password in made.admins.items()]
    write_accounts(folder / CREDENTIALS_FILE, accounts)
    write_private(folder / INGEST_FILE, made.ingest_password.encode() + b"\n")
    write_private(plain, msgspec.json.format(msgspec.json.encode(made), indent=2))
    return made
