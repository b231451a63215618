"""Runs out of files, then gets some back. A first report before it, or none: with `loaded` the
HTTP library is there already."""

import os
import resource
import sys
import time

from prelude import flush, record, stats

if sys.argv[1:] == ["loaded"]:
    record()
    assert flush()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    record(10)
while stats()["reports_failed"] == 0:
    time.sleep(0.01)
record(10)
for file in taken:
    os.close(file)
assert flush(), stats()
print(stats()["recorded"])
