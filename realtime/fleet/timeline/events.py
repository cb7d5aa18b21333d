"""What happened, as values: each event says when it began and ended, who saw it, and
what is known of it. They travel over NATS, so every field is bounded."""

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from msgspec import Meta, Struct, json

from realtime.fleet.messages import Sighting
from realtime.fleet.wire_types import NOT_READABLE, Count, InstanceName, Moment

MOST_WORDS: Final = 200
Words = Annotated[str, Meta(max_length=MOST_WORDS)]
Mark = Annotated[int, Meta(ge=0, lt=2**32)]

MAX_MARKS: Final = 100
Marks = Annotated[tuple[Mark, ...], Meta(max_length=MAX_MARKS)]
"""Environments, each as 32 bits of a hash of its key: enough to count those that
several instances saw once, and nothing that gives a key away."""

MOST_BYTES: Final = 4096
"""Of one event. An outage with all its marks takes some 2.5 kB."""


class Happened(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What began `at` a time and lasted `until` another; None: it goes on, or is a
    moment. `seen_by` is the instance that tells of it."""

    seen_by: InstanceName
    at: Moment
    until: Moment | None = None

    about_fields: ClassVar[tuple[str, ...]] = ()

    @property
    def about(self) -> tuple[object, ...]:
        """Events of a kind that are about the same, at about the same time, are one."""
        return tuple(getattr(self, name) for name in self.about_fields)

    @property
    def end(self) -> float:
        return self.at if self.until is None else max(self.at, self.until)


class NatsAway(Happened, frozen=True, kw_only=True, tag="nats_away"):
    """NATS was out of reach, or, if not `disconnected`, took no updates.

    So many publishes were `refused` (503) and `kept` (202), of so many `environments`,
    some of which still are `waiting` to be stored, or were `lost`; those marks are of
    the first hundred. `rejected` event streams could not be opened meanwhile.
    """

    disconnected: bool = True
    refused: Count = 0
    kept: Count = 0
    environments: Count = 0
    waiting: Count = 0
    lost: Count = 0
    rejected: Count = 0
    marks: Marks = ()
    waiting_marks: Marks = ()


class AboutInstance(Happened, frozen=True, kw_only=True):
    """Of the process `pid` on `host`, number `worker` of its supervisor, if any."""

    instance: InstanceName
    host: Words
    pid: Count
    worker: Count | None = None

    @classmethod
    def of(cls, sighting: Sighting, **fields: Any) -> Self:
        """About the instance that was seen; `fields` are the others."""
        return cls(
            instance=sighting.instance,
            host=sighting.host[:MOST_WORDS],
            pid=sighting.pid,
            worker=sighting.worker,
            **fields,
        )

    about_fields: ClassVar[tuple[str, ...]] = ("host",)


class Came(AboutInstance, frozen=True, kw_only=True, tag="came"):
    """An instance that was not there before."""


class Left(AboutInstance, frozen=True, kw_only=True, tag="left"):
    """An instance stopped properly: from the beginning of its drain, with so many
    `streams`, until its last word. `by` is the user who told it to. `opened` is how
    many streams were opened meanwhile, and shortly after, where this was seen."""

    by: Words = ""
    streams: Count = 0
    opened: Count = 0

    about_fields = ("host", "by")


class Replaced(AboutInstance, frozen=True, kw_only=True, tag="replaced"):
    """A worker left properly after its supervisor had started another."""


class Died(AboutInstance, frozen=True, kw_only=True, tag="died"):
    """An instance was not heard of any more, without a last word; `until` it, or its
    successor, was back."""

    about_fields = ("instance",)


class Gone(AboutInstance, frozen=True, kw_only=True, tag="gone"):
    """An instance was not heard of any more after NATS had been away, `until` it was:
    whether it stopped properly meanwhile cannot be known."""

    about_fields = ("instance",)


class WorkerDied(Happened, frozen=True, kw_only=True, tag="worker_died"):
    """A worker died, for `reason`, if its supervisor told it, and its supervisor
    replaces it."""

    host: Words
    worker: Count
    pid: Count
    reason: Words = ""

    about_fields = ("host", "worker", "pid")


class Dismissed(Happened, frozen=True, kw_only=True, tag="dismissed"):
    """The user `by` does not expect the instance called `name` back."""

    instance: InstanceName
    name: Words
    by: Words = ""

    about_fields = ("instance",)


class TestUpdate(Happened, frozen=True, kw_only=True, tag="test_update"):
    """A test update of an environment (shortened key) by a user, and its outcome."""

    __test__ = False  # pytest takes it for tests

    environment: Words
    by: Words = ""
    outcome: Annotated[str, Meta(max_length=500)] = ""

    about_fields = ("environment", "by", "at")


Change = Literal["created", "replaced", "updated", "differs"]


class StreamChanged(Happened, frozen=True, kw_only=True, tag="stream_changed"):
    """JetStream's stream was created; or was replaced by another one; or its
    configuration was brought up to date by us, or changed by somebody else: then
    `settings` are those that are not as they should be."""

    change: Change
    settings: Annotated[tuple[Words, ...], Meta(max_length=20)] = ()

    about_fields = ("change", "settings")


class Rejections(Happened, frozen=True, kw_only=True, tag="rejections"):
    """Many event streams were rejected, so many in all, because of `reason`."""

    reason: Literal["full", "failed", "nats", "draining"]
    rejected: Count

    about_fields = ("reason",)


Event = (
    NatsAway
    | Came
    | Left
    | Replaced
    | Died
    | Gone
    | WorkerDied
    | Dismissed
    | TestUpdate
    | StreamChanged
    | Rejections
)

_decoder: Final[Any] = json.Decoder(Event)


def decode_event(payload: bytes) -> Event | None:
    """The event in `payload`; None if it is none that this version knows."""
    if len(payload) > MOST_BYTES:
        return None
    try:
        event: Event = _decoder.decode(payload)
    except NOT_READABLE:
        return None
    return event
