"""This process's part in keeping the stream: what its operator chose is applied once,
when the process starts, and followed from then on."""

from collections.abc import Callable
from typing import Final, Literal

import structlog
from nats.aio.client import Client

from realtime import metrics
from realtime.conf import RealtimeSettings
from realtime.exceptions import (
    NatsUnavailable,
    PermissionDenied,
    StreamIncompatible,
)
from realtime.jetstream.api import unix_seconds
from realtime.jetstream.stream import StreamState, ensure_stream, unseen_stream
from realtime.jetstream.stream_config import Setting, StreamSettings

logger = structlog.get_logger("sse")

NEW_SECONDS: Final = 5.0
"""A stream that was made so lately, and changed by this process, was made by it."""


Change = Literal["created", "replaced", "updated", "differs"]
"""The stream was created; or another one is in its place; or it was brought up to date
here; or somebody changed what this process would have otherwise."""


class StreamKeeper:
    """Keeps the stream, from one session to the next.

    Two processes with different settings, in a rolling change of one, say, would
    otherwise change the stream back and forth for ever, and delete with each change
    what is older than the shorter age.
    """

    def __init__(self, settings: RealtimeSettings) -> None:
        self._wanted = StreamSettings.of(settings)
        self._applied = False
        self._unseen = ""
        self._seen: StreamState | None = None
        self.on_change: Callable[[Change, tuple[Setting, ...]], None] = (
            lambda change, differences: None
        )
        """Called when the stream has changed, with what is not as it should be now."""
        self.differences: tuple[Setting, ...] = ()
        """What this process would have otherwise, as of the last look."""

    async def ensure(self, client: Client) -> StreamState:
        """The stream, in order; or, where we may not look at it, as we hope it is.
        Raises `StreamIncompatible` and `NatsUnavailable`."""
        try:
            state = await ensure_stream(client, self._wanted, apply=not self._applied)
        except PermissionDenied as error:
            if self._unseen != (unseen := str(error)):
                self._unseen = unseen
                logger.warning("stream.unseen", reason=unseen)
            return unseen_stream(self._wanted)
        except (NatsUnavailable, StreamIncompatible):
            metrics.nats_errors["create_jetstream"].inc()
            raise
        self._applied, self._unseen = True, ""
        before, self._seen = self._seen, state
        if change := _change_of(state, before):
            self.on_change(change, state.differences)
        if state.differences != self.differences:
            self.differences = state.differences
            if state.differences:
                logger.warning(
                    "stream.differs",
                    settings=[
                        f"{one.name} is {one.actual} instead of {one.expected}"
                        for one in state.differences
                    ],
                )
        return state


def _change_of(state: StreamState, before: StreamState | None) -> Change | None:
    """What has happened to the stream since it was as `before`, if anything."""
    if before is not None and state.created != before.created:
        return "replaced"
    if state.changed:
        age = state.now - unix_seconds(state.created)
        return "created" if age < NEW_SECONDS else "updated"
    if before is not None and state.differences != before.differences:
        return "differs"
    return None
