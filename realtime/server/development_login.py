"""A database and somebody to log in, for development."""

from pathlib import Path
from typing import Final

from django.core.management import call_command

from realtime.server.kept_secret import keep_secret, kept_secret

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
