"""A database and somebody to log in, for development."""

import os
import secrets
from pathlib import Path
from typing import Final

from django.core.management import call_command

USER: Final = "admin"


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
    if user is None:
        password = _kept(password_file) or _keep(password_file)
        users.create_superuser(username=USER, password=password)
    elif not (password := _kept(password_file)) or not user.check_password(password):
        return (
            f"{USER}, with the password that you gave it "
            f"(python manage.py changepassword {USER} sets another)"
        )
    return f"{USER}, password {password}"


def _kept(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def _keep(file: Path) -> str:
    password = secrets.token_urlsafe(15)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as opened:
        opened.write(password + "\n")
    return password
