"""Subscribers that reconnect as an SDK would."""

import asyncio
import json
from random import Random

from tests.faults.entries import Account, Connection
from tests.faults.numbers import number_of
from tests.support.streams import Stream

RETRY_SECONDS = 1.0
"""The most that a subscriber waits before it connects again; the JavaScript SDK waits
up to three times as long."""

SILENCE_SECONDS = 20.0
"""Without even a keep-alive; they are sent every 2 s here."""


class SdkSubscriber:
    """Reads the stream at `url` for ever, and enters what it sees into `account`."""

    def __init__(self, account: Account, url: str, rng: Random) -> None:
        self._account = account
        self._url = url
        self._rng = rng

    async def run(self) -> None:
        """Connect, read and connect again until cancelled."""
        while True:
            try:
                async with Stream(self._url) as stream:
                    if stream.status == 200:
                        await self._read(stream)
                    else:
                        self._account.rejected.append(_now())
            except (OSError, TimeoutError):
                pass  # there was no connection: it will try again
            await asyncio.sleep(self._rng.uniform(0, RETRY_SECONDS))

    async def _read(self, stream: Stream) -> None:
        connection = Connection(_now())
        self._account.connections.append(connection)
        try:
            while True:
                block = await stream.next_block(SILENCE_SECONDS)
                if block.startswith("event:"):
                    number = number_of(self._account.environment, updated_at_in(block))
                    connection.events.append((_now(), number))
        except EOFError:
            connection.clean = stream.ended
        except TimeoutError:
            connection.silent = True
        except OSError:
            pass  # cut off: not clean
        finally:
            connection.closed = _now()


def updated_at_in(block: str) -> float:
    """What an event of the stream says."""
    data = block.split("\n")[1].removeprefix("data: ")
    updated_at = json.loads(data)["updated_at"]
    assert isinstance(updated_at, float), block
    return updated_at


def _now() -> float:
    return asyncio.get_running_loop().time()
