"""As much of the Flagsmith API as its SDKs need to start and to refetch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tests.sdks.loopback import Handler, served


class FlagsmithApi:
    """One environment with one feature, `colour`."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.url = ""
        self.fetches = 0
        """How often a client has fetched the flags."""
        self._colour = ""
        self._updated_at = datetime.now(UTC)

    def change(self, colour: str, updated_at: datetime) -> None:
        self._colour, self._updated_at = colour, updated_at

    def fetch(self) -> tuple[str, float]:
        """The value of `colour`, and when the environment was updated."""
        self.fetches += 1
        return self._colour, self._updated_at.timestamp()

    def flags(self) -> list[dict[str, Any]]:
        """What `GET /api/v1/flags/` answers."""
        return [
            {
                "id": 1,
                "enabled": True,
                "feature": {"id": 1, "name": "colour", "type": "STANDARD"},
                "feature_state_value": self._colour,
            }
        ]

    def environment_document(self) -> dict[str, Any]:
        """What `GET /api/v1/environment-document/` answers."""
        return {
            "id": 1,
            "api_key": self.environment,
            "name": "Test",
            "updated_at": self._updated_at.isoformat(),
            "project": {"id": 1, "name": "Test", "segments": []},
            "feature_states": [{**flag, "django_id": 1} for flag in self.flags()],
            "identity_overrides": [],
        }


@contextmanager
def flagsmith_api(environment: str) -> Iterator[FlagsmithApi]:
    """Serve the API until the end of the block, to pages of any origin."""
    api = FlagsmithApi(environment)

    class ApiHandler(Handler):
        def do_OPTIONS(self) -> None:
            self.answer(
                200,
                Access_Control_Allow_Origin="*",
                Access_Control_Allow_Headers=self.headers.get(
                    "Access-Control-Request-Headers", ""
                ),
            )

        def do_GET(self) -> None:
            document = {
                "/api/v1/flags/": api.flags,
                "/api/v1/environment-document/": api.environment_document,
            }.get(self.path)
            key = self.headers.get("X-Environment-Key", "").removeprefix("ser.")
            if document is None or key != environment:
                self.answer(404)
                return
            _, updated_at = api.fetch()
            self.answer(
                200,
                json.dumps(document()).encode(),
                Content_Type="application/json",
                Access_Control_Allow_Origin="*",
                Access_Control_Expose_Headers="x-flagsmith-document-updated-at",
                x_flagsmith_document_updated_at=str(updated_at),
            )

    with served(ApiHandler) as url:
        api.url = f"{url}/api/v1/"
        yield api
