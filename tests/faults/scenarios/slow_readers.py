"""`python -m tests.faults.scenarios.slow_readers PORT COUNT`: subscribe COUNT clients
that read nothing, and as many that read one byte a second, and say so in a line.

A process of its own: its work must not be taken for the service's.
"""

import asyncio
import random
import sys
from typing import NoReturn

from tests.support.crowd import AT_ONCE, Member

RECEIVE_BUFFER = 2048


async def read_slowly(member: Member) -> None:
    # Not all at once.
    await asyncio.sleep(random.random())
    while True:
        assert await member.read(1), "the stream was ended"
        await asyncio.sleep(1)


async def main(port: int, count: int) -> NoReturn:
    members = [Member(RECEIVE_BUFFER) for _ in range(2 * count)]
    turns = asyncio.Semaphore(AT_ONCE)

    async def subscribe(member: Member) -> None:
        async with turns:
            await member.subscribe(port, "unread")
            assert member.status == 200

    await asyncio.gather(*map(subscribe, members))
    print("subscribed", flush=True)
    await asyncio.gather(*map(read_slowly, members[count:]))
    raise AssertionError("they read for ever")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
