"""`serve --with-nats` with the admin, which is `make run`: somebody can log in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.admin.fleet import admin_session
from tests.integration.test_commands import ctrl_c, manage, running
from tests.support.waiting import eventually


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "SSE_ADMIN_ENABLED": "true",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
    }


@contextmanager
def started(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """What it prints, while it runs."""
    log, store = folder / "log", folder / "store"
    with running(
        *("serve", "--with-nats", f"--nats-store={store}"),
        environment=environment,
        output=log,
    ) as process:
        eventually(lambda: "nats.connected" in log.read_text(), what="the start")
        yield log.read_text()
        assert ctrl_c(process) == 0
        assert "Traceback" not in log.read_text()


def printed_login(output: str) -> tuple[str, str, str]:
    """The address, the user and the password."""
    [port] = re.findall(r"http://localhost:(\d+)/admin/\n", output)
    [(user, password)] = re.findall(r"^Log in as (\w+), password (\S+)$", output, re.M)
    return f"http://127.0.0.1:{port}", user, password


def page_after_login(url: str, user: str, password: str) -> str:
    session = admin_session(url, user, password)
    return session.get(f"{url}/admin/realtime/fleet/", timeout=5).text


def test_start__new_and_again__the_printed_login_works(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # When
    with started(tmp_path, environment) as output:
        first = printed_login(output)
        page = page_after_login(*first)

    # Then
    assert "All well" in page
    password_file = tmp_path / "store" / "admin-password"
    assert password_file.stat().st_mode & 0o777 == 0o600

    # When
    with started(tmp_path, environment) as output:
        again = printed_login(output)
        page = page_after_login(*again)

    # Then
    assert again[1:] == first[1:]
    assert "All well" in page


def test_start__user_there_with_another_password__left_alone(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # Given
    with started(tmp_path, environment) as output:
        _, user, printed = printed_login(output)
    secret = {"SSE_AUTHENTICATION_TOKEN": "x"}
    script = (
        "from django.contrib.auth.models import User; "
        f"user = User.objects.get(username={user!r}); "
        "user.set_password('another'); user.save()"
    )
    assert (
        manage("shell", "-c", script, environment=environment | secret).returncode == 0
    )

    # When
    with started(tmp_path, environment) as output:
        # Then
        assert printed not in output
        assert "Log in as admin, with the password that you gave it" in output
        assert "changepassword admin" in output


def test_start__admin_disabled__no_database_and_no_login(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    # When
    with started(tmp_path, {**environment, "SSE_ADMIN_ENABLED": "false"}) as output:
        # Then
        assert "Log in as" not in output
    assert not (tmp_path / "db.sqlite3").exists()
