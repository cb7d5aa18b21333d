"""Django's command line with this project's settings: `manage.py`, `flagsmith-sse` and
`python -m flagsmith_sse` are all this."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036  what follows would not even be parsed
    sys.exit("error: Python 3.11 or newer is needed, and this is " + sys.executable)

from realtime import __version__
from realtime.server.missing_packages import install_command, missing_module
from realtime.server.signals import end_quietly_on_signals

INTERRUPTED = 130
"""What a shell makes of SIGINT."""


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        # Before anything else is imported, which takes a second.
        end_quietly_on_signals()
    if sys.argv[1:] in (["--version"], ["version"]):
        print("flagsmith-sse", __version__)
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsmith_sse.settings")
    try:
        _execute()
    except ModuleNotFoundError as error:
        # The package alone is the app `realtime`, for other projects.
        sys.exit(f"error: {missing_module(error.name)}")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _execute() -> None:
    from django.core.exceptions import ImproperlyConfigured

    from flagsmith_sse.command_line import CommandLine

    try:
        CommandLine(sys.argv).execute()
    except ImproperlyConfigured as error:
        if "psycopg" in str(error):
            command = install_command("postgres")
            sys.exit(f"error: DATABASE_URL names a PostgreSQL, which needs {command}")
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
