"""This app's settings, typed, from Django's; defaults for what a project leaves out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from realtime.process import file_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSettings:
    """Times are in seconds unless the name says otherwise. The secret and the NATS
    URLs, which may hold one, are left out of `repr`."""

    authentication_tokens: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    keepalive: float = 15
    max_stream_age: float = 0
    retry_milliseconds: int = 3000
    reject_delay: float = 2
    drain: float = 10
    stall: float = 60
    vanished: float = 900
    backlog_megabytes: int = 256
    direct_writes: bool = True
    max_subscribers: int = 0
    stream_storage: str = "file"
    stream_replicas: int = 1
    stream_max_age: float = 3600
    stream_max_bytes: int = 0
    accept_without_nats: bool = True
    outbox_environments: int = 10_000
    outbox_folder: str = ""
    expected_instances: int = 0
    canary: float = 0
    nats_servers: tuple[str, ...] = ("nats://localhost:4222",)
    nats_credentials_file: str = ""
    nats_tls_ca_file: str = ""
    nats_tls_cert_file: str = ""
    nats_tls_key_file: str = ""

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
        token = configured_token()
        if hosting and (reason := token_fault(token)):
            raise ImproperlyConfigured(f"SSE_AUTHENTICATION_TOKEN {reason}")
        if renamed := renamed_faults(partial(hasattr, django_settings)):
            raise ImproperlyConfigured("; ".join(renamed))
        given = {
            field: getattr(django_settings, name)
            for name, field in SETTINGS.items()
            if hasattr(django_settings, name)
        }
        proxies = getattr(django_settings, "FORWARDED_ALLOW_IPS", ())
        servers = getattr(django_settings, "NATS_URL", ())
        if isinstance(servers, str):
            servers = [url.strip() for url in servers.split(",") if url.strip()]
        if servers:
            given["nats_servers"] = tuple(servers)
        return cls(
            authentication_tokens=tokens_in(token),
            trusted_proxies=tuple(proxies),
            **{
                **given,
                "max_subscribers": given.get("max_subscribers") or file_limit(),
            },
        )


SETTINGS = {
    "SSE_KEEPALIVE_SECONDS": "keepalive",
    "SSE_MAX_STREAM_AGE_SECONDS": "max_stream_age",
    "SSE_RETRY_MILLISECONDS": "retry_milliseconds",
    "SSE_REJECT_DELAY_SECONDS": "reject_delay",
    "SSE_DRAIN_SECONDS": "drain",
    "SSE_STALL_SECONDS": "stall",
    "SSE_VANISHED_SECONDS": "vanished",
    "SSE_BACKLOG_MEGABYTES": "backlog_megabytes",
    "SSE_DIRECT_WRITES": "direct_writes",
    "SSE_MAX_SUBSCRIBERS": "max_subscribers",
    "SSE_ACCEPT_WITHOUT_NATS": "accept_without_nats",
    "SSE_OUTBOX_ENVIRONMENTS": "outbox_environments",
    "SSE_OUTBOX_FOLDER": "outbox_folder",
    "SSE_EXPECTED_INSTANCES": "expected_instances",
    "SSE_CANARY_SECONDS": "canary",
    "NATS_STREAM_STORAGE": "stream_storage",
    "NATS_STREAM_REPLICAS": "stream_replicas",
    "NATS_STREAM_MAX_AGE_SECONDS": "stream_max_age",
    "NATS_STREAM_MAX_BYTES": "stream_max_bytes",
    "NATS_CREDENTIALS_FILE": "nats_credentials_file",
    "NATS_TLS_CA_FILE": "nats_tls_ca_file",
    "NATS_TLS_CERT_FILE": "nats_tls_cert_file",
    "NATS_TLS_KEY_FILE": "nats_tls_key_file",
}

RENAMED = {
    "SSE_STREAM_STORAGE": "NATS_STREAM_STORAGE",
    "SSE_STREAM_REPLICAS": "NATS_STREAM_REPLICAS",
    "SSE_STREAM_MAX_AGE_SECONDS": "NATS_STREAM_MAX_AGE_SECONDS",
}
"""What a setting was called, and what it is called now. The old name is refused: who
set it means something by it."""


def renamed_faults(is_set: Callable[[str], bool]) -> list[str]:
    """What to say of each old name that is set, by `is_set`."""
    return [
        f"{old} is now called {new}: set that instead"
        for old, new in RENAMED.items()
        if is_set(old)
    ]


def configured_token() -> str:
    """`SSE_AUTHENTICATION_TOKEN`; empty where the project has none."""
    return getattr(django_settings, "SSE_AUTHENTICATION_TOKEN", None) or ""


def tokens_in(value: str) -> tuple[str, ...]:
    """The secrets in `SSE_AUTHENTICATION_TOKEN`: one, or the new and the old one
    separated by a comma while they are being exchanged. Each is accepted; the first is
    the one to publish with."""
    return tuple(token.strip() for token in value.split(",") if token.strip())


def token_fault(value: str) -> str | None:
    """Why `value` cannot be `SSE_AUTHENTICATION_TOKEN`; None if it can."""
    tokens = tokens_in(value)
    if not tokens:
        return (
            "is not set: it takes the secret that Flagsmith's task processor sends "
            "(its own SSE_AUTHENTICATION_TOKEN)"
        )
    for token in tokens:
        if not token.isascii() or not token.isprintable() or " " in token:
            return "takes printable ASCII characters without spaces"
    return None
