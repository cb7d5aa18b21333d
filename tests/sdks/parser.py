"""The seam between the bytes of a stream and the clients that cannot run here."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Parser(ABC):
    """What one SDK makes of the body of one response, by the rule in its source.

    Numbers come out as they leave the SDK's own JSON decoder: Unix seconds.
    """

    headers: ClassVar[dict[str, str]] = {}
    """What the SDK sends with its request."""

    @abstractmethod
    def feed(self, data: bytes) -> list[float]:
        """The updates that the SDK finds when `data` arrives, in one piece."""

    def end(self) -> list[float]:
        """The updates that it finds only when the server has ended the response."""
        return []


class Lines:
    """Puts lines together that arrive in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.removesuffix(b"\r").decode() for line in lines]
