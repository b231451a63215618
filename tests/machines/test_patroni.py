"""PostgreSQL that Patroni fails over, in each way in which it does, under reports and orders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Callable

from fleet import PATIENCE, Fleet, HAProxy, Scaled, Senders
from patroni_nodes import Node, Patroni, PrimaryProxy

Fleets = Callable[..., Fleet]


def test_each_report_is_there_once_though_patroni_fails_the_database_over(tmp_path: Path, fleet: Fleets) -> None:
    """One service has both machines in its URL, the other one asks HAProxy for the primary."""
    with Patroni(tmp_path) as patroni, PrimaryProxy(tmp_path, patroni.nodes) as proxy:
        both = patroni.database("shop")
        proxy.start()
        receivers = fleet(both, 1, "--tick-s", "1")
        by_proxy = re.sub(r"@[^/]*/", f"@127.0.0.1:{proxy.port}/", both)
        receivers.add(env={"DYNOSCALED_DATABASE": by_proxy})
        scaled = Scaled(receivers)
        with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
            senders = Senders(receivers, front.port)
            senders.wait_for_more(50)

            def goes_on(number: int, primary: Node) -> None:
                primary.wait_until(lambda: primary.is_primary, "be the primary", PATIENCE)
                senders.wait_for_more(50)
                scaled.rules(number, patience=PATIENCE)
                scaled.wait_for_call("end", number)

            # A machine is lost, and comes back.
            lost = patroni.primary
            lost.kill()
            goes_on(2, patroni.other(lost))
            lost.start()
            patroni.wait_until_in_step()

            # One stands still and is replaced; when it goes on it takes itself for the primary.
            still = patroni.primary
            with still.stopped():
                goes_on(3, patroni.other(still))
            goes_on(4, patroni.other(still))
            patroni.wait_until_in_step()

            # By order, as for an upgrade.
            old = patroni.primary
            said = old.ask("POST", "/switchover", {"leader": old.name, "candidate": patroni.other(old).name})
            assert "Successfully switched over" in said, said
            goes_on(5, patroni.other(old))
            patroni.wait_until_in_step()
            print(senders.finish(unbroken=True))
    assert scaled.overlaps() == []
    assert [number for what, number, *_ in scaled.calls() if what == "begin"] == ["2", "3", "4", "5"]
