"""The Kotlin SDK for Android: OkHttp's server-sent events, then Gson."""

import json
from typing import ClassVar

from tests.sdks.parser import Lines, Parser


class AndroidParser(Parser):
    """Parses server-sent events in full; the type must be `environment_updated`."""

    headers: ClassVar = {
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "gzip",
    }

    def __init__(self) -> None:
        self._lines = Lines()
        self._type = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[float]:
        updates = []
        for line in self._lines.feed(data):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                updates += self._complete()
            elif field == "event":
                self._type = value
            elif field == "data":
                self._data.append(value)
        return updates

    def _complete(self) -> list[float]:
        kind, data = self._type, "\n".join(self._data)
        self._type, self._data = "", []
        if kind != "environment_updated" or not data:
            return []
        # Gson's Double takes a JSON integer too.
        return [float(json.loads(data)["updated_at"])]
