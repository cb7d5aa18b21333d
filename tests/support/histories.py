"""Histories as large as an instance tells them."""

from realtime.fleet.history.minutes import (
    KEPT,
    MAX_ENVIRONMENTS,
    EnvironmentHour,
    History,
    Hour,
    Minute,
    Past,
    environment_id,
)
from realtime.fleet.messages import InstanceReport


def full_hour(last: int) -> Hour:
    """Of a process with more environments than it tells of, until the minute `last`."""
    minutes = tuple(
        Minute(number, *(10**6,) * 5, [10**4] * 5, [10**4] * 14)
        for number in range(last - KEPT + 1, last + 1)
    )
    environments = tuple(
        EnvironmentHour(
            environment_id(f"{number}", "secret"), f"environment-{number}", [99] * KEPT
        )
        for number in range(MAX_ENVIRONMENTS)
    )
    return Hour((last - KEPT) * 60, minutes, environments, whole=False)


def full_history(instance: str, last: int, supervisor: int) -> History:
    """Of a worker that tells of others, too, that have ended."""
    hour = full_hour(last)
    past = Past(supervisor=f"supervisor-{supervisor}", version=1, of=(), hour=hour)
    return History(instance=instance, alive=20, hour=hour, past=past)


def answered(report: InstanceReport, _: bytes) -> History:
    """What an instance with `report` answers, of four workers on each machine."""
    last = int(report.now // 60) - 1
    return full_history(report.instance, last, report.pid // 4)
