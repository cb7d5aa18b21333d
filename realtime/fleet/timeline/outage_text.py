"""What to say of an outage of NATS: what was published meanwhile, and whether anything
of it was lost."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from realtime.fleet.timeline.events import MAX_MARKS, NatsAway
from realtime.fleet.timeline.merged_events import MergedEvent
from realtime.fleet.units import counted, duration

AROUND_SECONDS: Final = 30.0
"""After an outage: an instance that dies so soon may have had something to store."""


AWAITED_SECONDS: Final = 60.0
"""After an outage, an instance that has not come back is still awaited."""


class Unheard(Struct, frozen=True):
    """Who may have had something to store, and cannot be asked: the times, sorted, when
    instances died or vanished, and how many are awaited since the last outage."""

    deaths: Sequence[float] = ()
    awaited: int = 0


def outage_title(one: MergedEvent, now: float) -> str:
    """Which outage it was, and how long it took."""
    events: Sequence[NatsAway] = one.events
    disconnected = any(each.disconnected for each in events)
    if one.until is None:
        what = "is away" if disconnected else "takes no updates"
        return f"NATS {what}, for {duration(now - one.at)} now."
    what = "was away" if disconnected else "took no updates"
    return f"NATS {what} for {duration(one.until - one.at)}."


def outage_sentences(one: MergedEvent, unheard: Unheard, now: float) -> Iterable[str]:
    """Sentences on what was published, what became of it, and on event streams."""
    events: Sequence[NatsAway] = one.events
    refused = sum(each.refused for each in events)
    kept = sum(each.kept for each in events)
    rejected = sum(each.rejected for each in events)
    if refused or kept:
        count, exact = _environments(events)
        of = counted(count, "environment", "environments")
        answers = [
            f"{counted(number, 'publish was', 'publishes were')} {answer}"
            for number, answer in (
                (kept, "taken and kept (202)"),
                (refused, "answered with 503"),
            )
            if number
        ]
        yield f"{' and '.join(answers)}, of {'' if exact else 'at least '}{of}."
        yield _fate(one, unheard, now)
    else:
        yield (
            "Nothing was published so far."
            if one.until is None
            else "Nothing was published meanwhile: nothing was lost."
        )
    if rejected:
        yield (
            f"{counted(rejected, 'new event stream was', 'new event streams were')} "
            "rejected; no open one was ended."
        )
    else:
        yield "No event stream was rejected, and no open one was ended."


def _fate(one: MergedEvent, unheard: Unheard, now: float) -> str:
    events: Sequence[NatsAway] = one.events
    lost = sum(each.lost for each in events)
    waiting = max(
        max(each.waiting for each in events),
        len({mark for each in events for mark in each.waiting_marks}),
    )
    if lost:
        of = counted(lost, "environment", "environments")
        more = f", and {waiting:,} still wait" if waiting else ""
        return (
            f"The update of {of} was lost{more}: change a flag there again, or send a "
            "test update."
        )
    if waiting:
        still = counted(waiting, "environment still waits", "environments still wait")
        return f"{still} to be stored."
    if unheard.awaited and now - one.end < AWAITED_SECONDS:
        missing = counted(unheard.awaited, "instance has", "instances have")
        return f"All that is known of has been stored; {missing} not come back yet."
    first = bisect_left(unheard.deaths, one.at - AROUND_SECONDS)
    if (
        first < len(unheard.deaths)
        and unheard.deaths[first] <= one.end + AROUND_SECONDS
    ):
        return (
            "All that the instances that are here know of has been stored since; what "
            "one that died meanwhile had kept in memory is lost."
        )
    return "All of it has been stored since: nothing was lost."


def _environments(events: Sequence[NatsAway]) -> tuple[int, bool]:
    """How many environments, those that several instances saw counted once; and
    whether that is known to be all."""
    seen = {mark for each in events for mark in each.marks}
    most = max(each.environments for each in events)
    exact = len(events) == 1 or all(each.environments <= MAX_MARKS for each in events)
    return max(len(seen), most), exact
