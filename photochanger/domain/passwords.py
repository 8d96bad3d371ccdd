"""How passwords are stored: bcrypt over a digest."""

import hashlib

import bcrypt


def hash_password(password: str, *, rounds: int = 12) -> str:
    """The form in which a password is stored."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(rounds)).decode()


def check_password(password: str, stored: str) -> bool:
    """True when `stored` was made from `password`. Takes some 200 ms of a core: call it in a thread."""
    try:
        return bcrypt.checkpw(_digest(password), stored.encode())
    except ValueError:
        return False


def _digest(password: str) -> bytes:
    # bcrypt refuses more than 72 bytes; a digest in hex is 64, whatever the password's length.
    return hashlib.sha256(password.encode("utf-8", "surrogateescape")).hexdigest().encode()
