"""More requests than can be kept while nothing can be sent."""

import json
import resource

import dynoscale
from prelude import record, stats


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


before = peak_kb()
for _ in range(80):
    record(16_000)
    dynoscale.flush(0)
print(json.dumps({"grown_kb": peak_kb() - before, "stats": stats()}))
