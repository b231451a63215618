"""Real apps with real agents, scaled by a real service."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tests/support", "tests/servers", "tests/loop"):
    sys.path.insert(0, str(ROOT / folder))
