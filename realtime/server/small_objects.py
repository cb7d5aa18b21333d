"""Smaller stand-ins for what uvicorn makes for every connection and hardly one uses: an
empty `deque` alone is 760 bytes, of which a stream had three."""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class CompactEvent(asyncio.Event):
    """An event with a list for the one that waits."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters = []  # type: ignore[assignment]  # it is appended to and removed from


class CompactFlowControl(FlowControl):
    """uvicorn's, with that event."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_writable_event = CompactEvent()
        self._is_writable_event.set()


class CompactPipeline(list[Any]):
    """The requests that wait behind the one being answered: as few as a list is quick
    enough for."""

    def appendleft(self, request: Any) -> None:
        self.insert(0, request)
