"""This process's part in keeping the stream: what its operator chose is applied once,
when the process starts, and what others do to it is followed from then on."""

from collections.abc import Callable
from typing import Final, Literal

import structlog
from nats.aio.client import Client

from realtime import metrics
from realtime.backoff import jittered
from realtime.conf import RealtimeSettings
from realtime.exceptions import (
    NatsUnavailable,
    PermissionDenied,
    StreamIncompatible,
)
from realtime.jetstream.api import unix_seconds
from realtime.jetstream.delivery_watch import DeliveryWatch
from realtime.jetstream.stream import StreamState, ensure_stream, unseen_stream
from realtime.jetstream.stream_config import Setting, StreamSettings

logger = structlog.get_logger("sse")

FOLLOW_SECONDS: Final = 3.0
"""How often the stream is looked at, give or take half: nobody tells of a change."""

AGAIN_SECONDS: Final = 1.5
"""Before a second look where the first found nothing. With two answers that do not come
(2 s each) that is 10 s at most, and in the mean as long as a cluster takes to elect a
leader."""

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

    async def follow(
        self,
        client: Client,
        watch: DeliveryWatch,
        on_state: Callable[[StreamState], None],
    ) -> None:
        """For ever, make the stream again if it was deleted, restore what was changed
        of what the service needs, call `on_state` with what it is, and have the `watch`
        look whether that is delivered.

        A stream that cannot be brought up to date is used as long as it works: what
        cannot be changed is refused at the next start.

        Raises `NatsUnavailable` if the stream cannot be looked at twice in a row: a
        server that was cut off from its cluster keeps its clients' connections and
        their consumers alive, and nothing comes from it. So it does if the `watch`
        finds that nothing is delivered.
        """
        missed = False
        refused = ""
        while True:
            seconds = AGAIN_SECONDS if missed else jittered(FOLLOW_SECONDS)
            await watch.pause(seconds, AGAIN_SECONDS)
            try:
                state = await self.ensure(client)
            except NatsUnavailable:
                if missed:
                    raise
                missed = True
                continue
            except StreamIncompatible as error:
                if refused != (refused := str(error)):
                    logger.warning("stream.incompatible", reason=refused)
                continue
            missed, refused = False, ""
            if state.changed:
                # It was in order when this session began.
                metrics.nats_errors["create_jetstream"].inc()
            if state.seen:
                on_state(state)
            await watch.look(state)


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
