"""Whatever the service does: the app's answers are right and wait for nothing, what is to be kept is
kept and arrives once, what is dropped is counted, memory stays within its bound, and the app stops
when it is told to.

Each row of FAULTS is tried with an app of each language, beside the same app with the agent off.
"""

from __future__ import annotations

import contextlib
import copy
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from at_once import AtOnce, selected
from certificates import Certificates, make_certificates
from receiver import ReceiverProcess
from served import (
    MOST_NUMBERS,
    SERVERS,
    TOKEN,
    Bare,
    Served,
    ask_both,
    numbers_of,
)
from services import (
    ByAnyProxy,
    ByName,
    ByProxy,
    ByTunnel,
    OverIpv6,
    OverTls,
    PastProxy,
    Service,
    all_of,
)

AT_ONCE = 8
EACH = 50  # requests in each part of a run
STOP_SECONDS = 2.5
# A busy machine may delay a process for that long. A report that hangs would take 15 s.
NOISE_SECONDS = 11.0

# The KiB that the agent may use beside what libcurl and the TLS library use without a fault. The sum
# is in core/README.md.
BOUND_KB = 11 * 1024
# For a short time it holds an answer of 100 MB, a report and TLS records.
LIBRARIES_KB = 10 * 1024

# The fate of samples that were taken while the service failed.
LATE = "arrives late"
DROPPED = "is dropped"
SENT = "arrives"


@dataclass(frozen=True)
class Fault:
    """name     what the service does
    service  how it is reached, and how it misbehaves
    fate     what becomes of the samples
    said     the only warning, as a regular expression; "": there is none
    """

    name: str
    service: Service
    fate: str = LATE
    said: str = ""

    def __hash__(self) -> int:
        return hash(self.name)


def answers(name: str, fate: str, said: str, mode: str, **details: Any) -> Fault:
    return Fault(name, Service({"mode": mode, **details}), fate, said)


def status(code: int, fate: str = LATE, **headers: str) -> Fault:
    name = " ".join([str(code), *(f"{header}: {value}" for header, value in headers.items())])
    lines = {header.replace("_", "-"): value for header, value in headers.items()}
    said = f"refused a report with status {code}" if fate == DROPPED else f"with status {code}"
    return answers(name.replace("_", "-"), fate, said, "status", status=code, headers=lines)


def body(name: str, text: Optional[str], **details: Any) -> Fault:
    return answers(name, SENT, "", "ok", **({} if text is None else {"body": text}), **details)


def frequency(text: str) -> Dict[str, str]:
    return {"mode": "ok", "body": f'{{"config": {{"publish_frequency": {text}}}}}'}


WRONG_FREQUENCIES = [
    *("0 -1 0.5 3601 1e999 -0 NaN Infinity true false null".split()),
    *('"10" "" [] [10] {} {"a":10} 0x10 010 1_0 10s'.split()),
]

TIMED_OUT = "[Tt]imed? ?out|[Tt]imeout"

