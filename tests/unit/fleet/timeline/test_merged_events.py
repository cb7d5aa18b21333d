"""What several instances saw is one event."""

import time

from realtime.fleet.timeline.event_memory import (
    REMEMBER_SECONDS,
)
from realtime.fleet.timeline.event_text import SHOWN, texts_of
from realtime.fleet.timeline.events import (
    Left,
    NatsAway,
    TestUpdate,
)
from realtime.fleet.timeline.merged_events import MOST_READ, merge_events
from tests.unit.fleet.timeline.made_up import NOW, answer, died, texts


def test_merge_events__death_seen_by_three__one_and_back_if_any_has_heard_it() -> None:
    # When
    [story] = texts(
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
    [story] = texts(answer("one", test), answer("two", test))

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
    [story] = texts(answer("one", *left))

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
    assert texts(answer("one", old, future)) == []


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
