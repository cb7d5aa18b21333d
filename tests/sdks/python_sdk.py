"""The real Python SDK, in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from flagsmith import Flagsmith

from tests.sdks.flagsmith_api import FlagsmithApi
from tests.support.service import Service

STOP_SECONDS = 10


class PythonClient:
    def __init__(self, sdk: Flagsmith) -> None:
        self._sdk = sdk

    async def colour(self) -> str | None:
        value = self._sdk.get_environment_flags().get_feature_value("colour")
        return None if value is None else str(value)


@asynccontextmanager
async def python_client(
    service: Service, api: FlagsmithApi
) -> AsyncIterator[PythonClient]:
    sdk = Flagsmith(
        environment_key=f"ser.{api.environment}",
        api_url=api.url,
        realtime_api_url=service.url,
        enable_local_evaluation=True,
        enable_realtime_updates=True,
    )
    try:
        yield PythonClient(sdk)
    finally:
        await asyncio.to_thread(_stop, sdk, service, api.environment)


def _stop(sdk: Flagsmith, service: Service, environment: str) -> None:
    """End the SDK's thread, which reads its stream without a time-out and looks at its
    stop flag only when the stream ends or fails: the next update makes it fail."""

    def fail(event: Any) -> None:
        raise InterruptedError("The test is over.")

    thread = sdk.event_stream_thread
    thread.on_event = fail
    thread.stop()
    service.publish(environment, 1.5)
    thread.join(STOP_SECONDS)
    assert not thread.is_alive()
    sdk.session.close()
