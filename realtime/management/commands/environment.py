"""`manage.py environment`: who is subscribed to one environment, and was told what."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from realtime.conf import RealtimeSettings
from realtime.environments import is_environment_key
from realtime.fleet.environment.report import survey_environment
from realtime.fleet.environment.terminal_text import environment_text
from realtime.fleet.fleet_report import as_json
from realtime.management.client_command import ClientCommand


class Command(ClientCommand):
    help = (
        "Tell who is subscribed to an environment. Every instance is asked over NATS "
        "how many subscribe to KEY, with what kind of client, and when they were last "
        "told of an update. Nobody refetches because of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", metavar="KEY", help="the environment's key")
        parser.add_argument("--json", action="store_true", help="as JSON, in one line")

    def handle(self, *, key: str, json: bool, **options: Any) -> None:
        if not is_environment_key(key):
            raise CommandError(f"{key} cannot be an environment key.")
        settings = RealtimeSettings.from_django(hosting=False)
        report = asyncio.run(survey_environment(settings, key))
        if report.nats_error:
            raise CommandError(report.nats_error)
        if json:
            self.stdout.write(as_json(report).decode())
        else:
            self.stdout.write(environment_text(report))
