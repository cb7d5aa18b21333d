"""All connections that wait are accepted in a turn or two, and streams are opened
behind everything else."""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import uvloop

from realtime.server.accepting import BURST, Acceptor
from realtime.server.listener import listen
from realtime.server.stream_openings import STREAMS_PER_TURN, Openings

TURNS = 10
"""Of the event loop; far fewer than there are connections."""


class Greeter(asyncio.Protocol):
    """Says something, and closes."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"hello")
        transport.close()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """On the loop that `serve` runs on."""
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()


def never() -> bool:
    """There is nothing to close."""
    return False


def test_acceptor__many_connections_wait__all_accepted_in_a_few_turns() -> None:
    # Given
    async def scenario() -> None:
        with listen("127.0.0.1:0") as listener, ExitStack() as stack:
            clients = [
                stack.enter_context(socket.create_connection(listener.getsockname()))
                for _ in range(2 * BURST)
            ]

            # When
            acceptor = Acceptor(listener, Greeter, lambda: 0, never)
            for _ in range(TURNS):
                await asyncio.sleep(0)

            # Then
            for client in clients:
                client.settimeout(5)
                assert client.recv(10) == b"hello"
            acceptor.close()
            await acceptor.wait_closed()

    run(scenario())


def test_accept_waiting__then_closed__nobody_is_reset() -> None:
    # Given
    async def scenario() -> None:
        with listen("127.0.0.1:0") as listener, ExitStack() as stack:
            acceptor = Acceptor(listener, Greeter, lambda: 0, never)
            clients = [
                stack.enter_context(socket.create_connection(listener.getsockname()))
                for _ in range(3 * BURST)
            ]

            # When: in the same turn of the loop
            acceptor.accept_waiting()
            acceptor.close()
            await acceptor.wait_closed()
            await asyncio.sleep(0)

            # Then
            for client in clients:
                client.settimeout(5)
                assert client.recv(10) == b"hello"

    run(scenario())


def test_acceptor__files_run_short__asks_for_room_and_goes_on() -> None:
    # Given: every connection is one too many
    asked: list[int] = []

    def make_room() -> bool:
        asked.append(1)
        return False

    async def scenario() -> None:
        with listen("127.0.0.1:0") as listener:
            acceptor = Acceptor(listener, Greeter, lambda: 1_000_000, make_room)
            loop = asyncio.get_running_loop()

            # When: there is no room to make
            for _ in range(3):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                assert await reader.read() == b"hello"
                writer.close()

            # Then
            assert loop.is_running()
            acceptor.close()
            acceptor.close()
            await acceptor.wait_closed()

    run(scenario())
    assert len(asked) == 3


def test_openings__many_at_once__a_few_each_turn_in_order() -> None:
    # Given
    opened: list[int] = []

    async def scenario() -> None:
        openings = Openings()
        for number in range(3 * STREAMS_PER_TURN):
            openings.add(lambda number=number: opened.append(number))  # type: ignore[misc]  # mypy cannot infer a lambda's default

        # When / Then
        for turn in range(1, 4):
            await asyncio.sleep(0)
            assert opened == list(range(turn * STREAMS_PER_TURN))
        openings.add(lambda: opened.append(-1))
        await asyncio.sleep(0)
        assert opened[-1] == -1

    run(scenario())
