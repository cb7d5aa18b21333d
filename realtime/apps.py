from django.apps import AppConfig

# Before any other app makes metrics.
from realtime import metrics  # noqa: F401


class RealtimeConfig(AppConfig):
    name = "realtime"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Real-time updates"

    def ready(self) -> None:
        from realtime import checks  # noqa: F401  registers them
