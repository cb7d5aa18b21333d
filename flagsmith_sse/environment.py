"""The environment variables: what those that are settings say, and which look like
settings and are none."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from realtime.setting import Setting, T, explained

PREFIXES: Final = ("SSE_", "NATS_")

_OF_KUBERNETES: Final = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT|PORT_\d+_(TCP|UDP|SCTP)\w*)"
)
"""What Kubernetes tells every container of a service called `nats` or `sse`."""


class Environment:
    """Reads settings from `variables`. `known` are those that have been read."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.known: dict[str, Setting[Any]] = {}
        self._faults: list[str] = []

    def read(self, setting: Setting[T], meaning: str = "") -> T:
        """The value of `setting`; its default, too, where the value is at fault."""
        if meaning:
            setting = explained(setting, meaning)
        self.known[setting.name] = setting
        text = self._variables.get(setting.name, setting.default)
        try:
            return setting.parse(text)
        except ValueError:
            self._faults.append(setting.fault(text))
            return setting.parse(setting.default)

    def read_all(self, settings: Iterable[Setting[Any]]) -> dict[str, Any]:
        """The values of `settings` by their names."""
        return {setting.name: self.read(setting) for setting in settings}

    def require_sensible(self) -> None:
        """Raise `ImproperlyConfigured` if a value was at fault, with one line that
        names all of those."""
        if self._faults:
            raise ImproperlyConfigured("; ".join(sorted(self._faults)))

    def unknown(self) -> dict[str, str | None]:
        """The variables that begin as settings do and have not been read: misspelt,
        most likely, and without effect. With each the nearest that is known, if one is
        near."""
        return {
            name: next(iter(get_close_matches(name, self.known, n=1, cutoff=0.8)), None)
            for name in sorted(self._variables)
            if name.startswith(PREFIXES)
            and name not in self.known
            and not _OF_KUBERNETES.fullmatch(name)
        }
