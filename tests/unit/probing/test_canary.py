"""When the canary does not run, and what is counted then."""

import asyncio
from contextlib import suppress

import pytest

from realtime import metrics
from realtime.lifecycle import Refusal
from realtime.probing.canary import Canary, reachable_here


def failures() -> float:
    [family] = metrics.canary_failures_total.collect()
    return next(s.value for s in family.samples if s.name.endswith("_total"))


async def run_some_times(canary: Canary) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await canary.run()


def canary(refusal: Refusal | None, asked: list[None]) -> Canary:
    """One that runs again and again, and notes when it asks where to."""

    def where() -> None:
        asked.append(None)

    return Canary(seconds=0.01, token="t", where=where, refusal=lambda: refusal)


@pytest.mark.parametrize("reason", ["draining", "failed", "full"])
async def test_canary__known_why_no_stream_is_served__neither_run_nor_counted(
    reason: str,
) -> None:
    # Given
    before, asked = failures(), list[None]()

    # When
    await run_some_times(canary(Refusal(reason, "It is known."), asked))

    # Then
    assert (failures(), asked) == (before, [])


async def test_canary__nats_away__counted_without_a_try() -> None:
    # Given
    before, asked = failures(), list[None]()

    # When
    await run_some_times(canary(Refusal("nats", "NATS is away."), asked))

    # Then
    assert failures() > before
    assert asked == []


async def test_canary__stopped__does_nothing_more() -> None:
    # Given
    before, asked = failures(), list[None]()
    stopped = canary(Refusal("nats", "NATS is away."), asked)
    stopped.stop()

    # When
    await run_some_times(stopped)

    # Then
    assert (failures(), asked) == (before, [])


async def test_canary__nothing_listens__counted() -> None:
    # Given
    before = failures()
    alone = Canary(
        seconds=0.01,
        token="t",
        where=lambda: ("127.0.0.1", 1),
        refusal=lambda: None,
    )

    # When
    await run_some_times(alone)

    # Then
    assert failures() > before


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("0.0.0.0", ("127.0.0.1",)),  # noqa: S104  nothing binds
        ("::", ("::1", "127.0.0.1")),
        ("10.0.0.5", ("10.0.0.5",)),
        ("fd00::5", ("fd00::5",)),
    ],
)
def test_reachable_here__what_a_server_listens_at__where_it_is_reached(
    host: str, addresses: tuple[str, ...]
) -> None:
    assert reachable_here(host) == addresses
