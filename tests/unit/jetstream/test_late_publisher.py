"""What becomes of an update that waits while others of its environment are stored."""

from realtime.exceptions import Overtaken
from realtime.intake.late_publisher import LatePublisher, Store
from realtime.intake.outbox import Identity, Kept, Outbox, Outcome
from realtime.jetstream.client import FastClient
from realtime.updates import Update


async def test_settle__later_one_stored_while_it_is_tried__not_tried_again() -> None:
    # Given: numbers, of which the later may be the smaller
    outbox = Outbox(10)
    kept = outbox.keep("a", Update("2"), None, reason="away")
    tries = 0

    class Overtaking(Store):
        async def put(
            self, environment: str, update: Update, known: Identity | None
        ) -> Outcome:
            nonlocal tries
            tries += 1
            outbox.supersede("a", Update("1"), outbox.arrive())
            raise Overtaken

    async def publish(*args: object, **options: object) -> None:
        raise AssertionError("`put` does not come to that")

    async def relay(kept: Kept) -> bool:
        return False

    store = Overtaking(FastClient(), publish, lambda environment: None, failing=False)
    late_publisher = LatePublisher(outbox, store=lambda: store, relay=relay)

    # When
    assert await late_publisher.settle(kept)

    # Then
    assert tries == 1
    assert kept.settled.result() == "superseded"
