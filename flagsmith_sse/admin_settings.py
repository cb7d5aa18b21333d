"""Django's settings for the admin, which `SSE_ADMIN_ENABLED` switches on. The streaming
endpoints pass none of this."""

from typing import Any

ADMIN_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
ADMIN_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "flagsmith_sse.middleware.StaticFilesMiddleware",
    "flagsmith_sse.admin_database.AdminDatabaseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES: list[dict[str, Any]] = [
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
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Cookies know no ports: Flagsmith's own admin may be on the same host.
SESSION_COOKIE_NAME = "flagsmith_sse_sessionid"
CSRF_COOKIE_NAME = "flagsmith_sse_csrftoken"
CSRF_COOKIE_HTTPONLY = True  # the playground's script finds the token in its form
SESSION_COOKIE_AGE = 12 * 3600

STATIC_URL = "static/"
# From where the apps have them: there is nothing to collect.
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False
