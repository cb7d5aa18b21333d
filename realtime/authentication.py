"""Token authentication as Django REST framework does it, with one shared secret."""

import hmac
from http import HTTPStatus

from realtime.asgi import Scope
from realtime.http import HttpError, header


class TokenAuthentication:
    """`Authorization: Token <secret>`; the scheme is case-insensitive."""

    keyword = b"Token"

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def authenticate(self, scope: Scope) -> None:
        """Raises `HttpError` 401 unless `scope` carries the secret."""
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
        # In constant time: the time must not tell how much of a guess is right.
        if not hmac.compare_digest(parts[1], self._secret):
            raise self._refusal("Invalid token.")

    def _refusal(self, detail: str) -> HttpError:
        challenge = (b"www-authenticate", self.keyword)
        return HttpError(HTTPStatus.UNAUTHORIZED, detail, (challenge,))
