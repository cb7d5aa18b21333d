"""What the tests see of a client application, whichever SDK it uses."""

import asyncio
from typing import Protocol

WAIT_SECONDS = 10


class Client(Protocol):
    """An application that shows the value of the feature `colour`."""

    async def colour(self) -> str | None:
        """The value that it shows now; None as long as it has none."""


async def shows(client: Client, colour: str) -> None:
    """Wait until `client` shows `colour`. Raises `TimeoutError`."""
    async with asyncio.timeout(WAIT_SECONDS):
        # The condition is in a thread or in a browser: there is no event to wait for.
        while await client.colour() != colour:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