FAULTS = [
    answers("refuses", LATE, "[Cc]onnect", "refuse"),
    answers("accepts and never answers", LATE, TIMED_OUT, "stall"),
    answers("accepts and never reads", LATE, TIMED_OUT, "stall", at="connect"),
    answers("begins to answer and never ends", SENT, "", "stall", at="body"),
    answers("answers one byte a second", LATE, TIMED_OUT, "drip", seconds=1),
    answers("closes before it has read", LATE, "[Rr]eply|[Rr]eset|[Ss]end", "close", at="request"),
    answers("closes in the middle of its answer", SENT, "", "close"),
    answers("resets before it has read", LATE, "[Rr]eply|[Rr]eset|[Ss]end", "reset", at="request"),
    answers("resets in the middle of its answer", SENT, "", "reset"),
    answers("speaks something else than HTTP", LATE, "HTTP/0.9", "garbage"),
    status(500),
    status(502),
    status(503),
    status(503, Retry_After="2"),
    status(503, Retry_After="Wed, 21 Oct 2026 07:28:00 GMT"),
    status(503, Retry_After="soon"),
    status(429),
    status(429, Retry_After="2"),
    status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    status(429, Retry_After="-1e9999"),
    status(408),
    status(400, DROPPED),
    status(401, DROPPED),
    status(403, DROPPED),
    status(404, DROPPED),
    status(410, DROPPED),
    answers("redirects to itself for ever", LATE, "status 301", "redirect"),
    answers("redirects to a file", LATE, "status 302", "redirect", status=302, location="file:///"),
    answers("redirects elsewhere", LATE, "status 301", "redirect", location="{elsewhere}"),
    Fault(
        "redirects elsewhere, with TLS",
        OverTls({"mode": "redirect", "status": 307, "location": "{elsewhere}"}),
        said="status 307",
    ),
    Fault(
        "redirects to itself for ever, with TLS", OverTls({"mode": "redirect"}), said="status 301"
    ),
    Fault(
        "redirects to another path of its own, with TLS",
        OverTls({"mode": "redirect", "status": 308, "location": "/moved", "times": 1}),
        SENT,
    ),
    body("200 without a body", None),
    body("204", None, status=204),
    body("HTML", "<!doctype html><title>503 Service Unavailable</title>"),
    body("broken JSON", '{"config": {"publish_frequency": 10}'),
    answers("deeply nested JSON", SENT, "", "deep"),
    Fault(
        "wrong kinds of publish_frequency",
        Service(all_of([frequency(text) for text in WRONG_FREQUENCIES])),
        SENT,
    ),
    answers("100 MB of answer", SENT, "", "huge"),
    answers("100 MB of answer in chunks", SENT, "", "huge", chunked=True),
    answers("a gzip bomb", SENT, "", "gzip_bomb"),
    Fault("a name that does not exist", ByName(3), said="service.example"),
    Fault("a name server that fails", ByName(2), said="service.example"),
    Fault("a name server that says nothing", ByName(None), said=TIMED_OUT),
    Fault("a name server that is slow", ByName(0, after_seconds=3), SENT),
    Fault("a name with an address of IPv6 alone", ByName(0, "::1"), SENT),
    Fault("an address of IPv6", OverIpv6(), SENT),
    Fault("a certificate that has expired", OverTls(bad="expired"), said="certificate.*expired"),
    Fault("a certificate of another host", OverTls(bad="wrong_host"), said="subject name"),
    Fault("a certificate signed by itself", OverTls(bad="self_signed"), said="self.signed"),
    Fault(
        "TLS that is never answered", OverTls({"mode": "stall", "at": "connect"}), said=TIMED_OUT
    ),
    Fault("a certificate known by SSL_CERT_FILE", OverTls(), SENT),
    Fault("a certificate known by SSL_CERT_DIR", OverTls(known_by="SSL_CERT_DIR"), SENT),
    Fault("a proxy by http_proxy", ByProxy(), SENT),
    Fault("a proxy by ALL_PROXY", ByAnyProxy(), SENT),
    Fault("a proxy by https_proxy", ByTunnel(), SENT),
    Fault("no proxy by no_proxy", PastProxy(), SENT),
    Fault("a proxy that refuses", ByProxy({"mode": "refuse"}), said="[Cc]onnect"),
]

Case = Tuple[Fault, str]
CASES: List[Case] = [(fault, language) for fault in FAULTS for language in SERVERS]


class Outcome(NamedTuple):
    stats_failing: Dict[str, int]  # the agent's counters just before the service recovered
    stats_after: Dict[str, int]
    numbers: List[int]  # of the requests whose rows arrived, in the order of the reports
    reports: List[Dict[str, Any]]
    malformed: int
    strangers: int  # reports that went elsewhere
    log: str
    peak_on_kb: int
    peak_off_kb: int
    stop_seconds: float


