"""Django's command line, which lists our commands first and each with what it does."""

import shutil
import textwrap
from typing import Final

from django.core.management import (
    ManagementUtility,
    get_commands,
    load_command_class,
)

from realtime import __version__

OURS: Final = ("realtime", "flagsmith_sse")
"""The packages whose commands are the service's own."""

WIDEST: Final = 88
"""Characters of a line, where the terminal has as many."""


class CommandLine(ManagementUtility):
    """`manage.py` and `flagsmith-sse`. Raises `ImproperlyConfigured`, and
    `ModuleNotFoundError` where not all packages are installed."""

    def __init__(self, argv: list[str]) -> None:
        super().__init__(argv)
        # "python -m django", says Django.
        if self.prog_name.startswith("python -m"):
            self.prog_name = "python -m flagsmith_sse"

    def main_help_text(self, commands_only: bool = False) -> str:
        """What `help` prints: the commands, Django's apart from ours."""
        if isinstance(self.settings_exception, ModuleNotFoundError):
            raise self.settings_exception
        if commands_only or self.settings_exception is not None:
            text: str = super().main_help_text(commands_only)
            return text
        commands = get_commands()
        ours = [name for name, app in commands.items() if _is_ours(app)]
        others = [name for name in commands if name not in ours]
        return "\n\n".join(
            (
                f"flagsmith-sse {__version__}, real-time updates for Flagsmith",
                f"Usage: {self.prog_name} COMMAND [OPTIONS]\n"
                f"       {self.prog_name} help COMMAND",
                "Commands of the service:\n" + _described(sorted(ours)),
                "Commands of Django:\n" + _wrapped(" ".join(sorted(others)), "  "),
            )
        )


def _is_ours(app: str) -> bool:
    return app.partition(".")[0] in OURS


def _described(commands: list[str]) -> str:
    """Each with the first sentence of its help."""
    width = max(map(len, commands)) + 4
    return "\n".join(
        _wrapped(_summary(name), " " * width, f"  {name}".ljust(width))
        for name in commands
    )


def _summary(name: str) -> str:
    help_text = str(load_command_class(get_commands()[name], name).help)
    return " ".join(help_text.split()).partition(". ")[0].rstrip(".")


def _wrapped(text: str, indent: str, first: str | None = None) -> str:
    return textwrap.fill(
        text,
        min(shutil.get_terminal_size().columns, WIDEST),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )
