"""Django's command line with this project's settings: `manage.py`, `flagsmith-sse` and
`python -m flagsmith_sse` are all this."""

import os
import sys

from realtime.server.signals import end_quietly_on_signals


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        # Before anything else is imported, which takes a second.
        end_quietly_on_signals()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flagsmith_sse.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")
    except ModuleNotFoundError as error:
        # The package alone is the app `realtime`, for other projects.
        sys.exit(
            f"error: there is no module {error.name}: pip install "
            "'flagsmith-sse[serve]' brings what the service needs"
        )


if __name__ == "__main__":
    main()