def outcome_of(case: Case, directory: Path, certificates: Certificates, bare: Bare) -> Outcome:
    """Runs an app. The service fails from the start, recovers, and fails again at the end."""
    fault, language = case
    with contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(ReceiverProcess())
        service = fresh(fault.service, f"{elsewhere.url}/{TOKEN}")
        service.start(directory, certificates)
        stack.callback(service.stop)
        service.fail()
        on = Served(language, directory / "on", service.settings, service.wrapper)
        stack.enter_context(on).start()
        off = stack.enter_context(bare.lent(language))

        ask_both(on, off, range(EACH))
        stats_failing = until_noticed(fault, on)
        ask_both(on, off, range(EACH, 2 * EACH))
        if fault.fate == DROPPED:
            stats_failing = on.wait_until("have it refused", dropped_rejected=2 * EACH)
        log = on.process.log

        service.recover()
        ask_both(on, off, range(2 * EACH, 3 * EACH))
        arriving = (1 if fault.fate == DROPPED else 3) * EACH
        service.receiver.wait(rows=arriving)
        stats_after = on.wait_until("count them as sent", sent=arriving)
        reports = service.receiver.reports()
        malformed = service.receiver.summary()["malformed"]

        service.fail()
        ask_both(on, off, range(EACH))
        peaks = [one.agent()["peak_kb"] for one in (on, off)]
        return Outcome(
            stats_failing,
            stats_after,
            numbers_in(reports),
            reports,
            malformed,
            elsewhere.summary()["reports"],
            log,
            peaks[0],
            peaks[1],
            on.stop(),
        )


def numbers_in(reports: List[Dict[str, Any]]) -> List[int]:
    """The numbers of the requests whose rows were accepted, report by report. Within one they are
    sorted: what several threads recorded has no other order than that of its time, in seconds."""
    accepted: Dict[str, List[int]] = {}
    for report in reports:
        if 200 <= report["status"] <= 299:
            numbers = sorted(numbers_of(report["rows"]))
            accepted.setdefault(report["headers"]["idempotency-key"], numbers)
    return [number for numbers in accepted.values() for number in numbers]


def until_noticed(fault: Fault, on: Served) -> Dict[str, int]:
    """Waits until the service has done its worst, and gives the agent's counters then."""
    if fault.fate == DROPPED:
        return on.wait_until("have it refused", dropped_rejected=1)
    if fault.fate == SENT:
        return on.wait_until("be told of the success", sent=EACH)
    return on.wait_until("notice the fault", reports_failed=1)


def fresh(service: Service, elsewhere: str) -> Service:
    """A copy for one run, whose redirects know where to lead."""
    copied = copy.copy(service)
    if copied.behaviour.get("location") == "{elsewhere}":
        copied.behaviour = {**copied.behaviour, "location": elsewhere}
    return copied


# ---- The tests -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Certificates,
) -> Iterator[AtOnce[Case, Outcome]]:
    possible = [case for case in selected(request, "case") if missing(case) is None]

    def run(case: Case) -> Outcome:
        return outcome_of(case, tmp_path_factory.mktemp("service"), certificates, bare)

    with Bare(tmp_path_factory.mktemp("bare")) as bare, AtOnce(run, possible, AT_ONCE) as runs:
        yield runs


def missing(case: Case) -> Optional[str]:
    fault, language = case
    return SERVERS[language].missing() or fault.service.missing()


@pytest.fixture(scope="module")
def bare_stop_seconds(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, float]:
    here = tmp_path_factory.mktemp("stop")
    seconds = {}
    for language, server in SERVERS.items():
        if server.missing() is None:
            with Served(language, here / language, {}) as app:
                seconds[language] = app.start().stop()
    return seconds


@pytest.fixture(
    scope="module", params=CASES, ids=[f"{fault.name}-{language}" for fault, language in CASES]
)
def case(request: pytest.FixtureRequest) -> Case:
    case: Case = request.param
    reason = missing(case)
    if reason is not None:
        pytest.skip(reason)
    return case


