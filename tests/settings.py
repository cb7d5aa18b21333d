"""The service's settings with the admin, for what runs in the tests' own process."""

import os

os.environ.setdefault("SSE_ADMIN_ENABLED", "true")

from flagsmith_sse.settings import *  # noqa: F403  Django's way to extend settings

SSE_AUTHENTICATION_TOKEN = "test-secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
