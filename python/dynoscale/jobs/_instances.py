"""Finds the objects of a library that the app made, where the library keeps no list of them."""

from __future__ import annotations

import functools
import inspect
import sys
import time
import weakref
from typing import Any, Callable, Iterable, Iterator

from dynoscale import jobs

_MOST = 64
"""Instances that are remembered, at most."""


def named(kinds: Iterable[Any]) -> Iterator[Any]:
    """The instances of these classes that modules have by a name, or in a dict that has one. To
    look at every object that there is takes seconds in a large process. The other threads get a
    moment after each module."""
    wanted = tuple(kinds)
    for module in list(sys.modules.values()) if wanted else ():
        for thing in list(getattr(module, "__dict__", {}).values()):
            things = thing.values() if type(thing) is dict and len(thing) < 100 else (thing,)
            for made in list(things):
                if issubclass(type(made), wanted):
                    yield made
        time.sleep(0)


def wrap(owner: Any, method: str, around: Callable[..., Any]) -> None:
    """Replace a method of a class by ``around(original, self, *args, **kwargs)``, once."""
    original = owner.__dict__.get(method)
    if original is None or hasattr(original, "_dynoscale"):
        return

    @functools.wraps(original)
    def wrapped(made: Any, *args: Any, **kwargs: Any) -> Any:
        return around(original, made, *args, **kwargs)

    @functools.wraps(original)
    async def wrapped_coroutine(made: Any, *args: Any, **kwargs: Any) -> Any:
        return await around(original, made, *args, **kwargs)

    replacement: Any = wrapped_coroutine if inspect.iscoroutinefunction(original) else wrapped
    replacement._dynoscale = True
    setattr(owner, method, replacement)


class Instances:
    """The living instances of some classes: those made since they are followed, those that a module
    has by a name, and those that were used since."""

    def __init__(self) -> None:
        self._found: dict[int, weakref.ref[Any]] = {}
        self._made_earlier: list[Any] = []

    def follow(self, kind: Any, made_earlier: bool) -> None:
        """Remember each instance of this class when it is made. With ``made_earlier``, the next
        ``living`` looks for those of before, too."""
        if made_earlier:
            self._made_earlier.append(kind)

        def around(original: Any, made: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(made, *args, **kwargs)
            self.remember(made)
            return result

        wrap(kind, "__init__", around)

    def remember(self, made: Any) -> None:
        """Also where it was used. Nothing that goes wrong here reaches the app."""
        if id(made) in self._found:
            return
        try:
            if len(self._found) >= _MOST:
                self._forget()
            if len(self._found) < _MOST:
                self._found[id(made)] = weakref.ref(made)
                jobs.wake()
        except Exception:
            pass

    def living(self) -> list[Any]:
        wanted, self._made_earlier = self._made_earlier, []
        for made in named(wanted):
            self.remember(made)
        self._forget()
        found = [reference() for reference in list(self._found.values())]
        return [made for made in found if made is not None]

    def _forget(self) -> None:
        for number, reference in list(self._found.items()):
            if reference() is None:
                self._found.pop(number, None)
