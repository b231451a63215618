"""Many machines are tried on one: services, PostgreSQL, HAProxy and pgbouncer on loopback."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Dict, Iterator, Tuple

import pytest

from conftest import SECONDS
from fleet import PATIENCE, Fleet, HAProxy, PgBouncer, Scaled, Senders, SmallDisk
from postgresql import Cluster
from processes import free_port
from service import PROGRAM

Fleets = Callable[..., Fleet]


def clock_off(by: str) -> Dict[str, str]:
    """The environment of a process whose wall clock is off."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        pytest.skip("libfaketime is not installed (apt-get install libfaketime)")
    return {"LD_PRELOAD": str(libraries[0]), "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


MOMENTS = random.Random(1)


def kill_by_turns(fleet: Fleet, senders: Senders, seconds: float) -> None:
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        time.sleep(5 - MOMENTS.random())  # any moment of a commit: nothing waits for it
        service = fleet.services[number % len(fleet.services)]
        number += 1
        service.kill()
        senders.wait_for_more()
        service.start()


def scale_through_ends(
    senders: Senders, scaled: Scaled, end: Callable[[], object], start: Callable[[], object]
) -> None:
    """What the receivers stand on ends and starts again, three times; each time an app is scaled after it."""
    for number in range(2, 5):
        senders.wait_for_more()
        end()
        time.sleep(MOMENTS.random())
        start()
        senders.wait_for_more()
        scaled.rules(number)
        scaled.wait_for_call("end", number)


def test_each_report_is_there_once_though_a_receiver_is_killed_each_five_seconds(
    tmp_path: Path, cluster: Cluster, fleet: Fleets
) -> None:
    """SECONDS_OF_KILLS=600 for ten minutes."""
    receivers = fleet(cluster.database(), 4)
    with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
        senders = Senders(receivers, front.port)
        kill_by_turns(receivers, senders, SECONDS)
        print(senders.finish(unbroken=True))


def test_each_report_is_there_once_behind_pgbouncer_in_transaction_mode(
    tmp_path: Path, cluster: Cluster, fleet: Fleets
) -> None:
    url = cluster.database()
    with PgBouncer(tmp_path, cluster).start() as pool:
        receivers = fleet(url.replace(f":{cluster.port}/", f":{pool.port}/"), 4, "--tick-s", "1")
        scaled = Scaled(receivers)
        with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
            senders = Senders(receivers, front.port)
            kill_by_turns(receivers, senders, 20)
            scaled.rules(3)
            scaled.wait_for_call("end", 3)
            print(senders.finish(unbroken=True))


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_each_report_is_there_once_though_the_database_is_restarted(
    tmp_path: Path, cluster: Cluster, fleet: Fleets, how: str
) -> None:
    receivers = fleet(cluster.database(), 2, "--tick-s", "1")
    scaled = Scaled(receivers)
    with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
        senders = Senders(receivers, front.port)
        scale_through_ends(senders, scaled, lambda: cluster.end(how), cluster.start)
        print(senders.finish(unbroken=True))
    assert scaled.overlaps() == []


@contextmanager
def synchronous(tmp_path: Path) -> Iterator[Tuple[Cluster, Cluster, str]]:
    """A server, a replica that each commit waits for, and the URL of a new database on the first."""
    with Cluster(tmp_path, "synchronous_standby_names=*", "synchronous_commit=local", name="first") as first:
        first.start()
        second = first.replica(tmp_path, "second")
        with second:
            second.start()
            url = first.database()
            first.sql("ALTER SYSTEM SET synchronous_commit = 'on'")
            first.sql(f"ALTER DATABASE {url.rsplit('/', 1)[1]} SET synchronous_commit = 'on'")
            yield first, second, url


def test_each_report_is_there_once_though_the_database_fails_over_to_a_replica(
    tmp_path: Path, fleet: Fleets
) -> None:
    """By hand, with a replica that a commit waits for: what was answered is on both."""
    with synchronous(tmp_path) as (first, second, url):
        both = url.replace(f":{first.port}/", f":{first.port},127.0.0.1:{second.port}/")
        receivers = fleet(both, 2, "--tick-s", "1")
        scaled = Scaled(receivers)
        with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
            senders = Senders(receivers, front.port)
            senders.wait_for_more(100)
            first.end("immediate")
            second.run("pg_ctl", "promote", "-D", str(second.data))
            senders.wait_for_more(100)
            scaled.rules(3)
            scaled.wait_for_call("end", 3)
            print(senders.finish(unbroken=True))


def test_each_report_is_there_once_though_the_database_stands_still_for_half_a_minute(
    tmp_path: Path, cluster: Cluster, fleet: Fleets
) -> None:
    """All of its processes are stopped (SIGSTOP): connections stay open and nobody answers."""
    receivers = fleet(cluster.database(), 2, "--tick-s", "1")
    scaled = Scaled(receivers)
    with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
        senders = Senders(receivers, front.port)
        senders.wait_for_more()
        with cluster.stopped():
            time.sleep(30)
            for service in receivers.services:
                assert service.get("/healthz").status == 200
                assert service.get("/signin").status in (200, 503)
        senders.wait_for_more()
        scaled.rules(3)
        scaled.wait_for_call("end", 3)
        print(senders.finish(unbroken=True))
    assert scaled.overlaps() == []


def test_each_report_is_there_once_though_the_databases_disk_is_full(tmp_path: Path, fleet: Fleets) -> None:
    """It can write no log any more, and ends with all connections until there is room."""
    with Cluster(tmp_path, "min_wal_size=32MB", "max_wal_size=32MB") as cluster:
        cluster.start()
        url = cluster.database()
        with SmallDisk(cluster.folder / "disk") as disk:
            cluster.log_on(disk.folder)
            receivers = fleet(url, 2, "--tick-s", "1")
            scaled = Scaled(receivers)
            with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
                senders = Senders(receivers, front.port)
                senders.wait_for_more()
                disk.fill()
                until = time.monotonic() + PATIENCE
                while cluster.answers() and time.monotonic() < until:
                    cluster.run("psql", "-c", "SELECT pg_switch_wal()", cluster.url("postgres"), check=False)
                answered = senders.answered
                for service in receivers.services:
                    assert service.get("/healthz").status == 200
                disk.clear()
                while cluster.running and not cluster.answers():
                    time.sleep(0.1)
                if not cluster.running:  # it could not even recover then
                    cluster.start()
                senders.wait_for_more()
                scaled.rules(3)
                scaled.wait_for_call("end", 3)
                print(f"{answered} reports before; {senders.finish(unbroken=True)}")
            assert scaled.overlaps() == []


def test_each_report_is_there_once_though_a_tablespace_is_full(tmp_path: Path, fleet: Fleets) -> None:
    """The disk of the tables alone: the database lives, and refuses what needs room."""
    with Cluster(tmp_path) as cluster:
        cluster.start()
        with SmallDisk(cluster.folder / "disk") as disk:
            cluster.give(disk.folder)
            cluster.sql(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
            url = cluster.database("TABLESPACE small")
            receivers = fleet(url, 2, "--tick-s", "1")
            scaled = Scaled(receivers)
            with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
                senders = Senders(receivers, front.port)
                senders.wait_for_more()
                disk.fill()
                receivers.services[0].wait_until(
                    lambda: any("disk is full" in service.log for service in receivers.services), "say so", PATIENCE
                )
                for service in receivers.services:
                    assert service.get("/healthz").status == 200
                disk.clear()
                senders.wait_for_more()
                scaled.rules(2, patience=PATIENCE)
                scaled.wait_for_call("end", 2)
                print(senders.finish(unbroken=True))
            assert scaled.overlaps() == []


def test_each_report_is_there_once_though_the_replica_that_commits_wait_for_is_slow(
    tmp_path: Path, fleet: Fleets
) -> None:
    """It stands still for longer than a statement may take: commits hang, and are done all the same."""
    with synchronous(tmp_path) as (_, second, url):
        receivers = fleet(url, 2, "--tick-s", "1")
        scaled = Scaled(receivers)
        with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
            senders = Senders(receivers, front.port)
            senders.wait_for_more()
            with second.stopped():
                time.sleep(20)
                for service in receivers.services:
                    assert service.get("/healthz").status == 200
            senders.wait_for_more()
            scaled.rules(2, patience=PATIENCE)
            scaled.wait_for_call("end", 2)
            print(senders.finish(unbroken=True))
        assert scaled.overlaps() == []


def test_each_report_is_there_once_though_pgbouncer_is_restarted(
    tmp_path: Path, cluster: Cluster, fleet: Fleets
) -> None:
    url = cluster.database()
    pool = PgBouncer(tmp_path, cluster)
    with pool.start():
        receivers = fleet(url.replace(f":{cluster.port}/", f":{pool.port}/"), 2, "--tick-s", "1")
        scaled = Scaled(receivers)
        with HAProxy(tmp_path, [service.port for service in receivers.services]).start() as front:
            senders = Senders(receivers, front.port)
            scale_through_ends(senders, scaled, pool.kill, pool.start)
            print(senders.finish(unbroken=True))
        assert scaled.overlaps() == []


def test_a_holder_that_stands_still_in_the_middle_of_an_act_is_followed_by_one_that_waits_for_it(
    cluster: Cluster, fleet: Fleets
) -> None:
    services = fleet(cluster.database(), 3, "--tick-s", "1", "--act-timeout-s", "10")
    scaled = Scaled(services)
    scaled.rules(2)
    scaled.wait_for_call("end", 2)
    scaled.takes(8)
    holder = services.holder()
    epoch = services.lease()
    scaled.rules(3)
    scaled.wait_for_call("begin", 3)
    os.kill(holder.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    others = [service for service in services.services if service is not holder]
    others[0].wait_until(lambda: any(services.is_holder(other) for other in others), "take over", PATIENCE)
    took = time.monotonic() - stopped
    print(f"another one took over after {took:.1f} s")
    scaled.rules(4)
    scaled.wait_for_call("end", 4)
    time.sleep(max(0.0, 60 - (time.monotonic() - stopped)))  # the minute for which it stands still
    os.kill(holder.pid, signal.SIGCONT)
    holder.wait_until(lambda: "stands by" in holder.printed.rsplit("acts from", 1)[-1], "stand by", PATIENCE)
    scaled.takes(0)
    scaled.rules(5)
    scaled.wait_for_call("end", 5)
    assert scaled.overlaps() == []
    numbers = [number for what, number, *_ in scaled.calls() if what == "begin"]
    assert numbers == ["2", "3", "4", "5"]
    assert services.lease() != epoch


def test_the_clock_of_the_database_counts_where_that_of_a_machine_is_an_hour_off(
    cluster: Cluster, fleet: Fleets
) -> None:
    services = fleet(cluster.database(), 0, "--tick-s", "1")
    off = services.add(env=clock_off("+1h"))
    right = services.add()
    scaled = Scaled(services)
    scaled.rules(2)
    scaled.wait_for_call("end", 2)
    senders = Senders(services, off.port, count=2)
    senders.wait_for_more(50)
    print(senders.finish())
    assert re.search(r"database's clock is -3[56]\d\d s ahead", off.log)
    off.kill()
    right.wait_until(lambda: services.is_holder(right), "take over", PATIENCE)
    scaled.rules(3)
    scaled.wait_for_call("end", 3)
    assert scaled.overlaps() == []
    assert "the clock was set" not in right.log


def test_two_services_whose_clocks_are_two_hours_apart_decide_on_the_same(
    cluster: Cluster, fleet: Fleets
) -> None:
    """One is an hour ahead, the other an hour behind; both receive, and each acts once."""
    services = fleet(cluster.database(), 0, "--tick-s", "1")
    ahead, behind = (services.add(env=clock_off(by)) for by in ("+1h", "-1h"))
    scaled = Scaled(services)
    senders = Senders(services, ahead.port, count=2)
    more = Senders(services, behind.port, count=2, app="shop-2")
    senders.wait_for_more(50)
    more.wait_for_more(50)
    for number, holder in enumerate((ahead, behind), start=2):
        if holder is behind:
            ahead.kill()
            behind.wait_until(lambda: services.is_holder(behind), "take over", PATIENCE)
        scaled.rules(number)
        scaled.wait_for_call("end", number)
    ahead.start()
    print(senders.finish(), more.finish())
    assert re.search(r"database's clock is -3[56]\d\d s ahead", ahead.log)
    assert re.search(r"database's clock is 3[56]\d\d s ahead", behind.log)
    assert "the clock was set" not in ahead.log + behind.log
    assert scaled.overlaps() == []


def test_a_service_is_replaced_on_its_port_without_a_report_lost_or_a_page_broken(
    cluster: Cluster, fleet: Fleets
) -> None:
    """SO_REUSEPORT: the new one listens before the old one ends; three times under load."""
    services = fleet(cluster.database(), 0, "--tick-s", "1", "--reuse-port")
    port = free_port()
    old = services.add(port=port)
    senders = Senders(services, port)
    pages = 0
    for _ in range(3):
        new = services.add(port=port)
        senders.wait_for_more()
        old.stop(seconds=PATIENCE)
        senders.wait_for_more()
        for _ in range(20):
            assert new.get("/signin").status == 200
            pages += 1
        old = new
    print(f"{pages} pages; {senders.finish()}")


def test_a_step_of_the_schema_goes_forward_under_load(cluster: Cluster, fleet: Fleets) -> None:
    """As a newer version's would: a column, an index, a table; those that run go on meanwhile."""
    url = cluster.database()
    services = fleet(url, 2, "--tick-s", "1")
    senders = Senders(services, services.services[0].port)
    for number in range(3):
        senders.wait_for_more(50)
        cluster.sql(
            f"BEGIN; LOCK TABLE turn IN EXCLUSIVE MODE; ALTER TABLE report ADD COLUMN next_{number} BIGINT "
            f"NOT NULL DEFAULT 0; CREATE INDEX next_{number} ON series (newest_s); "
            f"INSERT INTO schema_step VALUES ({900 + number}, '{900 + number}_next'); COMMIT",
            url.rsplit("/", 1)[1],
        )
        senders.wait_for_more(50)
    print(senders.finish(unbroken=True))


def test_another_one_takes_over_where_the_network_of_the_holder_is_cut(
    tmp_path: Path, fleet: Fleets
) -> None:
    """The holder is in a network of its own, whose link goes down."""
    name = f"ds{os.getpid() % 100000}"
    ip = shutil.which("ip") or "/usr/sbin/ip"

    def run(*words: str, check: bool = True) -> bool:
        return subprocess.run([ip, *words], check=check, capture_output=True).returncode == 0

    if os.geteuid() != 0 or not Path(ip).exists() or not run("netns", "add", name, check=False):
        pytest.skip("a network of one's own takes root, and ip of iproute2")
    try:
        if not run("link", "add", name, "type", "veth", "peer", "name", "inside", "netns", name, check=False):
            pytest.skip("this system makes no veth links")
        net = 100 + os.getpid() % 100
        run("addr", "add", f"10.231.{net}.1/24", "dev", name)
        run("link", "set", name, "up")
        for words in (["addr", "add", f"10.231.{net}.2/24", "dev", "inside"], ["link", "set", "inside", "up"],
                      ["link", "set", "lo", "up"]):  # fmt: skip
            run("-n", name, *words)
        with Cluster(tmp_path, f"listen_addresses=127.0.0.1,10.231.{net}.1") as cluster:
            cluster.start()
            (cluster.data / "pg_hba.conf").open("a").write(f"host all all 10.231.{net}.0/24 trust\n")
            cluster.sql("SELECT pg_reload_conf()")
            url = cluster.database()
            services = fleet(url, 0, "--tick-s", "1", "--act-timeout-s", "10")
            far = url.replace("127.0.0.1", f"10.231.{net}.1")
            wrapper = tmp_path / "inside"
            wrapper.write_text(f'#!/bin/sh\nexec {ip} netns exec {name} {services_program()} "$@"\n')
            wrapper.chmod(0o755)
            cut = services.add(env={"DYNOSCALED_DATABASE": far}, program=wrapper)
            scaled = Scaled(services)
            scaled.rules(2)
            scaled.wait_for_call("end", 2)
            other = services.add()
            scaled.takes(3)
            scaled.rules(3)
            scaled.wait_for_call("begin", 3)
            run("link", "set", name, "down")
            began = time.monotonic()
            other.wait_until(lambda: services.is_holder(other), "take over", PATIENCE)
            took = time.monotonic() - began
            print(f"another one took over after {took:.1f} s")
            scaled.rules(4)
            scaled.wait_for_call("end", 4)
            run("link", "set", name, "up")
            cut.wait_until(lambda: "stands by" in cut.log, "stand by", PATIENCE)
            assert scaled.overlaps() == []
    finally:
        run("netns", "del", name, check=False)
        run("link", "del", name, check=False)


def services_program() -> str:
    return os.environ.get("TEST_DYNOSCALED") or str(PROGRAM)
