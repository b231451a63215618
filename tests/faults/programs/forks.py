"""Forks so often while threads record and the native thread sends. Children of all kinds. Prints how
many rows are to arrive: on a busy machine some may be dropped, and counted."""

import os
import sys
import threading
import time

from prelude import end_well, flush, leave, record, stats

forks = int(sys.argv[1])
done = threading.Event()
counts = []


def work() -> None:
    count = 0
    while not done.is_set():
        record(10)
        count += 10
        time.sleep(0.005)
    counts.append(count)


def send() -> None:
    while not done.is_set():
        flush()
        time.sleep(0.002)


def child(kind: int) -> None:
    if kind == 0:
        os._exit(0)
    if kind == 1:
        os.execvp("true", ["true"])
    record()
    if kind == 2:
        pid = os.fork()
        if pid == 0:
            record()
            leave()
        end_well(pid)
    assert stats()["recorded"] == 1
    leave()


threads = [threading.Thread(target=work) for _ in range(3)] + [threading.Thread(target=send)]
for thread in threads:
    thread.start()
recorded = 0
try:
    for number in range(forks):
        kind = number % 5
        pid = os.fork()
        if pid == 0:
            try:
                child(kind)
            finally:
                os._exit(2)
        recorded += [0, 0, 2, 1, 1][kind]
        end_well(pid)
finally:
    done.set()
    for thread in threads:
        thread.join()
assert flush()
print(recorded + sum(counts) - stats()["dropped_full"])
