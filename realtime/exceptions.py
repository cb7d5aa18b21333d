"""What can go wrong, in the domain's terms; `realtime.http.view` translates to HTTP."""


class RealtimeError(Exception):
    """The root of this app's own exceptions."""


class InvalidUpdate(RealtimeError):
    """A published body that is no update.

    `errors` maps the field at fault (`detail`: the body as a whole) to a reason, in the
    shape Django REST framework answers with.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.errors: dict[str, object] = {
            field: reason if field == "detail" else [reason]
        }


class NatsUnavailable(RealtimeError):
    """NATS cannot be used now: not reached, or the connection was lost."""


class PermissionDenied(NatsUnavailable):
    """NATS does not permit us to publish or subscribe where we have to."""


class StreamIncompatible(RealtimeError):
    """The JetStream stream that exists cannot be used nor brought up to date."""


class PublishFailed(RealtimeError):
    """JetStream did not confirm that it stored an update; it may have all the same."""


class MetricsUnavailable(RealtimeError):
    """The metrics of all workers cannot be had: their supervisor does not answer."""


class Overtaken(PublishFailed):
    """Another update of the environment was stored first."""
