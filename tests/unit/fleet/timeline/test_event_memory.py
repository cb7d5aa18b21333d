"""What happened: remembered within bounds, merged, and told in sentences."""

import time
from typing import Any

import pytest
from msgspec import Raw

from realtime.fleet.timeline.event_memory import (
    MOST_OF_A_KIND,
    REMEMBER_SECONDS,
    EventMemory,
)
from realtime.fleet.timeline.event_text import SHOWN, EventText, texts_of
from realtime.fleet.timeline.events import (
    MOST_BYTES,
    Came,
    Died,
    Event,
    Gone,
    Left,
    NatsAway,
    Rejections,
    StreamChanged,
    TestUpdate,
    decode_event,
)
from realtime.fleet.timeline.merged_events import MOST_READ, merge_events
from realtime.fleet.timeline.messages import MOST_EVENTS, EventsAnswer
from realtime.fleet.timeline.outages import AGAIN_SECONDS, FORGET_SECONDS, Outages
from realtime.fleet.timeline.rejection_bursts import BURST, Reason, RejectionBursts
from realtime.fleet.wire_types import decode, encode

NOW = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> EventMemory:
    return EventMemory(clock=clock)


class World:
    """What an outage's recorder asks of its process."""

    def __init__(self, memory: EventMemory) -> None:
        self.waiting: set[str] = set()
        self.published: set[str] = set()
        self.rejected = 0
        self.outages = Outages(
            memory,
            "me",
            is_waiting=self.waiting.__contains__,
            published_since=lambda environment, _: environment in self.published,
            rejected=lambda: self.rejected,
        )


@pytest.fixture
def world(memory: EventMemory) -> World:
    return World(memory)


def answer(instance: str, *events: Event, **fields: Any) -> EventsAnswer:
    """As it comes over NATS."""
    made = encode(
        EventsAnswer(
            instance=instance,
            alive=1,
            events=tuple(Raw(encode(event)) for event in events),
            **fields,
        )
    )
    read = decode(made, EventsAnswer)
    assert read is not None
    return read


def stories(
    *accounts: EventsAnswer, now: float = NOW, awaited: int = 0
) -> list[EventText]:
    return list(texts_of(merge_events(accounts, now), now, awaited=awaited))


def died(seen_by: str, at: float, instance: str = "x", **fields: Any) -> Died:
    return Died(seen_by=seen_by, at=at, instance=instance, host="pod", pid=7, **fields)


def test_outage__attempt_after_attempt__one_event(
    memory: EventMemory, world: World, clock: Clock
) -> None:
    # When
    for _ in range(131):
        world.outages.lost_connection()
        clock.now += 1
    world.outages.back()
    clock.now += 1
    world.outages.lost_connection()  # NATS falls over once more
    clock.now += AGAIN_SECONDS
    world.outages.back()

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, NatsAway)
    assert event.disconnected
    assert (event.at, event.until) == (NOW, clock.now)

    # When: much later
    clock.now += AGAIN_SECONDS
    world.outages.lost_connection()

    # Then
    assert len(memory.newest_first()) == 2


def test_outage__publishes__counted_until_all_is_stored_or_published_again(
    memory: EventMemory, world: World, clock: Clock
) -> None:
    # Given
    world.outages.lost_connection()
    world.waiting |= {"a", "b", "c"}
    for environment, kept in (("a", False), ("a", True), ("b", True), ("c", True)):
        world.outages.not_stored(environment, kept=kept)
    world.waiting.discard("c")
    world.outages.dropped("c")
    world.rejected = 37

    # When
    clock.now += 180
    world.outages.back()
    world.rejected = 99

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, NatsAway)
    assert (event.refused, event.kept, event.environments) == (1, 3, 3)
    assert (event.waiting, event.lost, event.rejected) == (2, 1, 37)
    [story] = stories(answer("me", event), now=clock.now)
    assert story.title == "NATS was away for 3 min."
    assert story.sentences == (
        "3 publishes were taken and kept (202) and 1 publish was answered with 503, of "
        "3 environments.",
        "The update of 1 environment was lost, and 2 still wait: change a flag there "
        "again, or send a test update.",
        "37 new event streams were rejected; no open one was ended.",
    )

    # When
    world.waiting.clear()
    world.published.add("c")
    world.outages.refresh()

    # Then
    [event] = memory.newest_first()
    [story] = stories(answer("me", event), now=clock.now)
    assert story.sentences[1] == "All of it has been stored since: nothing was lost."

    # When: nothing more will become of it
    clock.now += FORGET_SECONDS + 1
    world.outages.refresh()
    world.outages.dropped("a")
    world.outages.refresh()

    # Then
    assert memory.newest_first() == [event]


