"""What a process remembers of the overviews that it has made of the fleet."""

import re
import time
from collections.abc import Callable
from hashlib import blake2b
from itertools import islice
from typing import Final

from msgspec.structs import replace

from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.verdict.finding import Finding

LOOK_SECONDS: Final = 30.0
"""How often a process that shows the page looks by itself: what it says of an age is
true to that."""

GAP_SECONDS: Final = 2 * LOOK_SECONDS
"""After so long without a look nothing is known of when what is found began."""

MOST_FINDINGS: Final = 64

_NUMBER: Final = re.compile(r"(?<![\w(-])\d[\d,.]*(?![\w)-])")
"""What counts and grows: no part of a name, and no process id in parentheses."""


class OverviewMemory:
    """The last figures of the whole fleet, and since when each finding has held.
    `clock` counts seconds from anywhere. Bounded: by one report, which `survey`
    bounds, and the findings of one verdict."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_at = float("-inf")
        self._since: dict[str, float | None] = {}
        self._last: FleetReport | None = None

    @property
    def age(self) -> float:
        """Seconds since the last look."""
        return self._clock() - self._looked_at

    def ages(self, now: float) -> dict[str, float]:
        """For how many seconds the latest findings have held, where it is `now` (Unix
        seconds), as far as is known: for others, who may not have looked."""
        if self.age > GAP_SECONDS:
            return {}
        known = {
            key: max(0.0, now - since)
            for key, since in self._since.items()
            if since is not None
        }
        return dict(islice(known.items(), MOST_FINDINGS))

    def note(self, report: FleetReport) -> FleetReport:
        """Remember `report`, and give it the ages of its findings and, while NATS is
        away, the figures of before."""
        began = report.at if self.age <= GAP_SECONDS else None
        self._looked_at = self._clock()
        # Threads of a WSGI server share it: nobody changes what another may look at.
        known, since = self._since, dict[str, float | None]()
        known_elsewhere = _known_elsewhere(report)
        for finding in report.verdict.findings:
            key = key_of(finding)
            moments = known.get(key, began), known_elsewhere.get(key)
            since[key] = min((m for m in moments if m is not None), default=None)
        self._since = since
        report = replace(
            report, verdict=report.verdict.dated(lambda one: since[key_of(one)])
        )
        if report.nats_error:
            return replace(report, last_known=self._last)
        self._last = report
        return report


def key_of(finding: Finding) -> str:
    """The same for the same finding, whatever its numbers have become."""
    words = f"{finding.runbook} {_NUMBER.sub('#', finding.reason)}"
    return blake2b(words.encode(errors="replace"), digest_size=8).hexdigest()


def _known_elsewhere(report: FleetReport) -> dict[str, float]:
    """Since when (Unix seconds) findings have held by what the instances tell: the one
    that has known it for longest may have looked when this process did not run."""
    ages: dict[str, float] = {}
    for one in report.instances:
        for key, age in one.finding_ages.items():
            ages[key] = max(age, ages.get(key, 0.0))
    return {key: max(0.0, report.at - age) for key, age in ages.items()}
