"""Token authentication as Django REST framework does it, with shared secrets."""

import hmac
from collections.abc import Iterable
from http import HTTPStatus

from realtime.http.asgi import Scope
from realtime.http.view import HttpError, header


class TokenAuthentication:
    """`Authorization: Token <secret>`, with any of `secrets`; the scheme is
    case-insensitive."""

    keyword = b"Token"

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def authenticate(self, scope: Scope) -> None:
        """Raises `HttpError` 401 unless `scope` carries the secret. There are five
        reasons; none tells anything of a token."""
        parts = (header(scope, b"authorization") or b"").split()
        if not parts or parts[0].lower() != self.keyword.lower():
            raise self._refusal("Authentication credentials were not provided.")
        if len(parts) == 1:
            raise self._refusal("Invalid token header. No credentials provided.")
        if len(parts) > 2:
            raise self._refusal(
                "Invalid token header. Token string should not contain spaces."
            )
        try:
            parts[1].decode()
        except UnicodeDecodeError:
            raise self._refusal(
                "Invalid token header. "
                "Token string should not contain invalid characters."
            ) from None
        # In constant time, and all of them: the time must not tell how much of a guess
        # is right, nor of which.
        equal = [hmac.compare_digest(parts[1], secret) for secret in self._secrets]
        if not any(equal):
            raise self._refusal("Invalid token.")

    def _refusal(self, detail: str) -> HttpError:
        challenge = (b"www-authenticate", self.keyword)
        return HttpError(HTTPStatus.UNAUTHORIZED, detail, (challenge,))
