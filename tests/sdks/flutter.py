"""The Dart SDK for Flutter: flutter_client_sse, then `jsonDecode`."""

import json
from typing import ClassVar

from tests.sdks.parser import Lines, Parser


class FlutterParser(Parser):
    """The type must be `environment_updated` and the value an `is double`.

    flutter_client_sse answers a field that it does not know with one more connection.
    """

    headers: ClassVar = {
        "Accept": "application/json , text/event-stream",
        "Accept-Encoding": "gzip",
    }

    def __init__(self) -> None:
        self._lines = Lines()
        self._event = ""
        self._data = ""

    def feed(self, data: bytes) -> list[float]:
        updates = []
        for line in self._lines.feed(data):
            field, _, value = line.partition(":")
            if not line:
                updates += self._complete()
            elif field == "event":
                self._event = value.removeprefix(" ")
            elif field == "data":
                self._data += value + "\n"
            elif field not in ("", "id", "retry"):
                raise ValueError(f"one more connection because of {line!r}")
        return updates

    def _complete(self) -> list[float]:
        event, data = self._event, self._data
        self._event, self._data = "", ""
        if event != "environment_updated":
            return []
        # As in Dart, a JSON number without a point is an `int` here, no `float`.
        value = json.loads(data)["updated_at"]
        return [value] if isinstance(value, float) else []
