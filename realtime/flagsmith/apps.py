from django.apps import AppConfig

from realtime.flagsmith.takeover import CannotTakeOver, take_over


class FlagsmithConfig(AppConfig):
    name = "realtime.flagsmith"
    label = "realtime_flagsmith"
    verbose_name = "Real-time updates straight to NATS"
    fault: str | None = None
    """Why Flagsmith's own sender is still in its place; None if it is not."""

    def ready(self) -> None:
        from realtime.flagsmith import checks  # noqa: F401  registers them

        try:
            take_over()
        except CannotTakeOver as error:
            self.fault = str(error)
