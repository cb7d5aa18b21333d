"""What an instance tells of the requests to publish that it was sent."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from realtime.fleet.wire_types import Count, Moment

SLOTS: Final = 30
CAUSES: Final = 16
"""Every status that a publish is refused with, from a publisher and from others."""

SOURCES: Final = 3
"""Addresses that are remembered of each cause."""

LONGEST_REASON: Final = 200
LONGEST_ADDRESS: Final = 64
"""Characters: an IPv6 address has 39 at most."""

Status = Annotated[int, Meta(ge=100, le=599)]
Reason = Annotated[str, Meta(max_length=LONGEST_REASON)]
Address = Annotated[str, Meta(max_length=LONGEST_ADDRESS)]


class StatusCount(Struct, frozen=True):
    """How many publishes were answered with `status` in the last five minutes."""

    status: Status
    count: Count


class Slot(Struct, frozen=True):
    """So many refusals within some ten seconds, the last of them `at`."""

    at: Moment
    count: Count


class Source(Struct, frozen=True):
    """Where a refused publish came from, last `at`."""

    address: Address
    at: Moment


class RefusalReport(Struct, frozen=True, kw_only=True):
    """Publishes that were refused with `status`, the newest of them for `reason`.

    `publisher` says whether they looked as if a publisher had sent them, and not a
    scanner or a browser. `slots` are in the order of time, the oldest an hour old at
    most. `others_at` is when a publish came last from an address that is not among the
    `sources` any more.
    """

    status: Status
    reason: Reason
    publisher: bool
    slots: Annotated[tuple[Slot, ...], Meta(max_length=SLOTS)] = ()
    sources: Annotated[tuple[Source, ...], Meta(max_length=SOURCES)] = ()
    others_at: Moment | None = None


class PublishesReport(Struct, frozen=True, kw_only=True):
    """When the last publish was accepted, how many were answered with which status in
    the last five minutes, and what was refused in the last hour. Times are Unix seconds
    by the instance's own clock."""

    accepted_at: Moment | None = None
    statuses: Annotated[tuple[StatusCount, ...], Meta(max_length=CAUSES)] = ()
    refusals: Annotated[tuple[RefusalReport, ...], Meta(max_length=CAUSES)] = ()
