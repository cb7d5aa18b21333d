"""The kinds of clients, and what to know of each: in short what docs/sdks.md tells."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct


class ClientKind(Struct, frozen=True):
    """What people call a kind, and what an operator should know of it."""

    title: str
    note: str


_KINDS: Final = {
    "browser": ClientKind(
        "Browser",
        "The JavaScript SDK opens a new stream within 3 s, whatever ended the last "
        "one. If fetching the flags fails after an update, it takes no notice of "
        "further updates until the application fetches them itself.",
    ),
    "android": ClientKind(
        "Android (OkHttp)",
        "The Kotlin SDK never reconnects after a connection that broke or an answer "
        "other than 200; after a proper end it does at once. React Native on Android "
        "looks the same and reconnects within seconds.",
    ),
    "ios": ClientKind(
        "iOS (CFNetwork)",
        "The Swift SDK retries a rejected stream at once and for ever. After 60 s of "
        "silence it has two streams. React Native on iOS looks the same and waits for "
        "seconds.",
    ),
    "flutter": ClientKind(
        "Flutter (Dart)",
        "The SDK opens one more stream every 29 s, unless the application sets another "
        "interval, and closes none: there are more streams than applications. It "
        "connects once more for each line of a rejection.",
    ),
    "python": ClientKind(
        "Python",
        "The SDK retries a rejected stream at once and for ever. It reads without a "
        "time-out: a connection that a firewall has forgotten looks alive to it.",
    ),
    "go": ClientKind(
        "Go",
        "Before version 4.2.0 the SDK retries a rejected stream at once and for ever; "
        "since then it waits for 0.2 s, doubling to 51 s.",
    ),
    "ruby": ClientKind(
        "Ruby",
        "The SDK reads the whole response before it looks at it: it sees an update "
        "only when its stream ends. Versions 4.3.0 to 5.0.0 open no stream at all.",
    ),
    "flagsmith-sdk": ClientKind(
        "Another Flagsmith SDK",
        "It tells its own name, and is none of those that are known to use streams.",
    ),
    "probe": ClientKind(
        "Probe",
        "This service's own: manage.py probe, or an instance's canary, for some "
        "milliseconds.",
    ),
    "curl": ClientKind("curl", "Somebody looks: it does not reconnect by itself."),
    "other": ClientKind(
        "Other", "Its User-Agent is of no known kind: look at what the program does."
    ),
    "none": ClientKind("No User-Agent", "It does not tell what it is."),
}


class ClientCount(Struct, frozen=True):
    """So many subscribers of a kind."""

    kind: str
    subscribers: int

    @property
    def title(self) -> str:
        return kind_of(self.kind).title

    @property
    def note(self) -> str:
        return kind_of(self.kind).note


def kind_of(name: str) -> ClientKind:
    """What is known of the kind that an instance calls `name`."""
    return _KINDS.get(name) or ClientKind(name, "A newer version tells it apart.")


def summed(clients: Iterable[Mapping[str, int]]) -> tuple[ClientCount, ...]:
    """All of `clients` together, the most frequent kind first."""
    counts: Counter[str] = Counter()
    for one in clients:
        counts.update(one)
    return tuple(
        ClientCount(kind, count)
        for kind, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if count
    )
