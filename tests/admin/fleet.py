"""A fleet as an operator has it: two workers of one `serve` and one Daphne, with the
admin on one database."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from playwright.async_api import Page

from realtime.conf import RealtimeSettings
from tests.support.nats import NatsServer
from tests.support.service import ROOT, TOKEN, Service, running_service

PASSWORD = "correct-horse-battery"
USERS = {
    "operator": ("view_fleet", "operate_fleet"),
    "viewer": ("view_fleet",),
    "clerk": (),
}
"""Staff, by what they may do."""

_CREATE_USERS = f"""
from django.contrib.auth.models import Permission, User
for name, codenames in {USERS!r}.items():
    user = User.objects.create_user(name, password={PASSWORD!r}, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
User.objects.create_user("visitor", password={PASSWORD!r})
"""


def create_database(file: Path) -> Path:
    """A database with the admin's tables, `USERS`, and a `visitor` who is no staff."""
    for arguments in (["migrate", "--verbosity=0"], ["shell", "-c", _CREATE_USERS]):
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={
                "DJANGO_SETTINGS_MODULE": "flagsmith_sse.settings",
                "SSE_AUTHENTICATION_TOKEN": TOKEN,
                "SSE_ADMIN_ENABLED": "true",
                "DATABASE_URL": f"sqlite:///{file}",
            },
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
    return file


def admin_variables(database: Path) -> dict[str, str]:
    """The variables of a service with the admin; sessions are good on all of them."""
    return {
        "SSE_ADMIN_ENABLED": "true",
        "DATABASE_URL": f"sqlite:///{database}",
        "DJANGO_SECRET_KEY": "one-for-all-instances",
    }


@dataclass
class Fleet:
    nats: NatsServer
    workers: Service
    daphne: Service

    @property
    def services(self) -> tuple[Service, Service]:
        return self.workers, self.daphne

    @property
    def settings(self) -> RealtimeSettings:
        """To ask it from the tests' own process."""
        return RealtimeSettings(
            authentication_tokens=(TOKEN,), nats_servers=(self.nats.url,)
        )


PODS = {
    "workers": "flagsmith-realtime-7c9f8d6b54-x2lqv",
    "daphne": "flagsmith-realtime-daphne-5d8c4bb96f-9kz7t",
}


@contextmanager
def running_fleet(
    folder: Path, database: Path, settings: str = "tests.support.pod"
) -> Iterator[Fleet]:
    """Three instances that are ready, on hosts named as Kubernetes does. `settings` is
    Django's module."""
    with ExitStack() as stack:
        nats = NatsServer(folder / "nats")
        nats.start()
        stack.callback(nats.stop)
        workers, daphne = (
            stack.enter_context(
                running_service(
                    server,
                    nats.url,
                    folder,
                    DJANGO_SETTINGS_MODULE=settings,
                    POD=pod,
                    **admin_variables(database),
                )
            )
            for server, pod in PODS.items()
        )
        workers.await_logged("nats.connected", 2)
        daphne.await_ready()
        yield Fleet(nats, workers, daphne)


def admin_url(service: Service, path: str = "realtime/fleet/") -> str:
    return f"{service.url}/admin/{path}"


def admin_session(url: str, user: str, password: str) -> requests.Session:
    """Logged in to the service at `url`, without a browser."""
    session = requests.Session()
    login = f"{url}/admin/login/"
    session.get(login, timeout=5)
    form = {
        "username": user,
        "password": password,
        "csrfmiddlewaretoken": session.cookies["flagsmith_sse_csrftoken"],
    }
    answer = session.post(login, form, timeout=5, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return session


async def log_in(page: Page, service: Service, user: str = "operator") -> None:
    """Ask for the overview, log in, and so see it."""
    await page.goto(admin_url(service))
    await page.fill("#id_username", user)
    await page.fill("#id_password", PASSWORD)
    await page.click("input[type=submit]")
    await page.wait_for_selector(".verdict")
