"""The settings of Flagsmith that matter here, under their names, and what somebody adds
who installs `realtime.flagsmith`."""

import os
from datetime import time, timedelta

from task_processor.task_run_method import TaskRunMethod

SECRET_KEY = "test"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("POSTGRES_SOCKETS", ""),
        "NAME": "postgres",
        "USER": "postgres",
    }
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "task_processor",
    "projects",
    "environments",
    "audit",
]

DOCGEN_MODE = False
TASK_PROCESSOR_MODE = "RUN_BY_PROCESSOR" in os.environ
TASK_RUN_METHOD = TaskRunMethod(os.environ.get("TASK_RUN_METHOD", "TASK_PROCESSOR"))
TASK_PROCESSOR_DATABASES = ["default"]
TASK_BACKOFF_DEFAULT_DELAY_SECONDS = 5
TASK_DELETE_RUN_EVERY = timedelta(days=1)
TASK_DELETE_RUN_TIME = time(1)
ENABLE_TASK_PROCESSOR_HEALTH_CHECK = False
ENABLE_CLEAN_UP_OLD_TASKS = False
SSE_SERVER_BASE_URL = os.environ.get("SSE_SERVER_BASE_URL")
SSE_AUTHENTICATION_TOKEN = os.environ.get("SSE_AUTHENTICATION_TOKEN")

if "WITHOUT_INTEGRATION" not in os.environ:
    INSTALLED_APPS += ["realtime.flagsmith"]
NATS_URL = os.environ.get("NATS_URL")
