"""The instances, as rows of a table."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.messages import InstanceReport, Sighting
from realtime.fleet.units import duration
from realtime.fleet.verdict.verdict import state_of

OLD_ERROR_SECONDS: Final = 3600.0
FORGOTTEN_ERROR_SECONDS: Final = 86_400.0
"""An error that was an hour ago is shown small, and one of yesterday not at all."""

BALANCED: Final = 1.5
"""The most streams of an instance to the fewest, up to which they are balanced: by
chance alone 100 streams on 3 instances are hardly ever further apart."""

FEW: Final = 20
"""Subscribers of each instance: with fewer, chance alone makes greater differences."""

STATE_WORDS: Final = {"unready": "not ready", "unknown": "not known"}


@dataclass(frozen=True)
class Row:
    """An instance: `report` is None where it does not answer, `error` says how its last
    error is shown."""

    instance: str
    host: str
    identity: str
    state: str
    detail: str
    report: InstanceReport | None = None
    outdated: bool = False
    error: Literal["recent", "old", ""] = ""
    may_drain: bool = False

    @property
    def words(self) -> str:
        """Its state."""
        return STATE_WORDS.get(self.state, self.state)


def rows(report: FleetReport, *, may_drain: bool) -> list[Row]:
    """Those that answer, and those that do not but were seen lately. While NATS is away
    nothing is known of any but this process: then those of the last look."""
    known = known_instances(report)
    newest = newest_version(known)
    answering = {one.instance for one in report.instances}
    named = {one.instance for one in known}
    return [
        *(
            Row(
                one.instance,
                *_named(one),
                *_state(one, fresh=one.instance in answering),
                report=one,
                outdated=one.version != newest,
                error=_error(one),
                may_drain=may_drain
                and not report.nats_error
                and not (one.draining or one.leaving),
            )
            for one in known
        ),
        *(
            Row(one.instance, *_named(one), *_absence(one, report.nats_error))
            for one in report.missing
            if one.instance not in named
        ),
    ]


def known_instances(report: FleetReport) -> list[InstanceReport]:
    """All of which there is a report, in an order in which a worker that was replaced
    leaves its place to its successor."""
    before = report.last_known.instances if report.last_known else ()
    latest = {one.instance: one for one in (*before, *report.instances)}
    return sorted(
        latest.values(),
        key=lambda one: (one.host, -1 if one.worker is None else one.worker, one.pid),
    )


def summary(instances: Sequence[InstanceReport]) -> str:
    """Whether all are on the newest version, and whether the streams are balanced: in a
    sentence."""
    staying = [one for one in instances if not one.draining]
    if not staying:
        return ""
    [(newest, updated), *older] = versions(staying)
    said = (
        f"{updated} of {len(staying)} on version {newest}"
        if older
        else f"All on version {newest}"
    )
    if len(staying) == 1:
        return f"{said}."
    counts = [one.subscribers for one in staying]
    fewest, most = min(counts), max(counts)
    balanced = "streams"
    if sum(counts) >= FEW * len(counts):
        are = "are" if most <= BALANCED * fewest else "are not"
        balanced = f"streams {are} balanced"
    spread = f"{fewest:,} to {most:,}" if fewest < most else f"{most:,}"
    return f"{said}; {balanced}: {spread} each."


def versions(instances: Iterable[InstanceReport]) -> list[tuple[str, int]]:
    """Each version and how many run it, the newest first."""
    counted = Counter(one.version for one in instances)
    return sorted(counted.items(), key=lambda item: _order(item[0]), reverse=True)


def newest_version(instances: Iterable[InstanceReport]) -> str:
    return max((one.version for one in instances), key=_order, default="")


def _order(version: str) -> tuple[tuple[int, ...], str]:
    """So that 0.10.0 is newer than 0.9.1."""
    numbers = re.findall(r"\d{1,9}", version)
    return tuple(int(number) for number in numbers[:8]), version


def _named(one: InstanceReport | Sighting) -> tuple[str, str]:
    """Its name in two parts: the host, and what tells it from others there."""
    return one.host, one.name.removeprefix(one.host).strip()


def _state(one: InstanceReport, *, fresh: bool) -> tuple[str, str]:
    """Its state and why; what it reported before says nothing of now."""
    return (state_of(one), one.not_ready or "") if fresh else ("unknown", "")


def _absence(one: Sighting, nats_error: str | None) -> tuple[str, str]:
    seen = f"last seen {duration(one.ago)} ago"
    if not one.missed:
        return "left", f"it was shutting down; {seen}"
    if nats_error:
        return "unknown", f"cannot be asked; {seen}"
    return "missing", f"does not answer; {seen}"


def _error(one: InstanceReport) -> Literal["recent", "old", ""]:
    if not one.last_error:
        return ""
    age = 0.0 if one.last_error_at is None else one.now - one.last_error_at
    if age > FORGOTTEN_ERROR_SECONDS:
        return ""
    return "old" if age > OLD_ERROR_SECONDS else "recent"