@pytest.fixture
def outcome(
    case: Case, runs: AtOnce[Case, Outcome], request: pytest.FixtureRequest
) -> Outcome:
    return runs.of(case, request)


@pytest.fixture(scope="module")
def fault(case: Case) -> Fault:
    return case[0]


def test_no_request_waits_for_the_service(outcome: Outcome) -> None:
    """Each that did would see a report of its own fail. That all were answered, and rightly, is
    asserted where the answers are read; how fast, is for the bench to say."""
    assert outcome.stats_failing["reports_failed"] < EACH


def test_each_request_s_row_arrives_once_and_in_order(outcome: Outcome, fault: Fault) -> None:
    begin = 2 * EACH if fault.fate == DROPPED else 0
    assert outcome.numbers == list(range(begin, 3 * EACH))
    assert outcome.malformed == 0


def test_a_report_that_is_sent_again_is_the_same_under_its_key(outcome: Outcome) -> None:
    # Of a service that closed before it had read there is no body.
    whole = [report for report in outcome.reports if report["body"]]
    sent = {(report["headers"]["idempotency-key"], report["body"]) for report in whole}
    assert len({key for key, _ in sent}) == len({body for _, body in sent}) == len(sent)


def test_what_happened_is_counted(outcome: Outcome, fault: Fault) -> None:
    failing, after = outcome.stats_failing, outcome.stats_after
    for stats in (failing, after):
        dropped = sum(number for name, number in stats.items() if name.startswith("dropped_"))
        assert stats["recorded"] == stats["sent"] + stats["pending"] + dropped
    assert after["recorded"] == 3 * EACH
    assert after["dropped_rejected"] == (2 * EACH if fault.fate == DROPPED else 0)
    assert after["sent"] == 3 * EACH - after["dropped_rejected"]
    assert (after["pending"], after["thread_starts"], after["thread_failures"]) == (0, 1, 0)
    assert after["publish_frequency_ms"] == 1000
    assert (failing["reports_failed"] > 0) == (fault.fate != SENT)
    assert (failing["sent"] > 0) == (fault.fate == SENT)


def test_it_is_said_once_and_clearly(outcome: Outcome, fault: Fault) -> None:
    warnings = re.findall(r"^(?:WARNING|warn|ERROR|error) .*$", outcome.log, re.MULTILINE)
    if fault.said:
        assert len(warnings) == 1
        assert re.search(fault.said, warnings[0])
    else:
        assert warnings == []


def test_nothing_goes_elsewhere(outcome: Outcome) -> None:
    assert outcome.strangers == 0


def test_memory_stays_within_its_bound(outcome: Outcome) -> None:
    assert outcome.peak_on_kb - outcome.peak_off_kb <= BOUND_KB + LIBRARIES_KB


def test_a_graceful_stop_takes_no_longer_than_promised(
    outcome: Outcome, case: Case, bare_stop_seconds: Dict[str, float]
) -> None:
    longer = outcome.stop_seconds - bare_stop_seconds[case[1]]
    assert longer <= STOP_SECONDS + NOISE_SECONDS


# ---- Minutes ---------------------------------------------------------------------------------

DOWN_SECONDS = 150


@pytest.mark.slow
@pytest.mark.parametrize("language", list(SERVERS))
def test_a_service_that_is_down_for_minutes_gets_everything(language: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        service = Service({"mode": "status", "status": 503})
        service.receiver = stack.enter_context(ReceiverProcess())
        service.fail()
        on = stack.enter_context(Served(language, tmp_path / "on", service.settings)).start()
        started, number = time.monotonic(), 0
        while time.monotonic() < started + DOWN_SECONDS:
            on.reconnect()
            on.request(number % MOST_NUMBERS)
            number += 1
            time.sleep(0.05)
        assert on.stats()["reports_failed"] > 10
        service.recover()
        on.wait_until("have it all accepted", sent=number)
        assert service.receiver.summary()["rows"] == number
        assert service.receiver.summary()["repeated"] == 0
