"""What came of a test update, for whoever sent it."""

from django.contrib import messages
from django.template.defaultfilters import pluralize

from realtime.fleet.roundtrip import Probe
from realtime.fleet.units import latency

NOBODY = "Nobody is subscribed to this environment: is the key right?"


def outcome_of(probe: Probe) -> tuple[int, str]:
    """The level of Django's messages, and the outcome in sentences. It is no success if
    an instance is not heard of, or if nobody is subscribed: the key of an environment
    that does not exist is as good as any other to this service."""
    if not probe.reached and not probe.silent:
        return messages.WARNING, "Stored, but no instance answers."
    told = _told(probe)
    if len(probe.reached) < max(probe.instances, 1):
        return messages.WARNING, told
    if not probe.subscribers:
        return messages.WARNING, f"{told} {NOBODY}"
    return messages.SUCCESS, told


def _told(probe: Probe) -> str:
    details = ", ".join(
        f"{one.name}: {one.subscribers} in {latency(one.seconds)}"
        for one in probe.reached
    )
    lost = f" No word from {', '.join(probe.silent)}." if probe.silent else ""
    return (
        f"{len(probe.reached)} of {max(probe.instances, len(probe.reached))} instances "
        f"told {probe.subscribers} "
        f"subscriber{pluralize(probe.subscribers)} within {latency(probe.seconds)} "
        f"({details}).{lost}"
    )
