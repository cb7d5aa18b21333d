from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """The project itself, for its checks: it has no models."""

    name = "flagsmith_sse"
    verbose_name = "Flagsmith real-time updates"

    def ready(self) -> None:
        from flagsmith_sse import checks  # noqa: F401  registers them
