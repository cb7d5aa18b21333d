"""The order in which streams are opened."""

import asyncio

from realtime.server.stream_openings import STREAMS_PER_TURN, Openings


async def test_openings__one_cannot_be_started__the_others_are() -> None:
    # Given
    openings = Openings()
    opened: list[int] = []
    all_opened = asyncio.Event()
    errors: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: errors.append(str(context["exception"]))
    )

    def fail() -> None:
        raise MemoryError("none is left")

    # When
    openings.add(fail)
    for number in range(STREAMS_PER_TURN + 1):
        openings.add(lambda number=number: opened.append(number))  # type: ignore[misc]  # a lambda's default has no type
    openings.add(all_opened.set)

    # Then
    async with asyncio.timeout(5):
        await all_opened.wait()
    assert opened == list(range(STREAMS_PER_TURN + 1))
    assert errors == ["none is left"]
