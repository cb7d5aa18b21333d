"""Everything that is remembered between requests is bounded in bytes, whatever clients
make up."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from realtime import routing
from realtime.conf import RealtimeSettings
from realtime.endpoints.misdirected import NotFound
from realtime.http import cors
from realtime.http.cors import cors_headers
from realtime.jetstream import subjects
from realtime.jetstream.subjects import SUBJECT_PREFIX, environment_of
from realtime.routing import FlatURLRouter, realtime_urlpatterns, route
from realtime.service import RealtimeService

BOUND = 8 * 1024 * 1024
SLACK = 128 * 1024
"""By how many bytes a memory that is full may grow."""

LENGTHS = (100, 130, 200, 600, 4000)
"""Up to the longest that are remembered, and beyond: of 600 characters or more, 4,096
would exceed the bound."""

REMEMBERED = {
    "cors": cors.REMEMBERED,
    "route": routing.REMEMBERED_PATHS,
    "subject": subjects.REMEMBERED,
}
"""How many requests of a kind are remembered."""


def made_up(number: int, length: int) -> str:
    """A text that takes four bytes for each of its characters."""
    return f"{number:06}" + "\U0001f600" * (length - 6)


def ask_for_cors(number: int, length: int) -> None:
    path, origin = "/" + made_up(number, length), made_up(number, length)
    headers = [(b"origin", origin.encode()[:length])]
    cors_headers({"method": "GET", "path": path, "headers": headers})


def ask_for_subject(number: int, length: int) -> None:
    environment_of((SUBJECT_PREFIX + made_up(number, length)).encode())


@pytest.fixture
def ask_for_route() -> Callable[[int, int], None]:
    service = RealtimeService(RealtimeSettings())
    router = FlatURLRouter([*realtime_urlpatterns(service), route("", NotFound())])

    async def receive() -> dict[str, object]:
        return {}

    async def send(message: dict[str, object]) -> None:
        return

    def ask(number: int, length: int) -> None:
        path = f"/sse/environments/{made_up(number, length)}/queue-change"
        answering = router({"path": path, "method": "POST"}, receive, send)
        answering.close()  # type: ignore[attr-defined]  # it is a coroutine

    return ask


@pytest.fixture
def traced() -> Iterator[Callable[[], int]]:
    """Tells the bytes that are in use, of those allocated since the test began."""

    def in_use() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    gc.freeze()  # what is there already need not be looked at again and again
    tracemalloc.start()
    yield in_use
    tracemalloc.stop()
    gc.unfreeze()


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", REMEMBERED)
def test_remembered__made_up_by_clients__bounded_in_bytes(
    kind: str,
    length: int,
    ask_for_route: Callable[[int, int], None],
    traced: Callable[[], int],
) -> None:
    # Given
    asking = {"cors": ask_for_cors, "route": ask_for_route, "subject": ask_for_subject}
    ask = asking[kind]
    # So many would exceed the bound, if they were kept.
    enough = min(REMEMBERED[kind], BOUND // (2 * length))
    before = traced()

    # When
    for number in range(enough):
        ask(number, length)
    full = traced()
    for number in range(enough, enough + min(enough, 4 * SLACK // length)):
        ask(number, length)

    # Then
    after = traced()
    assert after - before < BOUND
    assert after - full < SLACK
