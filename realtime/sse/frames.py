"""The bytes of an event stream: updates, keep-alives, and the time after which a client
reconnects."""

from dataclasses import dataclass
from typing import Final

from realtime.updates import Update


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes for a subscriber, encoded once for all of them.

    `body` is the event as in the response's body; `chunk` is the same as one chunk of
    HTTP/1.1's chunked transfer encoding.
    """

    body: bytes
    chunk: bytes

    @classmethod
    def of(cls, body: bytes) -> "Frame":
        return cls(body, b"%x\r\n%s\r\n" % (len(body), body))

    def __add__(self, other: "Frame") -> "Frame":
        """Both in one write."""
        return Frame.of(self.body + other.body)


KEEPALIVE: Final = Frame.of(b": keep-alive\n\n")


def update_frame(update: Update) -> Frame:
    """The server-sent event, in a form that every SDK reads (docs/sdks.md)."""
    return Frame.of(b"event: environment_updated\ndata: %s\n\n" % update.payload())


def retry_frame(milliseconds: int) -> Frame:
    """The frame that tells a client how long to wait before it reconnects."""
    return Frame.of(b"retry: %d\n\n" % milliseconds)
