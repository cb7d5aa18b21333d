"""Where updates come in over HTTP: queue-change, by which Flagsmith's task processor
says that an environment was updated, and relay, by which another instance does."""

import asyncio
import time
from http import HTTPStatus
from typing import Final

from msgspec import json
from msgspec.structs import replace

from realtime import metrics
from realtime.endpoints.held_requests import to_its_end
from realtime.endpoints.refused_publishes import note_answer
from realtime.environments import is_environment_key, is_probe_environment
from realtime.exceptions import InvalidUpdate, NatsUnavailable, PublishFailed
from realtime.http.asgi import Receive, Scope, environment_in
from realtime.http.authentication import TokenAuthentication
from realtime.http.eager_coroutine import by_deadline
from realtime.http.view import (
    HttpError,
    Response,
    View,
    header,
    not_found,
    read_body,
    too_large,
    unavailable,
)
from realtime.intake.relay import SIGNATURE_HEADER, Relayed, is_signed
from realtime.service import RealtimeService
from realtime.updates import MAX_BODY_BYTES, parse_update

ANSWER_SECONDS: Final = 1.7
"""The task processor waits 2 s (its `requests` timeout); the rest is for the way."""


KEPT: Final = (b"flagsmith-sse-kept", b"true")
"""Says that an update is not stored yet, but kept by the process that answers."""


class QueueChangeView(View):
    """`POST /sse/environments/{environment}/queue-change`, `{"updated_at": …}`: 202
    once JetStream has stored the update, or, with the header `KEPT`, once it is kept
    to be stored later."""

    methods = ("POST",)

    def __init__(self, service: RealtimeService) -> None:
        self._service = service
        self._authentication = TokenAuthentication(
            service.settings.authentication_tokens
        )

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        response = await super().answer(scope, receive)
        # What becomes of a probe's update says nothing of Flagsmith's.
        is_probe = is_probe_environment(environment_in(scope))
        if response.status != HTTPStatus.ACCEPTED or not is_probe:
            metrics.publish_requests[str(int(response.status))].inc()
        if not is_probe:
            note_answer(self._service, scope, response)
        return response

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        environment = environment_in(scope)
        if not is_environment_key(environment):
            raise not_found()
        self._authentication.authenticate(scope)
        check_headers(scope)
        # uvloop's clock counts in milliseconds: not fine enough to measure with.
        asked_at = time.monotonic()
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        body = await read_in_time(receive, deadline)
        try:
            update = parse_update(environment, body)
        except InvalidUpdate as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, error.errors) from None
        try:
            taking = self._service.intake.take(update, deadline)
            stored = await to_its_end(self._service, taking)
        except (NatsUnavailable, PublishFailed) as error:
            raise unavailable(str(error), retry_after=1) from None
        if not stored:
            return Response(HTTPStatus.ACCEPTED, headers=(KEPT,))
        if not is_probe_environment(environment):
            # As many as are accepted, or the history could not tell what was kept.
            metrics.publish_duration_seconds.observe(time.monotonic() - asked_at)
        return Response(HTTPStatus.ACCEPTED)


class RelayView(View):
    """`POST /sse/environments/{environment}/relay`: an update that another instance was
    sent and cannot store (`realtime.intake.relay`): 202 once it is stored, or kept
    where that is asked for, and 503 if it is not."""

    methods = ("POST",)

    def __init__(self, service: RealtimeService) -> None:
        self._service = service

    async def handle(self, scope: Scope, receive: Receive) -> Response:
        service = self._service
        environment = environment_in(scope)
        if not is_environment_key(environment):
            raise not_found()
        deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
        body = await read_in_time(receive, deadline)
        signature = header(scope, SIGNATURE_HEADER) or b""
        if not is_signed(
            service.settings.authentication_tokens, environment, body, signature
        ):
            raise HttpError(HTTPStatus.FORBIDDEN, "Another instance must sign this.")
        try:
            relayed = json.decode(body, type=Relayed)
            body = b'{"updated_at":%s}' % relayed.updated_at.encode()
            update = replace(parse_update(environment, body), dated=relayed.dated)
        except (ValueError, InvalidUpdate):
            raise HttpError(HTTPStatus.BAD_REQUEST, "This is no update.") from None
        if relayed.sender == service.bridge.consumer_name:
            raise HttpError(HTTPStatus.CONFLICT, "This instance sent it itself.")
        taken = await service.intake.take_relayed(
            update,
            relayed.known,
            since=relayed.since,
            keep=relayed.keep,
        )
        if not taken:
            raise unavailable("NATS is not connected here either.", retry_after=1)
        return Response(HTTPStatus.ACCEPTED)


async def read_in_time(receive: Receive, deadline: float) -> bytes:
    """The whole body of a request. Raises `HttpError` as `read_body` does, and 408
    after `deadline` (event loop's time)."""
    try:
        # It has nearly always come by now.
        return await by_deadline(deadline, read_body(receive, MAX_BODY_BYTES))
    except TimeoutError:
        raise HttpError(
            HTTPStatus.REQUEST_TIMEOUT,
            f"The body did not arrive within {ANSWER_SECONDS} s.",
            close=True,
        ) from None


def check_headers(scope: Scope) -> None:
    """Raises `HttpError` 415 for a body that is no JSON, 413 for one declared too
    large; nothing of either is read."""
    content_type = header(scope, b"content-type") or b""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type != b"application/json":
        raise HttpError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f'Unsupported media type "{content_type.decode("latin-1")}" in request.',
        )
    length = header(scope, b"content-length")
    # Not `int()` of any length: thousands of digits take their time.
    if length is not None and (len(length) > 9 or int(length) > MAX_BODY_BYTES):
        raise too_large(MAX_BODY_BYTES)
