"""What a supervisor remembers of workers that have ended."""

from realtime.fleet.history.minutes import LATEST_ENDED, Hour, Minute
from realtime.server.ended_workers import EndedWorkers
from realtime.server.messages import Remember


def said(instance: str, opened: int, *, leaves: bool = False) -> Remember:
    return Remember(instance, Hour(0, (Minute(1, opened=opened),)), leaves)


def opened(workers: EndedWorkers) -> int:
    assert workers.past is not None
    [minute] = workers.past.hour.minutes
    return minute.opened


def test_past__workers_that_run__nothing() -> None:
    # Given
    workers = EndedWorkers()

    # When
    changed = workers.note(1, said("sse-a", 5))

    # Then
    assert not changed
    assert workers.past is None


def test_past__worker_killed__what_it_said_last() -> None:
    # Given
    workers = EndedWorkers()
    workers.note(1, said("sse-a", 5))
    workers.note(1, said("sse-a", 6))

    # When
    changed = workers.end(1)

    # Then
    assert changed
    assert opened(workers) == 6
    assert workers.past is not None
    assert workers.past.of == ("sse-a",)


def test_past__worker_leaves__told_at_once_and_counted_once_to_the_last() -> None:
    # Given
    workers = EndedWorkers()
    workers.note(1, said("sse-a", 5))

    # When
    assert workers.note(1, said("sse-a", 6, leaves=True))
    at_once = workers.past
    workers.note(1, said("sse-a", 7, leaves=True))
    workers.end(1)
    workers.note(2, said("sse-b", 10))
    workers.end(2)

    # Then
    assert at_once is not None
    assert [minute.opened for minute in at_once.hour.minutes] == [6]
    assert at_once.of == ("sse-a",)
    assert opened(workers) == 17
    assert workers.past is not None
    assert workers.past.version > at_once.version
    assert workers.past.supervisor == at_once.supervisor


def test_past__worker_that_never_spoke__nothing_changes() -> None:
    # Given
    workers = EndedWorkers()

    # When / Then
    assert not workers.end(1)
    assert workers.past is None


def test_past__very_many_deaths__names_are_bounded_and_the_latest() -> None:
    # Given
    workers = EndedWorkers()

    # When
    for pid in range(2 * LATEST_ENDED):
        workers.note(pid, said(f"sse-{pid}", 1))
        workers.end(pid)

    # Then
    assert opened(workers) == 2 * LATEST_ENDED
    assert workers.past is not None
    assert len(workers.past.of) == LATEST_ENDED
    assert workers.past.of[0] == f"sse-{2 * LATEST_ENDED - 1}"
