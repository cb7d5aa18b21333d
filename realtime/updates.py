"""An update: "environment X changed at T". Parsing what is published, encoding what is
stored; what is sent to clients is made in `realtime.sse.frames`."""

import json
import math
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from realtime.exceptions import InvalidUpdate

MAX_BODY_BYTES: Final = 4096
"""A published body is some 50 bytes; anything over this is refused."""

MOST_CLOCK_SKEW_SECONDS: Final = 300.0
"""By how much the clock of whoever publishes may be ahead of ours."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# What `datetime.fromisoformat` takes is wider: any separator, any script's digits.
_ISO_CHARACTERS: Final = re.compile(r"[0-9W-]{1,10}(?:[T ][0-9:.,+-]+Z?)?", re.ASCII)


# What nearly every publisher sends and every instance stores: one number, so plain that
# it is valid JSON and fits a double.
_PLAIN: Final = re.compile(
    rb'\s*\{\s*"updated_at"\s*:\s*((?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,9})?)\s*\}\s*'
)


class _Number(str):
    """A JSON number as it was written."""


class _NotJson(str):
    """`NaN`, `Infinity` or `-Infinity`, which Python's parser takes."""


class _Object(dict[str, Any]):
    """A JSON object that remembers how often each of its names was given."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._names = [name for name, _ in pairs]

    def times(self, name: str) -> int:
        return self._names.count(name)


@dataclass(frozen=True, slots=True)
class Update:
    """The time of an environment's latest change.

    `updated_at` is a JSON number as text (Unix seconds): written as the publisher wrote
    it, because `123` and `123.0` differ to some SDKs. `dated` says whether it was
    published as a date and time, as Flagsmith does: then its order in time means
    something. Numbers are anybody's, a load test's for example, and may start again.
    """

    updated_at: str
    dated: bool = field(default=False, compare=False)

    @property
    def seconds(self) -> float:
        """`updated_at` as a number."""
        return float(self.updated_at)

    def not_before(self, latest: "Update | None", now: float) -> "Update":
        """This update, or its event with the time of `latest` where a dated update is
        older than that: a retry that comes late must not turn the time back, because
        an SDK that compares times would not fetch its flags.

        `now` is in Unix seconds: a time far in the future is a mistake, and is not
        carried on.
        """
        if (
            latest is None
            or not self.dated
            or not self.seconds < latest.seconds <= now + MOST_CLOCK_SKEW_SECONDS
        ):
            return self
        return replace(latest, dated=True)

    def payload(self) -> bytes:
        """What is stored in JetStream; no space after the colon, as documented."""
        return b'{"updated_at":%s}' % self.updated_at.encode()


def parse_update(body: bytes) -> Update:
    """The update in `body`: `{"updated_at": <number or ISO 8601 string>}` as JSON.

    A number is passed on exactly as it was written. A string becomes Unix seconds with
    a decimal point (Dart ignores a JSON integer); without an offset it is UTC.

    Raises `InvalidUpdate` with the field and the reason.
    """
    if plain := _PLAIN.fullmatch(body):
        return Update(plain[1].decode())
    not_json: list[_NotJson] = []

    def take_constant(name: str) -> _NotJson:
        not_json.append(_NotJson(name))
        return not_json[-1]

    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_Object,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=take_constant,
        )
    except UnicodeDecodeError:
        raise InvalidUpdate("detail", "JSON parse error - not UTF-8") from None
    except RecursionError:
        raise InvalidUpdate("detail", "JSON parse error - nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidUpdate("detail", f"JSON parse error - {error}") from None
    if not isinstance(document, _Object):
        raise InvalidUpdate("non_field_errors", "Invalid data. Expected a JSON object.")
    if "updated_at" not in document:
        raise InvalidUpdate("updated_at", "This field is required.")
    if document.times("updated_at") > 1:
        raise InvalidUpdate("updated_at", "This field was given more than once.")
    updated_at = document["updated_at"]
    dated = isinstance(updated_at, str) and not isinstance(updated_at, _Number)
    update = Update(_unix_seconds(updated_at), dated)
    if not_json:
        raise InvalidUpdate("detail", f"JSON parse error - {not_json[0]} is no number")
    return update


def _unix_seconds(value: object) -> str:
    if isinstance(value, _NotJson):
        raise InvalidUpdate("updated_at", f"{value} is not a JSON number.")
    if isinstance(value, _Number):
        if value.startswith("-"):
            raise InvalidUpdate("updated_at", "Must not be negative.")
        if math.isinf(float(value)):
            raise InvalidUpdate("updated_at", "Too large for a number.")
        return str(value)
    if isinstance(value, str):
        return _from_iso(value)
    if value is None:
        raise InvalidUpdate("updated_at", "This field may not be null.")
    raise InvalidUpdate(
        "updated_at", "Must be a number of Unix seconds or an ISO 8601 date and time."
    )


def _from_iso(text: str) -> str:
    try:
        if not _ISO_CHARACTERS.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        # Exact, where `timestamp()` is a double: 2 ** 53 microseconds end in 2255.
        microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise InvalidUpdate(
            "updated_at",
            "Not an ISO 8601 date and time, such as 2023-01-12T18:06:42.028060+00:00.",
        ) from None
    if microseconds < 0:
        raise InvalidUpdate("updated_at", "Must not be before 1970.")
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{seconds}.{f'{fraction:06d}'.rstrip('0') or '0'}"