def test_outage__seen_by_two__one_event_with_sums_and_environments_once() -> None:
    # Given
    one = NatsAway(
        seen_by="one",
        at=NOW - 100,
        until=NOW - 40,
        refused=1,
        kept=2,
        environments=2,
        rejected=3,
        marks=(1, 2),
    )
    other = NatsAway(
        seen_by="other",
        at=NOW - 90,
        until=NOW - 38,
        kept=1,
        environments=2,
        rejected=4,
        marks=(2, 3),
    )
    unrelated = NatsAway(seen_by="one", at=NOW - 1000, until=NOW - 900)

    # When
    newest, oldest = stories(answer("one", one, unrelated), answer("other", other))

    # Then
    assert (newest.at, newest.until) == (NOW - 100, NOW - 38)
    assert newest.sentences == (
        "3 publishes were taken and kept (202) and 1 publish was answered with 503, of "
        "3 environments.",
        "All of it has been stored since: nothing was lost.",
        "7 new event streams were rejected; no open one was ended.",
    )
    assert oldest.sentences[0] == "Nothing was published meanwhile: nothing was lost."


def test_outage__one_died_or_is_not_back__not_said_that_nothing_was_lost() -> None:
    # Given
    away = NatsAway(
        seen_by="one", at=NOW - 100, until=NOW - 50, kept=1, environments=1, marks=(1,)
    )
    gone = Gone(seen_by="one", at=NOW - 99, instance="x", host="pod", pid=7)

    # When
    told = stories(answer("one", away, gone))
    waiting = stories(answer("one", away), awaited=1)

    # Then
    [with_gone] = [story for story in told if story.kind == "nats_away"]
    assert "what one that died meanwhile had kept in memory is lost" in " ".join(
        with_gone.sentences
    )
    assert waiting[0].sentences[1] == (
        "All that is known of has been stored; 1 instance has not come back yet."
    )


def test_outage__goes_on_for_one__goes_on() -> None:
    # Given: one is cut off still; another, which is gone, was when it told
    back = NatsAway(seen_by="one", at=NOW - 60, until=NOW - 10)
    away = NatsAway(seen_by="other", at=NOW - 60)
    departed = NatsAway(seen_by="departed", at=NOW - 60)

    # When
    [during] = stories(answer("one", back, departed), answer("other", away))
    [after] = stories(answer("one", back, departed))

    # Then
    assert during.going_on
    assert during.until is None
    assert during.title == "NATS is away, for 1 min now."
    assert not after.going_on
    assert after.until == NOW - 10


def test_merge_events__death_seen_by_three__one_and_back_if_any_has_heard_it() -> None:
    # When
    [story] = stories(
        answer("one", died("one", NOW - 60)),
        answer("two", died("two", NOW - 58, until=NOW - 5)),
        answer("three", died("three", NOW - 59), died("one", NOW - 60)),
    )

    # Then
    assert (story.title, story.at, story.until) == (
        "pod (7) died.",
        NOW - 60,
        NOW - 5,
    )
    assert not story.going_on


def test_merge_events__departed_instance_s_events__told_by_who_remembers() -> None:
    # Given
    test = TestUpdate(
        seen_by="departed", at=NOW - 60, environment="abc…xyz", by="alice", outcome="ok"
    )

    # When
    [story] = stories(answer("one", test), answer("two", test))

    # Then
    assert story.title == "Test update of abc…xyz by alice."
    assert story.sentences == ("ok",)


def test_merge_events__workers_of_a_host_leave_together__one_event() -> None:
    # Given
    left = [
        Left(
            seen_by="one",
            at=NOW - 10 + n,
            until=NOW - 8 + n,
            instance=f"w{n}",
            host="pod",
            pid=n,
            worker=n,
            streams=10,
            opened=18,
        )
        for n in range(2)
    ]

    # When
    [story] = stories(answer("one", *left))

    # Then
    assert story.title == "pod (2 workers) left."
    assert story.sentences == (
        "Its 20 streams were ended properly; 18 were back elsewhere within seconds.",
    )


def test_merge_events__what_is_old_or_of_the_future__left_out() -> None:
    # Given
    old = died("one", NOW - REMEMBER_SECONDS - 1)
    future = died("one", NOW + 3600, "y")

    # Then
    assert stories(answer("one", old, future)) == []


