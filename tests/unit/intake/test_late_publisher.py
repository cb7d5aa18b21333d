"""What becomes of an update that waits while others of its environment are stored."""

from realtime.conf import RealtimeSettings
from realtime.exceptions import Overtaken
from realtime.intake.late_publisher import LatePublisher
from realtime.intake.outbox import Kept, Outbox, Outcome
from realtime.jetstream.bridge import NatsBridge
from realtime.sse.hub import Hub
from realtime.updates import Identity, Update


class WithSession(NatsBridge):
    has_session = True


async def test_settle__later_one_stored_while_it_is_tried__not_tried_again() -> None:
    # Given: numbers, of which the later may be the smaller
    outbox = Outbox(10)
    kept = outbox.keep(Update("a", "2"), None, reason="away")
    tries = 0

    class OvertakenPublisher(LatePublisher):
        async def store(self, update: Update, known: Identity | None) -> Outcome:
            nonlocal tries
            tries += 1
            outbox.supersede(Update("a", "1"), outbox.arrive())
            raise Overtaken

    async def relay(kept: Kept) -> bool:
        return False

    hub = Hub(keepalive=15, max_stream_age=0, clock=lambda: 0.0)
    bridge = WithSession(RealtimeSettings(authentication_tokens=("t",)), hub)
    late_publisher = OvertakenPublisher(outbox, hub, bridge, relay)

    # When
    assert await late_publisher.settle(kept)

    # Then
    assert tries == 1
    assert kept.settled.result() == "superseded"
