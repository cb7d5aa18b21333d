"""Both subscribers, under the same tests: over a server whose `send()` suspends, and
whose transport is full, when the test says so."""

import asyncio
from collections.abc import Callable

import pytest

from realtime.http.asgi import Message
from realtime.sse.asgi_subscriber import AsgiSubscriber
from realtime.sse.frames import KEEPALIVE, Frame
from realtime.sse.subscriber import Subscriber
from realtime.sse.transport_subscriber import WRITE_BUFFER_BYTES, TransportSubscriber

ONE, TWO, THREE = Frame.of(b"1"), Frame.of(b"2"), Frame.of(b"3")


class Server:
    """The server's end: `send()` waits while the connection is backed up. It is its own
    transport and flow control, as far as a subscriber needs them."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.bodies: list[bytes] = []
        self.complete = False
        self.broken = self.broke = False
        self.aborted = False
        self.limit = 0

    async def send(self, message: Message) -> None:
        if self.broken:
            raise ConnectionError("gone")
        if not self.writable.is_set():
            await self.writable.wait()
        self.bodies.append(message["body"])
        self.complete = not message["more_body"]

    @property
    def transport(self) -> "Server":
        return self

    @property
    def flow(self) -> "Server":
        return self

    @property
    def write_paused(self) -> bool:
        return not self.writable.is_set()

    def write(self, data: bytes) -> None:
        """Takes one chunk of the chunked transfer encoding."""
        assert self.writable.is_set()
        if self.broken:
            raise RuntimeError("the handler is closed")  # as uvloop does
        size, _, rest = data.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self.bodies.append(rest[:-2])

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.aborted

    def set_write_buffer_limits(self, high: int) -> None:
        self.limit = high


Make = Callable[[Server], Subscriber]


@pytest.fixture(params=["asgi", "transport"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a subscriber of either kind."""
    if request.param == "asgi":
        return lambda server: AsgiSubscriber(server.send)
    return lambda server: TransportSubscriber(server.send, server)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_write__writable__written_at_once_without_a_task(make: Make) -> None:
    # Given
    server = Server()
    subscriber = make(server)
    tasks = asyncio.all_tasks()

    # When
    subscriber.write(ONE)
    subscriber.keepalive()

    # Then
    assert server.bodies == [ONE.body, KEEPALIVE.body]
    assert asyncio.all_tasks() == tasks
    assert subscriber.lagging_since is None


async def test_write__backed_up__only_the_newest_is_kept(make: Make) -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = make(server)
    subscriber.write(ONE)

    # When
    subscriber.write(TWO)
    subscriber.keepalive()
    subscriber.write(THREE)
    await settle()

    # Then
    assert subscriber.lagging_since is not None
    assert server.bodies == []

    # When
    server.writable.set()
    await settle()

    # Then
    assert server.bodies == [ONE.body, THREE.body]
    assert subscriber.lagging_since is None


async def test_write__after_catching_up__written_at_once_again(make: Make) -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = make(server)
    subscriber.write(ONE)
    server.writable.set()
    await settle()

    # When
    subscriber.write(TWO)

    # Then
    assert server.bodies == [ONE.body, TWO.body]


async def test_end__backed_up__what_waits_is_sent_first(make: Make) -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = make(server)
    subscriber.write(ONE)
    subscriber.write(TWO)

    # When
    subscriber.end()
    server.writable.set()
    await settle()

    # Then
    assert server.bodies == [ONE.body, TWO.body, b""]
    assert server.complete


async def test_end__writable__response_is_complete_at_once(make: Make) -> None:
    # Given
    server = Server()
    subscriber = make(server)

    # When
    subscriber.end()

    # Then
    assert server.bodies == [b""]
    assert server.complete


async def test_write__server_raises__nobody_else_is_harmed(make: Make) -> None:
    # Given
    server = Server()
    server.broken = True
    subscriber = make(server)

    # When
    subscriber.write(ONE)
    subscriber.keepalive()

    # Then
    assert server.bodies == []
    assert subscriber.lagging_since is None


async def test_write__server_raises_meanwhile__nothing_is_left(
    make: Make,
) -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = make(server)
    tasks = asyncio.all_tasks()
    subscriber.write(ONE)
    subscriber.write(TWO)
    await settle()

    # When
    server.broken = True
    server.writable.set()
    await settle()

    # Then
    assert server.bodies == [ONE.body]
    assert asyncio.all_tasks() == tasks


async def test_abort__backed_up__given_up_with_what_waits(make: Make) -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = make(server)
    tasks = asyncio.all_tasks()
    subscriber.write(ONE)
    subscriber.write(TWO)

    # When
    subscriber.abort()
    server.writable.set()
    await settle()

    # Then: the connection is closed, or the stream has an end that the client sees
    assert asyncio.all_tasks() == tasks
    assert server.aborted or server.bodies == [ONE.body, b""]
    assert server.aborted or server.complete


async def test_direct__small_write_buffer__set_on_the_transport() -> None:
    # Given
    server = Server()

    # When
    TransportSubscriber(server.send, server)

    # Then
    assert server.limit == WRITE_BUFFER_BYTES
