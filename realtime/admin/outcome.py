"""What came of a test update, for whoever sent it."""

from django.contrib import messages
from django.template.defaultfilters import pluralize

from realtime.fleet.environment.round_trip import RoundTrip
from realtime.fleet.units import latency

NOBODY = "Nobody is subscribed to this environment: is the key right?"


def outcome_of(trip: RoundTrip) -> tuple[int, str]:
    """The level of Django's messages, and the outcome in sentences. It is no success if
    an instance is not heard of, or if nobody is subscribed: the key of an environment
    that does not exist is as good as any other to this service."""
    if not trip.reached and not trip.silent:
        return messages.WARNING, "Stored, but no instance answers."
    told = _told(trip)
    if len(trip.reached) < max(trip.instances, 1):
        return messages.WARNING, told
    if not trip.subscribers:
        return messages.WARNING, f"{told} {NOBODY}"
    return messages.SUCCESS, told


def _told(trip: RoundTrip) -> str:
    details = ", ".join(
        f"{one.name}: {one.subscribers} in {latency(one.seconds)}"
        for one in trip.reached
    )
    lost = f" No word from {', '.join(trip.silent)}." if trip.silent else ""
    return (
        f"{len(trip.reached)} of {max(trip.instances, len(trip.reached))} instances "
        f"told {trip.subscribers} "
        f"subscriber{pluralize(trip.subscribers)} within {latency(trip.seconds)} "
        f"({details}).{lost}"
    )
