"""Takes messages out of what a nats-server sends to a client."""

import re
from collections.abc import Callable

_MESSAGE = re.compile(rb"H?MSG (\S+) .*?(\d+)\r\n")


class MessageFilter:
    """Called with the bytes of one connection as they come, returns those to forward:
    without the messages whose subject is to be `dropped`."""

    def __init__(self, dropped: Callable[[bytes], bool]) -> None:
        self._dropped = dropped
        self._rest = b""

    def __call__(self, data: bytes) -> bytes:
        data, forwarded = self._rest + data, b""
        while (end := data.find(b"\r\n") + 2) >= 2:
            subject = None
            if message := _MESSAGE.fullmatch(data[:end]):
                subject = message[1]
                end += int(message[2]) + 2
            if len(data) < end:
                break
            if subject is None or not self._dropped(subject):
                forwarded += data[:end]
            data = data[end:]
        self._rest = data
        return forwarded
