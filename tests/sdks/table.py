"""The table of the SDKs: what each of them demands of a stream.

Read from each SDK's published source. The stream must satisfy every row at once. The
real SDK runs where it can; elsewhere a parser that follows its rule reads the bytes
that the server really sent, in the pieces in which they came.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from tests.sdks.android import AndroidParser
from tests.sdks.client import Client
from tests.sdks.flagsmith_api import FlagsmithApi
from tests.sdks.flutter import FlutterParser
from tests.sdks.go import GoParser
from tests.sdks.ios import IosParser
from tests.sdks.javascript_sdk import javascript_client
from tests.sdks.parsed_client import parsed_client
from tests.sdks.python_sdk import python_client
from tests.sdks.ruby import RubyParser
from tests.support.service import Service


@dataclass(frozen=True)
class Sdk:
    name: str
    event: str
    """How it finds an event."""
    value: str
    """How it reads `updated_at`."""
    client: Callable[[Service, FlagsmithApi], AbstractAsyncContextManager[Client]]
    """Runs an application with the SDK until the end of the block."""
    needs_end: bool = False
    """It sees an update only when the server has ended the response."""


SDKS = [
    Sdk(
        "javascript",
        event="listens for `environment_updated`, from another origin",
        value="number, compared with the header x-flagsmith-document-updated-at",
        client=javascript_client,
    ),
    Sdk(
        "android",
        event="full parsing; the type must be `environment_updated`",
        value="Double",
        client=partial(parsed_client, AndroidParser),
    ),
    Sdk(
        "flutter",
        event="line by line; the type must be `environment_updated`",
        value="`is double`: an integer is ignored",
        client=partial(parsed_client, FlutterParser),
    ),
    Sdk(
        "ios",
        event="lines that start with `data:`, in each piece of the body on its own",
        value="Double",
        client=partial(parsed_client, IosParser),
    ),
    Sdk(
        "python",
        event="full parsing; any event with data",
        value="datetime.fromtimestamp: milliseconds raise",
        client=python_client,
    ),
    Sdk(
        "go",
        event="lines that start with `data: `, with the space",
        value="float64, greater than 0",
        client=partial(parsed_client, GoParser),
    ),
    Sdk(
        "ruby",
        event="lines that start with `data: `, once the response has ended",
        value="number",
        client=partial(parsed_client, RubyParser),
        needs_end=True,
    ),
]
