"""The project's settings: `realtime`, a channel layer, and nothing of
`flagsmith_sse`."""

import os

SECRET_KEY = "test"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "realtime",
]
ROOT_URLCONF = "tests.host_project.urls"
ASGI_APPLICATION = "tests.host_project.asgi.application"
LISTEN_ADDR = os.environ.get("LISTEN_ADDR", ":8088")
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

NATS_URL = os.environ.get("NATS_URL", "")
# As Flagsmith's own: None where it is not set.
SSE_AUTHENTICATION_TOKEN = os.environ.get("SSE_AUTHENTICATION_TOKEN")
SSE_DRAIN_SECONDS = 1.0
