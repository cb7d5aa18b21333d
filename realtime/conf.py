"""This app's settings, declared once: name, type, default, constraint and meaning. The
values are Django's, and a project may read them from its environment."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from realtime.process import file_limit
from realtime.setting import (
    Setting,
    T,
    boolean,
    checked,
    choice,
    declared,
    file,
    listed,
    made,
    seconds,
    separated,
    text,
    whole,
)
from realtime.tokens import configured_token, token_fault, tokens_in

MAX_SUBSCRIBERS: Final = whole(
    "SSE_MAX_SUBSCRIBERS", "0", 0, 10_000_000, zero="as many as open files allow"
)

_PORT: Final = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
_NATS_URL: Final = (
    r"((nats|tls)://)?([^\s,@/?#]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s,:@/?#]+)" + f"(:{_PORT})?"
)


def servers_in(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """The URLs in `NATS_URL`; a project may have None there for what is not set."""
    urls = separated(value) if isinstance(value, str) else value or ()
    return tuple(urls) or ("nats://localhost:4222",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSettings:
    """Times are in seconds unless the name says otherwise. The secret and the NATS
    URLs, which may hold one, are left out of `repr`."""

    authentication_tokens: tuple[str, ...] = made(
        Setting(
            "SSE_AUTHENTICATION_TOKEN",
            "",
            "the secret shared with Flagsmith's task processor, or the new and the old "
            "one separated by a comma",
            str.strip,  # as a mounted secret, it often ends in a line feed
        ),
        "The secret shared with Flagsmith's task processor. Required. Two while it is "
        "being [rotated](security.md#rotating-the-token).",
        tokens_in,
    )
    keepalive: float = declared(
        seconds("SSE_KEEPALIVE_SECONDS", "15", above=0),
        "How long a stream may be quiet before a comment is sent.",
    )
    max_stream_age: float = declared(
        seconds("SSE_MAX_STREAM_AGE_SECONDS", "0"),
        "How long a stream may last, give or take half; 0: no limit.",
    )
    reject_delay: float = declared(
        seconds("SSE_REJECT_DELAY_SECONDS", "2"),
        "How long a stream that cannot be served is held before its 503, give or take "
        "half.",
    )
    drain: float = declared(
        seconds("SSE_DRAIN_SECONDS", "10"),
        "Over how long the streams are ended on shutdown.",
    )
    stall: float = declared(
        seconds("SSE_STALL_SECONDS", "60", above=0),
        "After how long a client that is there and reads nothing is dropped.",
    )
    vanished: float = declared(
        seconds("SSE_VANISHED_SECONDS", "900", least=1),
        "After how long a client is dropped whose network is gone; until then it gets "
        "everything when it is back.",
    )
    backlog_megabytes: int = declared(
        whole("SSE_BACKLOG_MEGABYTES", "256", 1, 1_000_000, "megabytes"),
        "What the kernel may keep for the clients of a process that do not read or "
        "have vanished; beyond it those that have been silent longest are dropped.",
    )
    direct_writes: bool = declared(
        boolean("SSE_DIRECT_WRITES", "true"),
        "Whether `serve` writes updates straight to the connections; `false` is "
        "slower, for comparison.",
    )
    retry_milliseconds: int = declared(
        whole("SSE_RETRY_MILLISECONDS", "3000", 1, 3_600_000, "milliseconds"),
        "What clients are told to wait before they reconnect, give or take half.",
    )
    max_subscribers: int = declared(
        MAX_SUBSCRIBERS,
        "How many streams a process takes.",
    )
    accept_without_nats: bool = declared(
        boolean("SSE_ACCEPT_WITHOUT_NATS", "true"),
        "Whether a publish is answered with 202 once NATS has been away for some "
        "seconds and the update is "
        "[kept until it is back](architecture.md#while-nats-is-away); `false`: it is "
        "kept all the same, and answered with 503.",
    )
    outbox_environments: int = declared(
        whole("SSE_OUTBOX_ENVIRONMENTS", "10000", 1, 1_000_000),
        "For how many environments a process keeps the newest update while NATS is "
        "away: some 300 bytes each. Beyond that, the update that has waited longest is "
        "dropped.",
    )
    outbox_folder: str = declared(
        text("SSE_OUTBOX_FOLDER", "", "the path of a folder, or nothing"),
        "Where updates that wait for NATS are kept on disk, too; not set: in memory "
        "only.",
    )
    expected_instances: int = declared(
        whole("SSE_EXPECTED_INSTANCES", "0", 1, 10_000, zero="not known"),
        "How many hosts, or pods, should answer, the workers of one counting once: the "
        "health overview says so when there are fewer, and an instance that died is "
        "not missed when there are enough.",
    )
    canary: float = declared(
        Setting(
            "SSE_CANARY_SECONDS",
            "0.0",
            "a number of seconds from 1 to 300; 0 is never",
            checked(float, lambda value: value == 0 or 1 <= value <= 300),
            shown=True,
        ),
        "How often each process [probes itself](operations.md#the-canary), give or "
        "take half: it opens a stream and publishes an update of its own.",
    )
    nats_servers: tuple[str, ...] = made(
        listed(
            "NATS_URL",
            "",
            "nats:// or tls:// URLs separated by commas, for example "
            "nats://user:password@host:4222, with %2F for a / in the password",
            re.compile(_NATS_URL).fullmatch,
        ),
        "Where NATS is; not set: `nats://localhost:4222`. Several servers of one "
        "cluster, or one; a name with several addresses is as many servers.",
        servers_in,
    )
    nats_credentials_file: str = declared(
        file("NATS_CREDENTIALS_FILE", "the path of a credentials file"),
        "NATS credentials (`.creds`).",
    )
    nats_tls_ca_file: str = declared(
        file("NATS_TLS_CA_FILE", "the path of a PEM file that exists"),
        "The authority that signed NATS's certificate; not set: the system's.",
    )
    nats_tls_cert_file: str = declared(
        file("NATS_TLS_CERT_FILE", "the path of a PEM file that exists"),
        "Our certificate, where NATS demands one.",
    )
    nats_tls_key_file: str = declared(
        file("NATS_TLS_KEY_FILE", "the path of a PEM file that exists"),
        "The key of our certificate.",
    )
    stream_storage: str = declared(
        choice("NATS_STREAM_STORAGE", "file", "memory"),
        "JetStream's storage.",
    )
    stream_replicas: int = declared(
        whole("NATS_STREAM_REPLICAS", "1", 1, 5),
        "Copies of the stream in a NATS cluster.",
    )
    stream_max_age: float = declared(
        seconds("NATS_STREAM_MAX_AGE_SECONDS", "3600", least=1),
        "How long the latest update is kept for those who connect later.",
    )
    stream_max_bytes: int = declared(
        whole("NATS_STREAM_MAX_BYTES", "0", 0, 2**63 - 1, "bytes", zero="no limit"),
        "How large the stream may become, where NATS demands a limit: beyond it the "
        "oldest updates are dropped. An update takes some 200 bytes, and each "
        "environment keeps one.",
    )
    trusted_proxies: tuple[str, ...] = ()
    """`FORWARDED_ALLOW_IPS`, which is the project's: nobody, where it has none."""

    def __repr__(self) -> str:
        return f"<RealtimeSettings keepalive={self.keepalive:g}s drain={self.drain:g}s>"

    @classmethod
    def from_django(cls, *, hosting: bool = True) -> "RealtimeSettings":
        """The settings of the running Django project; `hosting` says whether it serves
        the endpoints, or only publishes.

        Raises `ImproperlyConfigured` if `SSE_AUTHENTICATION_TOKEN`, which hosting
        needs, is missing or could not be sent in a header, or if a setting has a name
        that it had once.
        """
        if hosting and (reason := token_fault(configured_token())):
            raise ImproperlyConfigured(f"SSE_AUTHENTICATION_TOKEN {reason}")
        if renamed := renamed_faults(partial(hasattr, django_settings)):
            raise ImproperlyConfigured("; ".join(renamed))
        values = {
            one.name: one.metadata["make"](configured(one.metadata["setting"]))
            for one in fields(cls)
            if one.metadata
        }
        values["max_subscribers"] = values["max_subscribers"] or file_limit()
        proxies = getattr(django_settings, "FORWARDED_ALLOW_IPS", ())
        return cls(trusted_proxies=tuple(proxies), **values)


SETTINGS: Final[list[Setting[Any]]] = [
    one.metadata["setting"] for one in fields(RealtimeSettings) if one.metadata
]
"""The settings that `RealtimeSettings` is made of."""

RENAMED: Final = {
    "SSE_STREAM_STORAGE": "NATS_STREAM_STORAGE",
    "SSE_STREAM_REPLICAS": "NATS_STREAM_REPLICAS",
    "SSE_STREAM_MAX_AGE_SECONDS": "NATS_STREAM_MAX_AGE_SECONDS",
}
"""What a setting was called, and what it is called now. The old name is refused: who
set it means something by it."""


def configured(setting: Setting[T]) -> T:
    """What the running Django project has for `setting`, or its default."""
    default = setting.parse(setting.default)
    value: T = getattr(django_settings, setting.name, default)
    return value


def renamed_faults(is_set: Callable[[str], bool]) -> list[str]:
    """What to say of each old name that is set, by `is_set`."""
    return [
        f"{old} is now called {new}: set that instead"
        for old, new in RENAMED.items()
        if is_set(old)
    ]
