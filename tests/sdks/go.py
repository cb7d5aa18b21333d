"""The Go SDK: a `bufio.Scanner` over the body, then `json.Unmarshal`."""

import json
from typing import ClassVar

from tests.sdks.parser import Lines, Parser


class GoParser(Parser):
    """Lines that start with `data: `, with the space; a `float64` greater than 0."""

    headers: ClassVar = {
        "Accept-Encoding": "gzip",
    }

    def __init__(self) -> None:
        self._lines = Lines()

    def feed(self, data: bytes) -> list[float]:
        updates = []
        for line in self._lines.feed(data):
            if line.startswith("data: "):
                value = float(json.loads(line.removeprefix("data: "))["updated_at"])
                if value > 0:
                    updates.append(value)
        return updates
