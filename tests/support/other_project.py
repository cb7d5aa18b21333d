"""A Django project that is not this one, with the app installed for its page in the
admin: `python -m tests.support.other_project NATS_URL` tells what the page shows."""

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.management import call_command
from django.test import Client
from django.urls import path

urlpatterns: list[Any] = []


def main(nats_url: str) -> None:
    settings.configure(
        SECRET_KEY="the other project's",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="tests.support.other_project",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        STATIC_URL="static/",
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "realtime",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        SSE_AUTHENTICATION_TOKEN="the-same-secret",
        NATS_URL=[nats_url],
    )
    django.setup()
    urlpatterns.append(path("admin/", admin.site.urls))
    sys.modules["tests.support.other_project"] = sys.modules["__main__"]
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    page = client.get("/admin/realtime/fleet/")
    report = client.get("/admin/realtime/fleet/report.json").json()
    json.dump(
        {
            "verdict": report["verdict"]["level"],
            "instances": page.content.count(b'data-instance="'),
            "flagsmith_sse": [m for m in sys.modules if m.startswith("flagsmith_sse")],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(sys.argv[1])
