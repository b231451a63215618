from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Iterator

import agent_tools
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from receiver import ReceiverProcess  # noqa: E402

import dynoscale  # noqa: E402

for variable in agent_tools.VARIABLES:
    os.environ.pop(variable, None)

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def service() -> Iterator[ReceiverProcess]:
    with ReceiverProcess() as receiver:
        yield receiver


@pytest.fixture
def receiver(service: ReceiverProcess) -> ReceiverProcess:
    """The service, well and with nothing stored."""
    service.behave()
    service.clear()
    return service


def turn_off() -> None:
    dynoscale.stop()
    dynoscale.configure(**dict.fromkeys(dynoscale._native.SETTING_NAMES))
    dynoscale._agent._refused.clear()  # settings that there are not can't be taken back


@pytest.fixture
def agent(receiver: ReceiverProcess) -> Iterator[None]:
    """An agent of this process with counters at 0, which reports to the receiver."""
    dynoscale.configure(url=f"{receiver.url}/token{next(numbers)}", dyno="web.1")
    yield
    receiver.behave()
    turn_off()


@pytest.fixture
def settings() -> Iterator[None]:
    """Leaves no settings behind."""
    yield
    turn_off()
