"""This process's part in keeping the stream: what its operator chose is applied once,
when the process starts, and followed from then on."""

import structlog
from nats.aio.client import Client

from realtime.conf import RealtimeSettings
from realtime.exceptions import PermissionDenied
from realtime.jetstream.stream_config import Setting, StreamSettings
from realtime.stream import StreamState, ensure_stream, unseen_stream

logger = structlog.get_logger("sse")


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
        self._applied, self._unseen = True, ""
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
