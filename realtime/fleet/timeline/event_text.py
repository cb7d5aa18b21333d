"""What happened, in sentences."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from realtime.fleet.timeline import events
from realtime.fleet.timeline.merged_events import MergedEvent
from realtime.fleet.timeline.outage_text import (
    Unheard,
    outage_sentences,
    outage_title,
)
from realtime.fleet.units import counted, duration

SHOWN: Final = 50


class EventText(Struct, frozen=True, kw_only=True):
    """An event as people read it: `title` and `sentences` are whole sentences, and
    `kind` is also the name of a CSS class. `environment` is the one that the title
    names, by its shortened key, or empty. Times are Unix seconds; `until` is None if
    it goes on, or is a moment; then `going_on` says which."""

    kind: str
    at: float
    until: float | None
    going_on: bool
    title: str
    sentences: tuple[str, ...] = ()
    environment: str = ""


def texts_of(
    merged: Sequence[MergedEvent], now: float, *, awaited: int = 0
) -> tuple[EventText, ...]:
    """What to say of the first of them, at most `SHOWN`. So many instances are
    `awaited` since NATS was away last."""
    deaths = sorted(
        one.at
        for one in merged
        if isinstance(one.first, events.Died)
        or (isinstance(one.first, events.Gone) and one.until is None)
    )
    unheard = Unheard(deaths, awaited)
    return tuple(_text(one, unheard, now) for one in merged[:SHOWN])


def _text(one: MergedEvent, unheard: Unheard, now: float) -> EventText:
    first, until = one.first, one.until
    goes_on = isinstance(first, (events.NatsAway, events.Rejections, events.Died))
    if isinstance(first, events.NatsAway):
        title = outage_title(one, now)
        sentences: Iterable[str] = outage_sentences(one, unheard, now)
    else:
        title, *sentences = _WORDS[type(first)](one)
    return EventText(
        kind=str(first.__struct_config__.tag),
        at=one.at,
        until=until,
        going_on=goes_on and until is None,
        title=title,
        sentences=tuple(sentences),
        environment=getattr(first, "environment", ""),
    )


def _names(one: MergedEvent) -> str:
    """The instances that it is about, on one host."""
    by_name = {each.instance: each for each in one.events}
    host = one.first.host
    if len(by_name) == 1:
        return f"{host} ({_number(one.first)})"
    workers = [each for each in by_name.values() if each.worker is not None]
    what = "workers" if len(workers) == len(by_name) else "instances"
    return f"{host} ({len(by_name)} {what})"


def _number(one: Any) -> str:
    return f"{one.pid}" if one.worker is None else f"{one.pid}, worker {one.worker}"


def _came(one: MergedEvent) -> Iterable[str]:
    yield f"{_names(one)} came."


def _left(one: MergedEvent) -> Iterable[str]:
    by = one.first.by
    yield f"{_names(one)} was drained by {by}." if by else f"{_names(one)} left."
    streams = sum({each.instance: each.streams for each in one.events}.values())
    # Of those that saw several instances leave at once, each saw the same streams come.
    opened = sum({each.seen_by: each.opened for each in one.events}.values())
    if streams:
        were = "was" if streams == 1 else "were"
        yield (
            f"Its {counted(streams, 'stream', 'streams')} {were} ended properly; "
            f"{counted(min(opened, streams), 'was', 'were')} back elsewhere within "
            "seconds."
        )
    else:
        yield "It stopped properly, with no stream open."


def _replaced(one: MergedEvent) -> Iterable[str]:
    yield f"{_names(one)} was replaced by its supervisor."


def _died(one: MergedEvent) -> Iterable[str]:
    until = one.until
    yield f"{_names(one)} died."
    if until is None:
        yield "Its beacon stopped without a last word, and nothing took its place."
    else:
        yield f"It was back, or its successor was, after {duration(until - one.at)}."


def _gone(one: MergedEvent) -> Iterable[str]:
    until = one.until
    if until is not None:
        yield f"{_names(one)} came back late after NATS was away."
        yield f"It was not heard of for {duration(until - one.at)}."
        return
    yield f"{_names(one)} has not come back since NATS was away."
    yield "Whether it stopped properly meanwhile cannot be known."


def _worker_died(one: MergedEvent) -> Iterable[str]:
    reason = next((each.reason for each in one.events if each.reason), "")
    because = f": {reason}" if reason else ""
    first = one.first
    yield f"Worker {first.worker} of {first.host} ({first.pid}) died{because}."
    yield "Its supervisor replaces it."


def _dismissed(one: MergedEvent) -> Iterable[str]:
    by = f" by {one.first.by}" if one.first.by else ""
    yield f"{one.first.name} was dismissed{by}: it is not expected back."


def _test_update(one: MergedEvent) -> Iterable[str]:
    by = f" by {one.first.by}" if one.first.by else ""
    yield f"Test update of {one.first.environment}{by}."
    if one.first.outcome:
        yield one.first.outcome


def _stream_changed(one: MergedEvent) -> Iterable[str]:
    settings = ", ".join(one.first.settings)
    match one.first.change:
        case "created":
            yield "The stream was created."
        case "replaced":
            yield "The stream was replaced by another one."
            yield "What it held is gone; subscribers are told of later updates."
        case "updated":
            yield "The stream's configuration was brought up to date."
        case _ if settings:
            yield f"Somebody changed the stream's configuration: {settings}."
        case _:
            yield "The stream's configuration is as it should be again."


def _rejections(one: MergedEvent) -> Iterable[str]:
    rejected = sum(each.rejected for each in one.events)
    why = {
        "full": "an instance had as many subscribers as it can hold",
        "failed": "the background work of an instance had died",
    }.get(one.first.reason, one.first.reason)
    yield f"{counted(rejected, 'event stream was', 'event streams were')} rejected."
    yield f"The reason: {why}."


_WORDS: Final[dict[type, Callable[[MergedEvent], Iterable[str]]]] = {
    events.Came: _came,
    events.Left: _left,
    events.Replaced: _replaced,
    events.Died: _died,
    events.Gone: _gone,
    events.WorkerDied: _worker_died,
    events.Dismissed: _dismissed,
    events.TestUpdate: _test_update,
    events.StreamChanged: _stream_changed,
    events.Rejections: _rejections,
}
