"""The portable subscriber over a `send` that suspends when the test says so."""

import asyncio

from realtime.asgi import Message
from realtime.portable_subscriber import PortableSubscriber
from realtime.updates import KEEPALIVE, Frame

ONE, TWO, THREE = Frame.of(b"1"), Frame.of(b"2"), Frame.of(b"3")


class Server:
    """The server's end: `send()` waits while the connection is backed up."""

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()
        self.bodies: list[bytes] = []
        self.complete = False
        self.broken = False

    async def send(self, message: Message) -> None:
        if self.broken:
            raise ConnectionError("gone")
        if not self.writable.is_set():
            await self.writable.wait()
        self.bodies.append(message["body"])
        self.complete = not message["more_body"]


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_write__writable__written_at_once_without_a_task() -> None:
    # Given
    server = Server()
    subscriber = PortableSubscriber(server.send)
    tasks = asyncio.all_tasks()

    # When
    subscriber.write(ONE)
    subscriber.keepalive()

    # Then
    assert server.bodies == [ONE.body, KEEPALIVE.body]
    assert asyncio.all_tasks() == tasks
    assert not subscriber.lagging


async def test_write__backed_up__only_the_newest_is_kept() -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = PortableSubscriber(server.send)
    subscriber.write(ONE)

    # When
    subscriber.write(TWO)
    subscriber.keepalive()
    subscriber.write(THREE)
    await settle()

    # Then
    assert subscriber.lagging
    assert server.bodies == []

    # When
    server.writable.set()
    await settle()

    # Then
    assert server.bodies == [ONE.body, THREE.body]
    assert not subscriber.lagging


async def test_write__after_catching_up__written_at_once_again() -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = PortableSubscriber(server.send)
    subscriber.write(ONE)
    server.writable.set()
    await settle()

    # When
    subscriber.write(TWO)

    # Then
    assert server.bodies == [ONE.body, TWO.body]


async def test_end__backed_up__what_waits_is_sent_first() -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = PortableSubscriber(server.send)
    subscriber.write(ONE)
    subscriber.write(TWO)

    # When
    subscriber.end()
    server.writable.set()
    await settle()

    # Then
    assert server.bodies == [ONE.body, TWO.body, b""]
    assert server.complete


async def test_end__writable__response_is_complete_at_once() -> None:
    # Given
    server = Server()
    subscriber = PortableSubscriber(server.send)

    # When
    subscriber.end()

    # Then
    assert server.bodies == [b""]
    assert server.complete


async def test_write__server_raises__nobody_else_is_harmed() -> None:
    # Given
    server = Server()
    server.broken = True
    subscriber = PortableSubscriber(server.send)

    # When
    subscriber.write(ONE)

    # Then
    assert server.bodies == []
    assert not subscriber.lagging


async def test_write__server_raises_while_backed_up__nothing_is_left() -> None:
    # Given
    server = Server()
    server.writable.clear()
    subscriber = PortableSubscriber(server.send)
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
