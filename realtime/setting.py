"""What a setting is: its name, default, constraint and meaning, and how its text is
read. Where the text comes from is not known here."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_Field = TypeVar("_Field")

MOST_SECONDS: Final = 1_000_000_000
"""Thirty years; as nanoseconds, which is how NATS counts, still a 64-bit integer."""

MOST_SHOWN: Final = 40
"""Characters of a senseless value in the message about it."""

_ADDRESS: Final = r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):\d{1,5}"

_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "true", "on", "y", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "off", "n", "no"), False),
}


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A setting of Django's, or an environment variable, called `name`. `parse` makes
    its value of a text, such as `default`, or raises `ValueError`; `takes` says in
    words what it accepts. `shown` says that a text at fault is no secret, and `meaning`
    what the setting is for, in Markdown.
    """

    name: str
    default: str
    takes: str
    parse: Callable[[str], T]
    shown: bool = False
    meaning: str = ""

    def fault(self, text: str) -> str:
        """What to say of `text`, which `parse` has refused: one line, no secret."""
        found = f", not {text[:MOST_SHOWN]!r}" if self.shown else ""
        return f"{self.name} takes {self.takes}{found}"


def explained(setting: Setting[T], meaning: str) -> Setting[T]:
    """`setting` with its meaning."""
    return replace(setting, meaning=meaning)


def declared(setting: Setting[T], meaning: str) -> T:
    """A field of a dataclass that has the value of `setting`."""
    return made(setting, meaning, lambda value: value)


def made(setting: Setting[T], meaning: str, make: Callable[[T], _Field]) -> _Field:
    """A field of a dataclass that `make` makes of the value of `setting`."""
    return field(
        default=make(setting.parse(setting.default)),
        metadata={"setting": explained(setting, meaning), "make": make},
    )


def checked(
    parse: Callable[[str], T], check: Callable[[T], object]
) -> Callable[[str], T]:
    """`parse`, which raises `ValueError` also for what does not pass `check`."""

    def parse_and_check(text: str) -> T:
        value = parse(text)
        if not check(value):
            raise ValueError
        return value

    return parse_and_check


def seconds(
    name: str, default: str, *, above: float = -1, least: float = 0
) -> Setting[float]:
    """A duration in seconds: `least` or more, and more than `above`."""
    bound = f"{least:g} or more" if above < 0 else f"more than {above:g}"
    parse = checked(
        float, lambda value: least <= value <= MOST_SECONDS and value > above
    )
    return Setting(name, default, f"a number of seconds, {bound}", parse, shown=True)


def whole(
    name: str, default: str, least: int, most: int, of: str = "", *, zero: str = ""
) -> Setting[int]:
    """A whole number `of` a unit from `least` to `most`; `zero` says what 0 means where
    it stands for something else."""
    takes = f"a whole number of {of}" if of else "a whole number"
    if least:
        takes += f" from {least} to {most}"
    if zero:
        takes += f"; 0 is {zero}"
    parse = checked(int, lambda value: least <= value <= most or (value == 0 and zero))
    return Setting(name, default, takes, parse, shown=True)


def boolean(name: str, default: str) -> Setting[bool]:
    """True or false, in the usual spellings."""

    def parse(text: str) -> bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError
        return _BOOLEANS[text.lower()]

    return Setting(name, default, "true or false", parse, shown=True)


def text(
    name: str,
    default: str,
    takes: str,
    pattern: str = "(?s:.*)",
    *,
    shown: bool = False,
) -> Setting[str]:
    """A text that matches `pattern` as a whole."""
    parse = checked(str, re.compile(pattern).fullmatch)
    return Setting(name, default, takes, parse, shown)


def choice(name: str, default: str, other: str) -> Setting[str]:
    """One of two words."""
    return text(
        name, default, f"{default} or {other}", f"{default}|{other}", shown=True
    )


def address(name: str, default: str, example: str) -> Setting[str]:
    """Where to listen; where it is empty by `default`, it may be."""
    takes = f"HOST:PORT or :PORT, for example {example}"
    pattern = _ADDRESS if default else f"({_ADDRESS})?"
    return text(name, default, takes, pattern, shown=True)


def listed(
    name: str, default: str, takes: str, accepts: Callable[[str], object] = bool
) -> Setting[list[str]]:
    """Texts separated by commas; `accepts` is false for one that will not do, or raises
    `ValueError`."""
    parse = checked(separated, lambda items: all(accepts(item) for item in items))
    return Setting(name, default, takes, parse)


def separated(text: str) -> list[str]:
    """The parts of `text` between commas that are not empty."""
    return [item.strip() for item in text.split(",") if item.strip()]


def file(name: str, takes: str) -> Setting[str]:
    """The path of a file that exists; empty if the setting is not set."""
    return Setting(name, "", takes, checked(str, lambda v: not v or Path(v).is_file()))
