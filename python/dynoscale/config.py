"""The current settings, for reading.

>>> from dynoscale.config import Config
>>> print(Config())
"""

from __future__ import annotations

import platform
from typing import NamedTuple, Optional

from dynoscale import _agent, _native

__all__ = ["Config", "Setting"]


class Setting(NamedTuple):
    """One setting: its names, its value, and where that came from."""

    name: str
    """In code: a keyword of ``dynoscale.configure``."""
    variable: str
    """In the environment."""
    value: Optional[str]
    """The current value as text, None if unset. Secrets are hidden."""
    source: str
    """default, environment, framework or code; a later one wins."""
    default: str
    meaning: str


class Config:
    """The current settings, from the environment and code.

    Reading them opens, starts and logs nothing.
    """

    def __init__(self) -> None:
        options = _agent.gather()
        self.settings: tuple[Setting, ...] = tuple(Setting(*row) for row in options.rows())
        self.warnings: tuple[str, ...] = tuple(_agent.warnings(options))
        self.off_reason: str | None = options.off_reason()
        """Why this process does not report; None if it does."""

    def __getitem__(self, name: str) -> str | None:
        """A setting's value, by its name in code."""
        for setting in self.settings:
            if setting.name == name:
                return setting.value
        raise KeyError(name)

    def __str__(self) -> str:
        rows = [
            (setting.name, setting.value or "-", _origin(setting)) for setting in self.settings
        ]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = [f"dynoscale {_native.VERSION}, Python {platform.python_version()}"]
        lines += [
            f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}"
            for name, value, origin in rows
        ]
        lines += [f"Warning: {warning}" for warning in self.warnings]
        if self.off_reason is None:
            lines.append("On: this process reports.")
        else:
            lines.append(f"Off: {self.off_reason}.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        state = "on" if self.off_reason is None else "off"
        return f"<{type(self).__qualname__} {state}>"


def _origin(setting: Setting) -> str:
    if setting.source == "environment":
        return f"from {setting.variable}"
    if setting.source == "default":
        return f"default; set {setting.variable}"
    return f"from {setting.source}"
