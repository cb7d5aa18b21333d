"""The Ruby SDK: Faraday reads the whole body before the SDK looks at it."""

import json
from typing import ClassVar

from tests.sdks.parser import Lines, Parser


class RubyParser(Parser):
    """Lines that start with `data: `, with the space, once the response has ended."""

    headers: ClassVar = {
        "Accept": "*/*",
        "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    }

    def __init__(self) -> None:
        self._body = b""

    def feed(self, data: bytes) -> list[float]:
        self._body += data
        return []

    def end(self) -> list[float]:
        return [
            json.loads(line.removeprefix("data: "))["updated_at"]
            for line in Lines().feed(self._body + b"\n")
            if line.startswith("data: ")
        ]
