"""The updates in the body of an event stream, as a client reads them."""

import json


class UpdateLines:
    """Takes the body in whatever pieces it comes. `rest` is the line that has begun."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, piece: bytes) -> list[float]:
        """The `updated_at` of every update that `piece` completes, in Unix seconds."""
        *lines, self.rest = (self.rest + piece).split(b"\n")
        values = (_updated_at(line[5:]) for line in lines if line.startswith(b"data:"))
        return [value for value in values if value is not None]


def _updated_at(data: bytes) -> float | None:
    try:
        return float(json.loads(data)["updated_at"])
    except (ValueError, TypeError, KeyError):
        return None
