"""What `serve --with-nats` provides for development, the same from start to start:
secrets, a NATS and its port, and somebody to log in."""

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.core.management import call_command

from realtime.server.embedded_nats import embedded_nats

SECRET_BYTES: Final = 20
"""160 random bits, more than anybody can guess."""

USER: Final = "admin"

ANY_FREE: Final = -1
"""For nats-server, which takes 0 for its usual port."""

LAST_PORT: Final = 65535


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


def kept_secret(file: Path) -> str:
    """The secret in `file`; empty if there is none."""
    return file.read_text().strip() if file.exists() else ""


@contextmanager
def kept_nats(folder: Path) -> Iterator[str]:
    """The URL of a nats-server that runs meanwhile, with its data in `folder`, and on
    the same port as last time where that is free: what another terminal has exported
    stays true."""
    file = folder / "port"
    with embedded_nats(folder, port=kept_port(file)) as nats:
        file.write_text(f"{nats.url.rpartition(':')[2]}\n")
        yield nats.url


def kept_port(file: Path) -> int:
    """The port in `file`, if it is free on the loopback; else `ANY_FREE`."""
    try:
        port = int(file.read_text())
        if 0 < port <= LAST_PORT:
            with socket.create_server(("127.0.0.1", port)):
                return port
    except (OSError, ValueError):
        pass  # not kept yet, or taken
    return ANY_FREE


def prepare_login(password_file: Path) -> str:
    """Create what the database lacks: its tables, and the superuser `admin`, whose
    random password is kept in `password_file`. Returns the user and the password.

    A user `admin` whose password is not the one in the file is left alone.
    """
    # Here, because without the admin there are no users.
    from django.contrib.auth import get_user_model

    call_command("migrate", verbosity=0, interactive=False)
    users = get_user_model()._default_manager
    user = users.filter(username=USER).first()
    password = kept_secret(password_file)
    if user is None:
        password = keep_secret(password_file)
        users.create_superuser(username=USER, password=password)
    elif not password or not user.check_password(password):
        return (
            f"{USER}, with the password that you gave it "
            f"(python manage.py changepassword {USER} sets another)"
        )
    return f"{USER}, password {password}"
