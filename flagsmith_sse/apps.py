from django.apps import AppConfig

from realtime.apps import workers_starting


class ProjectConfig(AppConfig):
    """The project itself, for its checks: it has no models."""

    name = "flagsmith_sse"
    verbose_name = "Flagsmith real-time updates"

    def ready(self) -> None:
        from flagsmith_sse import checks  # noqa: F401  registers them
        from flagsmith_sse.start_warnings import warn_at_start

        workers_starting.connect(warn_at_start)
