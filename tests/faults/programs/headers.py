"""Counts requests that come as lines of JSON, lists of [start, queue start, body wait], and tells
for each when it was made, and why it was not recorded if it was not."""

from __future__ import annotations

import json
import sys
import time
from typing import Dict, Optional

from prelude import app, flush, start_response, stats

REASONS = ["missing", "malformed", "stale", "future"]


def environ_of(start: Optional[str], queue_start: Optional[str]) -> Dict[str, str]:
    values = {"HTTP_X_REQUEST_START": start, "HTTP_X_QUEUE_START": queue_start}
    return {name: value for name, value in values.items() if value is not None}


def reason(before: Dict[str, int]) -> Optional[str]:
    after = stats()
    found = [name for name in REASONS if after[f"stamp_{name}"] > before[f"stamp_{name}"]]
    return found[0] if found else None


for line in sys.stdin:
    said = []
    for start, queue_start, _ in json.loads(line):
        environ, counted = environ_of(start, queue_start), stats()
        before = time.time_ns()
        app(environ, start_response)
        said.append([before, time.time_ns(), reason(counted)])
    assert flush(), stats()
    print(json.dumps(said), flush=True)
