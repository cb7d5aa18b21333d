"""One environment as text for a terminal."""

from collections.abc import Iterable

from realtime.fleet.environment.messages import EnvironmentAnswer
from realtime.fleet.environment.report import EnvironmentReport, ToldUpdate
from realtime.fleet.terminal_text import clients_text, printable, table
from realtime.fleet.units import counted, duration

_HEADINGS = (
    *("INSTANCE", "SUBSCRIBERS", "LAGGING", "OLDEST", "NEWEST"),
    *("TOLD THE LATEST UPDATE", "CLIENTS"),
)
_UPDATE_HEADINGS = ("UPDATE", "SEQUENCE", "STORED", "TOLD", "BY")


def environment_text(report: EnvironmentReport) -> str:
    """The environment, a table of the instances, and one of the updates."""
    lines = [f"Environment {report.environment}"]
    if report.nats_error:
        lines.append(f"{report.nats_error} What follows is what this process knows.")
    if report.unknown:
        lines.append(report.unknown)
    lines += [
        *_sums(report),
        "",
        *table([_HEADINGS, *map(_instance, report.instances), *_missing(report)]),
    ]
    if report.clients:
        lines += ["", f"Clients: {clients_text(report.clients)}"]
        lines += [f"  {one.title}: {one.note}" for one in report.clients]
    if report.visited < report.subscribers:
        lines.append(f"Clients and lagging: of {report.visited:,} that were looked at.")
    lines += _held(report)
    if report.updates:
        rows = [_update(one, report) for one in report.updates]
        lines += ["", *table([_UPDATE_HEADINGS, *rows])]
    if report.cut:
        lines.append("There were more in the past hour than are remembered.")
    return "\n".join(map(printable, lines))


def _sums(report: EnvironmentReport) -> Iterable[str]:
    """How many subscribe, and what the latest update is: of all who answered."""
    count = counted(report.subscribers, "subscriber", "subscribers")
    yield f"{count} on {counted(len(report.instances), 'instance', 'instances')}."
    if (latest := report.latest) is None:
        yield "No update of it is kept."
    else:
        ago = duration(report.at - latest.stored_at)
        yield (
            f"The latest update is {latest.updated_at}, sequence {latest.sequence:,}, "
            f"stored {ago} ago."
        )


def _instance(one: EnvironmentAnswer) -> tuple[str, ...]:
    told = one.told
    if told is None:
        last = "-"
    elif told.written is None:
        last = f"telling them, for {duration(told.read)}"
    else:
        last = f"{told.subscribers:,}, {duration(told.written)} ago"
    return (
        one.name if one.not_ready is None else f"{one.name}, not ready",
        f"{one.subscribers:,}",
        f"{one.lagging:,}",
        _for(one.oldest),
        _for(one.newest),
        last,
        clients_text(one.kinds),
    )


def _missing(report: EnvironmentReport) -> Iterable[tuple[str, ...]]:
    for one in report.missing:
        reason = "does not answer" if one.missed else "has left"
        seen = f"{reason}, last seen {duration(one.ago)} ago"
        yield one.name, "?", "?", "", "", seen, ""


def _held(report: EnvironmentReport) -> Iterable[str]:
    for one in report.instances:
        if one.held is not None:
            yield (
                f"{one.name}: update {one.held.updated_at} has waited for NATS for "
                f"{duration(one.held.waited)}."
            )


def _update(one: ToldUpdate, report: EnvironmentReport) -> tuple[str, ...]:
    return (
        one.updated_at,
        f"{one.sequence:,}",
        f"{duration(report.at - one.stored_at)} ago",
        f"{one.subscribers:,}",
        f"{one.writers} of {counted(len(report.instances), 'instance', 'instances')}",
    )


def _for(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
