"""The Swift SDK for iOS: `URLSession` hands it the body piece by piece."""

import json
from typing import ClassVar

from tests.sdks.parser import Parser


class IosParser(Parser):
    """Splits every piece on its own, and decodes the lines that start with `data:`.

    What does not decode is reported as an error and lost.
    """

    headers: ClassVar = {
        "Accept": "text/event-stream, application/json; charset=utf-8",
        "Accept-Encoding": "gzip, deflate",
        "Cache-Control": "no-cache",
        "Connection": "keep-alive",
    }

    def feed(self, data: bytes) -> list[float]:
        updates = []
        for line in data.decode().split("\n"):
            if line.startswith("data:"):
                try:
                    value = json.loads(line.replace("data:", ""))["updated_at"]
                except (ValueError, KeyError):
                    continue
                # Swift's Double takes a JSON integer too.
                updates.append(float(value))
        return updates
