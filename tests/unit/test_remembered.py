"""Everything that is remembered between requests is bounded in bytes, whatever clients
make up."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from realtime.conf import RealtimeSettings
from realtime.endpoints.misdirected import NotFound
from realtime.environments import SUBJECT_PREFIX, environment_of
from realtime.http.cors import cors_headers
from realtime.routing import FlatURLRouter, realtime_urlpatterns, route
from realtime.service import RealtimeService

REQUESTS = 10_000
"""Twice as many as anything remembers."""

BOUND = 8 * 1024 * 1024

LENGTHS = (100, 130, 150, 200, 400, 600, 1200, 4000)


def made_up(number: int, length: int) -> str:
    """A text that takes four bytes for each of its characters."""
    return f"{number:06}" + "\U0001f600" * (length - 6)


def ask_for_cors(number: int, length: int) -> None:
    path, origin = "/" + made_up(number, length), made_up(number, length)
    headers = [(b"origin", origin.encode()[:length])]
    cors_headers({"method": "GET", "path": path, "headers": headers})


def ask_for_subject(number: int, length: int) -> None:
    environment_of(SUBJECT_PREFIX + made_up(number, length))


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


@pytest.fixture(params=["cors", "route", "subject"])
def ask(
    request: pytest.FixtureRequest, ask_for_route: Callable[[int, int], None]
) -> Callable[[int, int], None]:
    asking = {"cors": ask_for_cors, "route": ask_for_route, "subject": ask_for_subject}
    return asking[request.param]


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.usefixtures("traced")
def test_remembered__made_up_by_clients__bounded_in_bytes(
    ask: Callable[[int, int], None], length: int
) -> None:
    # Given
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()

    # When
    for number in range(REQUESTS):
        ask(number, length)

    # Then
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < BOUND
