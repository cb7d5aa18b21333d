"""Any HTTP/1.1 response, above all a stream of updates, from its bytes. The way for all
that is not the frame everybody gets: it is right, not fast."""

import json

_HEAD_END = b"\r\n\r\n"


class ResponseDecoder:
    """Decodes one response, in whatever pieces it comes.

    `status` is 0 until the `head` has come; `ended` is set by the final chunk.
    """

    __slots__ = ("_chunk_left", "_chunked", "_raw", "ended", "head", "status")

    def __init__(self) -> None:
        self.status = 0
        self.head = b""
        self.ended = False
        self._chunked = False
        self._chunk_left = 0  # its line end included
        self._raw = b""

    def body(self, data: bytes) -> bytes:
        """What `data` adds to the body."""
        self._raw += data
        if self.status == 0 and not self._take_head():
            return b""
        if self._chunked:
            return self._dechunk()
        body, self._raw = self._raw, b""
        return body

    def _take_head(self) -> bool:
        head, end, rest = self._raw.partition(_HEAD_END)
        if not end:
            return False
        self.head = head
        first, *fields = head.lower().split(b"\r\n")
        words = first.split()
        # Whatever is no HTTP is rejected like an error.
        self.status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 599
        self._chunked = any(
            name.strip() == b"transfer-encoding" and b"chunked" in value
            for name, _, value in (field.partition(b":") for field in fields)
        )
        self._raw = rest
        return True

    def _dechunk(self) -> bytes:
        """What is in the chunks that have come so far."""
        parts: list[bytes] = []
        while self._raw:
            if self._chunk_left:
                part = self._raw[: self._chunk_left]
                parts.append(part[: max(0, self._chunk_left - 2)])
                self._raw = self._raw[len(part) :]
                self._chunk_left -= len(part)
                continue
            line, end, rest = self._raw.partition(b"\r\n")
            if not end:
                break
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                size = 0  # no chunk: nothing that follows can be read
            self._raw = rest
            if size == 0:
                self.ended = True
                break
            self._chunk_left = size + 2
        return b"".join(parts)


class StreamDecoder(ResponseDecoder):
    """Decodes a stream of updates."""

    __slots__ = ("_line",)

    def __init__(self) -> None:
        super().__init__()
        self._line = b""

    @property
    def is_between_events(self) -> bool:
        """Whether nothing of an event is kept for the next piece."""
        return self.status != 0 and not (self._raw or self._chunk_left or self._line)

    def feed(self, data: bytes) -> list[float]:
        """The `updated_at` of every update that `data` completes."""
        return self.updates(self.body(data))

    def updates(self, body: bytes) -> list[float]:
        """The same of the next piece of the body."""
        *lines, self._line = (self._line + body).split(b"\n")
        values = (_updated_at(line[5:]) for line in lines if line.startswith(b"data:"))
        return [value for value in values if value is not None]


def _updated_at(data: bytes) -> float | None:
    try:
        return float(json.loads(data)["updated_at"])
    except (ValueError, TypeError, KeyError):
        return None
