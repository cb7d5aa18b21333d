"""What instances tell each other of what happened."""

from realtime.fleet.timeline.messages import MOST_EVENTS, EventsAnswer
from realtime.fleet.wire_types import decode, encode
from tests.unit.fleet.timeline.made_up import NOW, died


def test_answer__with_events_of_a_newer_version__the_others_are_read() -> None:
    # Given
    event = died("one", NOW)
    payload = (
        b'{"instance":"one","alive":1,"events":[{"kind":"invented","at":1},'
        b'["no event"],' + encode(event) + b"]}"
    )

    # When
    read = decode(payload, EventsAnswer)

    # Then
    assert read is not None
    assert read.read(100) == [event]


def test_answer__too_many_events__not_read() -> None:
    # Given
    events = b",".join([encode(died("one", NOW))] * (MOST_EVENTS + 1))

    # Then
    assert (
        decode(b'{"instance":"one","alive":1,"events":[%s]}' % events, EventsAnswer)
        is None
    )
