"""`manage.py serve` of a project that is not `flagsmith_sse`, whose own command of that
name comes before this one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Says which command serves the streams of this project."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        # Whatever the options: they are those of the other command.
        super().run_from_argv(argv[:2])

    def handle(self, **options: Any) -> None:
        raise CommandError(
            "serve is for the project flagsmith_sse alone: here Daphne runs what "
            "realtime.hosting.host composes (docs/deployment.md)."
        )
