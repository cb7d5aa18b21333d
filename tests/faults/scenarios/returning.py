"""`python -m tests.faults.scenarios.returning PORT COUNT SEED`: COUNT clients that try,
waiting as an SDK does, until each has a stream, and keep it.

A process of its own, so that it can be given what processor time is left: the service
must not be starved by its own test.
"""

import asyncio
import sys
from contextlib import suppress
from random import Random

from tests.support.crowd import Member

RETRY_SECONDS = 3.0
"""Over which the JavaScript SDK, for one, spreads its reconnections."""


async def subscribed(port: int, rng: Random) -> Member:
    """One client, once it has its stream."""
    while True:
        await asyncio.sleep(rng.uniform(0, RETRY_SECONDS))
        member = Member()
        with suppress(OSError, TimeoutError, AssertionError):
            await member.subscribe(port, "storm")
            if member.status == 200:
                return member
        member.close()


async def main(port: int, count: int, seed: int) -> None:
    rng = Random(seed)
    # Held: their connections would be closed.
    _members = await asyncio.gather(*(subscribed(port, rng) for _ in range(count)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
