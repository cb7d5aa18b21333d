"""The environment variables that the service knows."""

from flagsmith_sse import settings

KNOWN = frozenset(settings.environment.known)


def unknown(named: dict[str, object] | None) -> set[str]:
    """Those of `named` that the service would not read."""
    return set(named or {}) - KNOWN
