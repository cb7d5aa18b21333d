"""A pod whose instances forget after seconds who was alive, and not after a minute:
what they still know then, they know for good."""

from realtime.fleet import presence
from tests.support.pod import *  # noqa: F403  all of them are settings

presence.REMEMBER_SECONDS = 4.0  # type: ignore[misc]  # final, elsewhere
