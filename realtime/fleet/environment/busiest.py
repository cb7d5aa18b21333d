"""The environments with most subscribers, all instances together.

Each instance names its own busiest. How many subscribers those have on the others is
asked of them, so that the sums are right.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from realtime.fleet.key_shortening import shortened
from realtime.fleet.messages import Busy, InstanceReport
from realtime.fleet.wire_types import Count, EnvironmentKey, InstanceName, decode
from realtime.sse.hub import Hub

COUNTS: Final = "flagsmith.fleet.counts"
"""Asks every instance for its `Counts`; the payload is a JSON list of keys."""

MOST_ASKED: Final = 1000
"""Environments in one question, those with most subscribers as far as is known: with
keys of 100 characters 103 kB."""

MOST_NAMED: Final = 100
"""Environments of one report that are looked at; it names 40."""

_Keys = Annotated[tuple[EnvironmentKey, ...], Meta(max_length=MOST_ASKED)]


class Counts(Struct, frozen=True):
    """How many subscribers the environments have here, in the order of the question."""

    instance: InstanceName
    counts: Annotated[tuple[Count, ...], Meta(max_length=MOST_ASKED)]


class Busiest(Struct, frozen=True):
    """The environments with most subscribers, the busiest first. One that no instance
    has named is not among them; it has `unnamed` subscribers at most."""

    environments: tuple[Busy, ...]
    unnamed: int


def counts_answer(hub: Hub, instance: str, payload: bytes) -> Counts | None:
    """What `instance`, whose streams are in `hub`, answers to `payload`; None if that
    is no list of keys."""
    keys = decode(payload, _Keys)
    return None if keys is None else Counts(instance, tuple(map(hub.count_of, keys)))


def keys_to_count(reports: Sequence[InstanceReport]) -> list[str]:
    """The environments that `reports` name, if others may have subscribers of them
    that they do not tell."""
    if len(reports) < 2 or not any(map(_unnamed, reports)):
        return []
    whole = _whole_keys(reports)
    sums = _sums(_named(report, whole) for report in reports)
    known = set(whole.values())
    return [name for name, _ in sums.most_common(MOST_ASKED) if name in known]


def counts_by_instance(
    keys: Sequence[str], answers: Iterable[Counts], instances: Container[str]
) -> dict[str, dict[str, int]]:
    """The exact counts of `keys` on those of `instances` that have answered."""
    return {
        one.instance: dict(zip(keys, one.counts, strict=True))
        for one in answers
        if one.instance in instances and len(one.counts) == len(keys)
    }


def busiest(
    reports: Sequence[InstanceReport],
    counts: Mapping[str, Mapping[str, int]],
    most: int,
) -> Busiest:
    """At most `most` environments, by `reports` and by the exact `counts`, by
    instance and key, where they are known."""
    whole = _whole_keys(reports)
    named = [_named(report, whole) for report in reports]
    # Of these it is not known how many subscribers others have that they do not name.
    guessed = [
        names
        for report, names in zip(reports, named, strict=True)
        if report.instance not in counts and _unnamed(report)
    ]
    sums = _sums(
        {**names, **counts.get(report.instance, {})}
        for report, names in zip(reports, named, strict=True)
    )
    stored = _stored(reports, whole)
    environments = tuple(
        Busy(
            shortened(name),
            count,
            stored.get(name),
            at_least=any(name not in names for names in guessed),
        )
        for name, count in sums.most_common(most)
    )
    return Busiest(environments, sum(map(_unnamed, reports)))


def without_keys(report: InstanceReport) -> InstanceReport:
    """`report` as it is shown."""
    shown = tuple(replace(one, key=None) for one in report.busiest[:MOST_NAMED])
    return replace(report, busiest=shown)


def _listed(
    report: InstanceReport, whole: Mapping[str, str]
) -> Iterable[tuple[str, Busy]]:
    """The environments that `report` names, by whole key; by shortened key where nobody
    tells the whole one."""
    for one in report.busiest[:MOST_NAMED]:
        yield one.key or whole.get(one.environment, one.environment), one


def _named(report: InstanceReport, whole: Mapping[str, str]) -> dict[str, int]:
    """Their subscribers."""
    return {name: one.subscribers for name, one in _listed(report, whole)}


def _stored(
    reports: Iterable[InstanceReport], whole: Mapping[str, str]
) -> dict[str, float]:
    """When the latest update of each environment was stored."""
    stored: dict[str, float] = {}
    for report in reports:
        for name, one in _listed(report, whole):
            if one.stored_at is not None:
                stored[name] = max(one.stored_at, stored.get(name, 0.0))
    return stored


def _whole_keys(reports: Iterable[InstanceReport]) -> dict[str, str]:
    """Whole keys by shortened ones: an older version tells only these."""
    return {
        shortened(one.key): one.key
        for report in reports
        for one in report.busiest[:MOST_NAMED]
        if one.key is not None
    }


def _sums(named: Iterable[Mapping[str, int]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for names in named:
        sums.update(names)
    return sums


def _unnamed(report: InstanceReport) -> int:
    """How many subscribers an environment may have there that `report` does not
    name."""
    if report.unnamed is not None:
        return report.unnamed
    if report.environments <= len(report.busiest):
        return 0
    return min((one.subscribers for one in report.busiest), default=0)
