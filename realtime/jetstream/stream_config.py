"""How JetStream's stream is to be configured: what the service cannot work without, and
what its operator chooses."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from realtime.conf import RealtimeSettings
from realtime.jetstream.subjects import ALL_SUBJECTS

NANOSECONDS: Final = 10**9
DUPLICATE_WINDOW_SECONDS: Final = 120

_Text = Annotated[str, Meta(max_length=500)]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]

REQUIRED: Final[Mapping[str, Any]] = {
    "subjects": [ALL_SUBJECTS],
    "retention": "limits",
    "discard": "old",
    "max_msgs_per_subject": 1,
    "deny_delete": False,
    "deny_purge": False,
    "allow_rollup_hdrs": False,
    # These would change what arrives, or whether a publisher hears that it has.
    "no_ack": False,
    "sealed": False,
    "mirror": None,
    "sources": None,
    "subject_transform": None,
    "republish": None,
}
"""What is restored whenever it is found otherwise, by its name in JetStream's API."""

VARIABLES: Final[Mapping[str, str]] = {
    "storage": "NATS_STREAM_STORAGE",
    "num_replicas": "NATS_STREAM_REPLICAS",
    "max_age": "NATS_STREAM_MAX_AGE_SECONDS",
    "duplicate_window": "NATS_STREAM_MAX_AGE_SECONDS",
    "max_bytes": "NATS_STREAM_MAX_BYTES",
}
"""What an operator chooses, and the setting that decides it."""


class StreamSettings(Struct, frozen=True):
    """What a process wants of the stream, of all that its operator chooses; `max_age`
    is in seconds, and JetStream knows no more than that; `max_bytes` 0 is no limit."""

    storage: _Text
    replicas: _Count
    max_age: Annotated[float, Meta(ge=0, le=9e9)]
    max_bytes: _Count = 0

    @classmethod
    def of(cls, settings: RealtimeSettings) -> "StreamSettings":
        return cls(
            storage=settings.stream_storage,
            replicas=settings.stream_replicas,
            max_age=settings.stream_max_age,
            max_bytes=settings.stream_max_bytes,
        )

    def chosen(self) -> dict[str, Any]:
        """As JetStream's API writes it."""
        max_age = int(self.max_age * NANOSECONDS)
        return {
            "storage": self.storage,
            "num_replicas": self.replicas,
            "max_age": max_age,
            # JetStream refuses a window longer than the age.
            "duplicate_window": min(DUPLICATE_WINDOW_SECONDS * NANOSECONDS, max_age),
            "max_bytes": self.max_bytes or -1,
        }

    def expected(self) -> dict[str, Any]:
        """The whole configuration."""
        return {**REQUIRED, **self.chosen()}


class Setting(Struct, frozen=True):
    """A field of the stream's configuration, as JSON: what it should be, what it is."""

    name: _Text
    expected: _Text
    actual: _Text

    @property
    def differs(self) -> bool:
        return self.expected != self.actual


def compare(
    expected: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Setting, ...]:
    """Each field that is `expected`, beside what it is in a stream's `config`."""
    return tuple(
        Setting(name, _as_json(value), _as_json(_actual(name, value, config)))
        for name, value in expected.items()
    )


def differences(
    expected: Mapping[str, Any], config: Mapping[str, Any]
) -> tuple[Setting, ...]:
    """The fields of `config` that are not as `expected`."""
    return tuple(one for one in compare(expected, config) if one.differs)


def _actual(name: str, expected: Any, config: Mapping[str, Any]) -> Any:
    if name == "allow_rollup_hdrs" and config.get("subject_delete_marker_ttl"):
        # JetStream itself allows them where it is to leave marks of what it deletes.
        return expected
    # It leaves out some of what is not set.
    return config.get(name, None if expected is None else False)


def _as_json(value: Any) -> str:
    return json.dumps(value)[:500]
