"""The secrets in `SSE_AUTHENTICATION_TOKEN`, which publishers and the service share."""

from django.conf import settings

from realtime.setting import separated


def configured_token() -> str:
    """`SSE_AUTHENTICATION_TOKEN`; empty where the project has none."""
    return getattr(settings, "SSE_AUTHENTICATION_TOKEN", None) or ""


def tokens_in(value: str | None) -> tuple[str, ...]:
    """The secrets in `SSE_AUTHENTICATION_TOKEN`: one, or the new and the old one
    separated by a comma while they are being exchanged. Each is accepted; the first is
    the one to publish with."""
    return tuple(separated(value or ""))


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
