"""Selects the queues to read."""

from __future__ import annotations

import re
from typing import Iterable, Optional

MOST = 50
"""Queues of one backend that are read unless the settings name them."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def choose(names: Iterable[str], setting: Optional[str]) -> tuple[list[str], int]:
    """The names to read, and how many were cut off for being too many.

    ``setting``: names or patterns with *, between commas. It alone decides where there is one;
    else names with a UUID are left out, and of the rest the MOST shortest stay.
    """
    pattern = _pattern(setting)
    if pattern is not None:
        return sorted(name for name in set(names) if pattern.fullmatch(name)), 0
    lasting = [name for name in set(names) if not _UUID.search(name)]
    lasting.sort(key=lambda name: (len(name), name))
    return lasting[:MOST], max(0, len(lasting) - MOST)


def _pattern(setting: Optional[str]) -> Optional[re.Pattern[str]]:
    parts = [part.strip() for part in (setting or "").split(",")]
    patterns = [".*".join(map(re.escape, part.split("*"))) for part in parts if part]
    return re.compile("|".join(patterns), re.DOTALL) if patterns else None
