"""A stream's HTTP/1.1 response, from its bytes. The way for all that is not the frame
everybody gets: it is right, not fast."""

from realtime.http.update_lines import UpdateLines

NO_HTTP = 599
"""The status of whatever is no HTTP: it is rejected like an error."""


class StreamDecoder:
    """Decodes one response, in whatever pieces it comes.

    `status` is 0 until the head has come; `ended` is set by the final chunk.
    """

    __slots__ = ("_chunked", "_lines", "_raw", "ended", "status")

    def __init__(self) -> None:
        self.status = 0
        self.ended = False
        self._chunked = False
        self._raw = b""
        self._lines = UpdateLines()

    @property
    def is_between_events(self) -> bool:
        """Whether nothing of an event is kept for the next piece."""
        return self.status != 0 and not (self._raw or self._lines.rest)

    def feed(self, data: bytes) -> list[float]:
        """The `updated_at` of every update that `data` completes."""
        self._raw += data
        if self.status == 0 and not self._take_head():
            return []
        if self._chunked:
            return self._lines.feed(self._dechunk())
        body, self._raw = self._raw, b""
        return self._lines.feed(body)

    def _take_head(self) -> bool:
        head, end, rest = self._raw.partition(b"\r\n\r\n")
        if not end:
            return False
        first, *fields = head.lower().split(b"\r\n")
        words = first.split()
        is_http = len(words) > 1 and words[1].isdigit()
        self.status = int(words[1]) if is_http else NO_HTTP
        self._chunked = any(
            name.strip() == b"transfer-encoding" and b"chunked" in value
            for name, _, value in (field.partition(b":") for field in fields)
        )
        self._raw = rest
        return True

    def _dechunk(self) -> bytes:
        """What is in the chunks that have come whole so far."""
        body = b""
        while not self.ended:
            line, end, rest = self._raw.partition(b"\r\n")
            if not end:
                break
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                size = 0  # no chunk: nothing that follows can be read
            if len(rest) < size + 2 and size:
                break
            body += rest[:size]
            self._raw = rest[size + 2 :]
            self.ended = size == 0
        return body