def test_merge_events__many_answers_full_of_made_up_events__bounded() -> None:
    # Given
    away = [
        NatsAway(
            seen_by=f"s{n}",
            at=NOW - n,
            kept=1,
            environments=2**52,
            marks=tuple(range(100)),
            waiting_marks=tuple(range(100)),
        )
        for n in range(60)
    ]
    made_up = [answer(f"liar-{n}", *away) for n in range(1000)]
    apart = [
        answer(f"l-{n}", *(died(f"l-{n}", NOW - m, f"i-{n}-{m}") for m in range(300)))
        for n in range(100)
    ]

    for accounts in (made_up, apart):
        # When
        began = time.process_time()
        merged = merge_events(accounts, NOW)
        told = texts_of(merged, NOW)
        took = time.process_time() - began

        # Then: no more than so many were looked at, and each a few times
        assert 0 < sum(len(one.events) for one in merged) <= MOST_READ
        assert len(told) <= SHOWN
        assert took < 2


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


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"kind":"died","seen_by":"a b","at":1,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":1e99,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":1e400,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":-1,"instance":"x","host":"h","pid":1}',
        b'{"kind":"came","seen_by":"a","at":NaN,"instance":"x","host":"h","pid":1}',
        b'{"kind":"nats_away","seen_by":"a","at":1,"kept":-1}',
        b'{"kind":"nats_away","seen_by":"a","at":1,"marks":[%s]}'
        % b",".join([b"1"] * 101),
        b'{"kind":"nats_away","seen_by":"a","at":1,"waiting_marks":[-1]}',
        b'{"kind":"stream_changed","seen_by":"a","at":1,"change":"exploded"}',
        b'{"kind":"rejections","seen_by":"a","at":1,"reason":"x","rejected":1}',
        b'{"kind":"died","seen_by":"a","at":1}' + b" " * MOST_BYTES,
    ],
)
def test_decode_event__what_is_none__passed_over(payload: bytes) -> None:
    assert decode_event(payload) is None


def test_answer__too_many_events__not_read() -> None:
    # Given
    events = b",".join([encode(died("one", NOW))] * (MOST_EVENTS + 1))

    # Then
    assert (
        decode(b'{"instance":"one","alive":1,"events":[%s]}' % events, EventsAnswer)
        is None
    )


def test_event_memory__one_kind_again_and_again__displaces_no_other(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    memory.note(NatsAway(seen_by="me", at=clock.now, until=clock.now))

    # When
    for _ in range(1000):
        clock.now += 1
        memory.note(Came(seen_by="me", at=clock.now, instance="x", host="pod", pid=1))

    # Then
    events = memory.newest_first()
    assert len(events) == MOST_OF_A_KIND + 1
    assert isinstance(events[0], Came)
    assert events[0].at == clock.now
    assert isinstance(events[-1], NatsAway)


def test_event_memory__hours_later__forgotten(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    memory.note(died("me", clock.now))
    memory.learn(died("other", clock.now))

    # When / Then
    clock.now += REMEMBER_SECONDS - 1
    assert len(memory.newest_first()) == 2
    clock.now += 2
    assert memory.newest_first() == []


def test_bursts__many_rejections__one_event_until_they_end(
    memory: EventMemory, clock: Clock
) -> None:
    # Given
    totals: dict[Reason, int] = {"full": 5, "failed": 0}
    bursts = RejectionBursts(memory, "me", lambda: dict(totals))

    # When: a few, then many, then a few, then none
    for rejected in (BURST - 1, BURST, 400, 1, 0, 0):
        clock.now += 10
        totals["full"] += rejected
        bursts.sample()

    # Then
    [event] = memory.newest_first()
    assert isinstance(event, Rejections)
    assert (event.reason, event.rejected) == ("full", BURST + 401)
    assert (event.at, event.until) == (NOW + 10, NOW + 40)
    [story] = stories(answer("me", event), now=clock.now)
    assert story.title == "411 event streams were rejected."
    assert story.sentences == (
        "The reason: an instance had as many subscribers as it can hold.",
    )


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ({"change": "created"}, "The stream was created."),
        (
            {"change": "updated"},
            "The stream's configuration was brought up to date.",
        ),
        ({"change": "replaced"}, "The stream was replaced by another one."),
        (
            {"change": "differs", "settings": ("max_age is 1 instead of 2",)},
            "Somebody changed the stream's configuration: max_age is 1 instead of 2.",
        ),
        (
            {"change": "differs"},
            "The stream's configuration is as it should be again.",
        ),
    ],
)
def test_texts_of__stream_changed__by_whom(event: dict[str, Any], title: str) -> None:
    # Given
    seen = [StreamChanged(seen_by=one, at=NOW, **event) for one in ("one", "two")]

    # When
    [story] = stories(*(answer(one.seen_by, one) for one in seen))

    # Then
    assert story.title == title
    assert story.until is None
    assert not story.going_on
