"""The interfaces of adapters and of the reader."""

from __future__ import annotations

from typing import Iterable, Protocol


class Turn(Protocol):
    """What an adapter may use during one reading."""

    def choose(self, names: Iterable[str]) -> list[str]:
        """The names of these queues that are to be read."""

    def failed(self, error: Exception) -> None:
        """Log that one of several servers can't be read, and go on with the others."""

    def asks(self, signal: str) -> bool:
        """Whether the service asks for a signal, ``depth`` or ``working``. An adapter that learns
        it by a command of its own leaves that out where nobody asks."""

    def count(self, signal: str, queue: str, jobs: int) -> None:
        """Tell how many jobs of a queue are ready to run (``depth``), or are being worked on by all
        workers (``working``): 0 too, and of a queue whose age can't be told. Of a queue that several
        servers have, the sum. Nothing is told of what is not known."""


class Adapter(Protocol):
    """Reads the queues of one backend, over connections that the backend's library makes."""

    name: str
    """The name that readings are reported under: NAME:QUEUE."""

    def prepare(self) -> None:
        """Called once the library is loaded or about to be, in every process that may enqueue."""

    def loaded(self, module: str) -> None:
        """Called once a module of this library that is in FOLLOWED was imported."""

    def sources(self) -> list[str]:
        """What there is to read, as far as can be told without reading: a name for each server, by
        which processes agree on who reads it. Without secrets. None where there is nothing."""

    def read(self, turn: Turn, sources: Iterable[str]) -> dict[str, float]:
        """The age in ms of the oldest job that is ready to run, by queue of these sources; 0 where
        there is none.

        A job that was scheduled, retried or given an ETA is ready, and ages, from when it is due.
        A queue whose age can't be told, or that is paused, is left out. What the same round trips
        tell of numbers of jobs goes to ``turn.count``. Raises what the library raises. Takes a
        bounded time and, where the backend allows, as many round trips for all queues as for one;
        moves, consumes and changes nothing.
        """
