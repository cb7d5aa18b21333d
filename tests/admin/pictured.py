"""The service's settings for pictures: it takes itself for the host `POD`, and instead
of its own last hour, which began with its start, the Daphne among them remembers one
that never was: `DJANGO_SETTINGS_MODULE=tests.admin.pictured`."""

import os

from realtime.fleet.history.minutes import Hour
from realtime.fleet.history.recorder import Recorder
from tests.admin.made_up_hour import ENVIRONMENTS, made_up_hour
from tests.support.pod import *  # noqa: F403  Django's way to extend settings


def _hour(recorder: Recorder) -> Hour:
    # Where nobody is subscribed the picture is of an installation that is new.
    if "daphne" in os.environ["POD"] and recorder._hub.subscribers:
        return made_up_hour(ENVIRONMENTS)
    return Hour(since=0)


Recorder.hour = _hour  # type: ignore[assignment, method-assign]  # mypy knows no patches
