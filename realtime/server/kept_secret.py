"""Secrets that are made up for development, and the same at the next start."""

import os
import secrets
from pathlib import Path
from typing import Final

SECRET_BYTES: Final = 20
"""160 random bits, more than anybody can guess."""


def kept_secret(file: Path) -> str:
    """The secret in `file`; empty if there is none."""
    return file.read_text().strip() if file.exists() else ""


def keep_secret(file: Path) -> str:
    """The secret in `file`, made up and written there, for its owner only, if there is
    none yet."""
    if secret := kept_secret(file):
        return secret
    secret = secrets.token_urlsafe(SECRET_BYTES)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as opened:
        opened.write(secret + "\n")
    return secret
