"""The fleet as text for a terminal."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from realtime.fleet.client_kinds import ClientCount
from realtime.fleet.fleet_report import FleetReport
from realtime.fleet.messages import InstanceReport, Quantiles
from realtime.fleet.publishes.fleet_publishes import FleetPublishes
from realtime.fleet.timeline.event_text import EventText
from realtime.fleet.units import duration, latency, size
from realtime.fleet.verdict.publish_findings import from_addresses
from realtime.fleet.verdict.verdict import state_of

_HEADINGS = (
    *("INSTANCE", "STATE", "UP", "SUBSCRIBERS", "LAGGING", "READ", "DELIVERIES"),
    *("REJECTED", "DELIVERY P50/P99", "SEQUENCE", "NATS", "LAST ERROR"),
)


NEWEST: Final = 5
"""Of what happened, where it was not asked for."""


def fleet_text(report: FleetReport, happenings: int = NEWEST) -> str:
    """The verdict, a table of the instances, the stream, the latest updates, and so
    much of what happened, the newest last."""
    lines = [*_verdict(report), ""]
    if report.nats_error and not report.instances:
        # Nobody could be asked: a table without a row would look like an answer.
        lines += _before(report)
        return "\n".join(map(printable, lines))
    rows = [_HEADINGS, *(_row(instance) for instance in report.instances)]
    for one in report.missing:
        state, reason = (
            ("missing", "does not answer") if one.missed else ("left", "shut down")
        )
        seen = f"{reason}, last seen {duration(one.ago)} ago"
        rows.append((one.name, state, *[""] * 9, seen))
    lines += table(rows)
    if report.clients:
        lines += ["", f"Clients: {clients_text(report.clients)}"]
    if stream := report.stream:
        consumers = (
            "consumers: no answer"
            if stream.consumers is None
            else f"{len(stream.consumers)} consumers"
        )
        lines += [
            "",
            f"{stream.name}: {stream.messages:,} updates ({size(stream.bytes)}), last "
            f"sequence {stream.last_sequence:,}, {consumers}",
        ]
    lines += publishes_text(report.publishes, report.at)
    for instance in report.instances:
        if instance.outbox.since is not None:
            waited = duration(instance.now - instance.outbox.since)
            lines.append(
                f"{instance.name}: {instance.outbox.updates:,} updates wait for NATS, "
                f"the oldest for {waited}"
            )
    for update in report.latest:
        age = duration(report.at - update.stored_at)
        lines.append(f"  {update.environment}  {update.sequence}  {age} ago")
    stories = report.happenings[:happenings]
    if stories:
        lines += ["", "What happened (UTC):", *map(_told, reversed(stories))]
    return "\n".join(map(printable, lines))


def _before(report: FleetReport) -> Iterable[str]:
    """What is known of the instances while NATS is away."""
    known = report.last_known
    if known is None:
        yield "Nothing is known of the instances: they are asked over NATS."
        return
    ago = duration(report.at - known.at)
    yield f"What follows was so {ago} ago, before NATS was lost:"
    yield ""
    yield from table([_HEADINGS, *map(_row, known.instances)])


def clients_text(clients: Iterable[ClientCount]) -> str:
    """How many of each kind, as `12 Go, 3 Python`."""
    return ", ".join(f"{one.subscribers:,} {one.title}" for one in clients)


def _verdict(report: FleetReport) -> Iterable[str]:
    verdict = report.verdict
    yield f"{verdict.title}{_lasting(verdict.since, report.at)}"
    several = len(verdict.findings) > 1
    for finding in verdict.findings:
        lasting = _lasting(finding.since, report.at) if several else ""
        yield f"  {finding.reason}{lasting and f' ({lasting.strip()})'}"
        if finding.consequence:
            yield f"    {finding.consequence}"


def _lasting(since: float | None, now: float) -> str:
    return "" if since is None else f" for {duration(now - since)}"


def publishes_text(publishes: FleetPublishes | None, at: float) -> Iterable[str]:
    """When the latest publish was accepted, and a line for each cause of a refusal,
    where it is `at` (Unix seconds)."""
    if publishes is None:
        return
    accepted = (
        "none has been accepted since the instances started"
        if publishes.accepted_at is None
        else f"the latest was accepted {duration(at - publishes.accepted_at)} ago"
    )
    counts = ", ".join(f"{n:,} × {code}" for code, n in publishes.statuses.items())
    yield f"Publishes: {accepted}; in the last 5 min {counts or 'there were none'}."
    for refusal in publishes.refusals:
        ago = f"{duration(at - refusal.newest_at)} ago"
        yield (
            f"  {refusal.status}: the newest {ago}, {from_addresses(refusal)}: "
            f"{refusal.reason}"
        )


def _row(one: InstanceReport) -> Sequence[str]:
    error = one.last_error or ""
    if error and one.last_error_at is not None:
        error += f" ({duration(one.now - one.last_error_at)} ago)"
    return (
        one.name,
        state_of(one),
        duration(one.uptime),
        f"{one.subscribers:,}",
        f"{one.lagging:,}",
        f"{one.updates_read:,}",
        f"{one.updates_delivered:,}",
        f"{one.rejections:,}",
        _quantiles(one.delivery_seconds),
        f"{one.sequence:,}",
        one.nats_server or "not connected",
        error,
    )


def _told(story: EventText) -> str:
    begin = _clock(story.at)
    if story.going_on:
        when = f"{begin} to now"
    elif story.until is None:
        when = begin
    else:
        when = f"{begin} to {_clock(story.until)}"
    return f"  {when}  {' '.join((story.title, *story.sentences))}"


def _clock(unix: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(unix))


def _quantiles(quantiles: Quantiles | None) -> str:
    if quantiles is None:
        return "-"
    return f"{latency(quantiles.p50)}/{latency(quantiles.p99)}"


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def printable(line: str) -> str:
    """What came over NATS must not give orders to a terminal."""
    return "".join(c if c.isprintable() else "?" for c in line)
