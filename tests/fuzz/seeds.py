"""Writes what the fuzzers start from to DIR/NAME: `python3 tests/fuzz/seeds.py DIR`.

Header texts and answers come from tests/vectors; the layout of each input is described in its
harness, tests/fuzz/fuzz_NAME.c.
"""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path
from typing import Iterator

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
NOW_NS = 1_700_000_000_123_456_789  # of fuzz_queue_time.c
SETTINGS = 12
VARIABLE = 0x80


def rows(file: str) -> Iterator[list[str]]:
    for line in (VECTORS / file).read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            yield line.split("\t")


def text_of(column: str) -> bytes:
    def escape(found: re.Match[str]) -> str:
        letter = found[1]
        if letter[0] == "x":
            return chr(int(letter[1:], 16))
        return {"t": "\t", "n": "\n", "r": "\r"}.get(letter, letter)

    def moment(found: re.Match[str]) -> str:
        ns = NOW_NS + round(float(found[2]) * 1_000_000)
        if found[1] == "s":
            return f"{ns // 10**9}.{ns // 10**6 % 1000:03}"
        return str(ns // {"whole_s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[found[1]])

    text = re.sub(r"\\(x[0-9A-Fa-f]{2}|.)", escape, column)
    return re.sub(r"\{(\w+):(-?[\d.]+)\}", moment, text).encode("latin-1")


def queue_time() -> Iterator[bytes]:
    for _name, start, queue_start, wait, *_rest in rows("queue_time.tsv"):
        flags = (start == "-") | (queue_start == "-") << 1
        texts = [b"" if column == "-" else text_of(column) for column in (start, queue_start)]
        wait_ms = 0.0 if wait == "-" else float(wait)
        yield struct.pack("<Bd", flags, wait_ms) + b"\n".join(texts)
    # 4: bytes from 0x80 on stand for moments near the limits; 8: another clock.
    for unit in range(8):
        moments = bytes(0x80 | unit << 4 | i for i in range(16))
        yield struct.pack("<Bd", 4, 1.5) + moments[:1] + b"\n" + moments[1:2]
        yield struct.pack("<Bdq", 12, 0.0, NOW_NS) + b",t=".join(bytes([m]) for m in moments)


def answer() -> Iterator[bytes]:
    for _name, body, _expected, _asked in rows("answers.tsv"):
        yield text_of(body)
    yield from (b"30", b"2.5", b"3600", b"1e3", b"120", b"007", b"99999999999999999999")


def headers() -> Iterator[bytes]:
    yield from (b"Sun, 06 Nov 1994 08:49:37 GMT", b"Thu, 29 Feb 2024 23:59:60 GMT")
    yield from (b"queue;dur=12.5", b'db, queue ; desc="a\\"b,;" ; dur="7" , x;dur=1')


def rows_of_csv() -> Iterator[bytes]:
    for backend, queue in (
        (b"rq", b"low,slow"),
        (b"sidekiq", b'say "hello"'),
        (b"delayed_job", "schöne Grüße \U0001f680".encode()),
        (b"a" * 32, b'"' * 200),
        (b"good_job", b"\xc2\x85\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf"),
    ):
        yield struct.pack("<IBIB", 1_700_000_003, 0, 95, 0) + backend + b"\n" + queue


def settings() -> Iterator[bytes]:
    def step(place: int, value: bytes) -> bytes:
        return bytes([place, len(value)]) + value

    def in_code(setting: int) -> int:
        return 48 + (setting - 48) % (SETTINGS + 1)

    values = (
        b"https://user:\x01@dynoscale.net:443/api/v1/\x01?a=\x01#b", b"web.1", b"my-app", b"0",
        b"false", b"2.5", b"all", b"debug", b"true", b"no", b"off", b"default,mail*",
    )  # fmt: skip
    for i, value in enumerate(values):
        yield step(in_code(i), value)
        yield step(VARIABLE | i, value)
        yield step(in_code(i), b"\x00 \xff" + value * 3)
    yield b"".join(step(in_code(i), value) for i, value in enumerate(values))
    yield b"".join(step(VARIABLE | i, value) for i, value in enumerate(values))
    for i in range(SETTINGS, SETTINGS + 12):
        yield step(in_code(0), b"http://dynoscale.net/\x01") + step(VARIABLE | i, b"http://u:\x01@proxy")


def url() -> Iterator[bytes]:
    addresses = (
        b"https://dynoscale.net/api/v1/token", b"https://DYNOSCALE.net:443/elsewhere",
        b"https://user:word@dynoscale.net/x?y#z", b"https://dynoscale.net:8443/",
        b"http://dynoscale.net/", b"https://evil.example/@dynoscale.net", b"https://[::1]:443/a",
        b"https://evil.example#@dynoscale.net/", b"https://dynoscale.net\\@evil.example/",
        b"https://a@b@dynoscale.net/", b"https://%64ynoscale.net/", b"https://127.1/", b"ftp://a/",
    )  # fmt: skip
    for address in addresses:
        yield address + b"\n" + addresses[0]
        yield addresses[0] + b"\n" + address
        yield address + b"\n" + address


def frame() -> Iterator[bytes]:
    limits = bytes([200, 100, 7])
    get, post = b"GET /a?b HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: [::1]:80\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    requests = (
        get + b"\r\n", get + b"X_Y:\t z \r\nConnection: a, close\r\n\r\nGET", b"GET / HTTP/1.0\r\n\r\n",
        b"PUT /x HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nab",
        post + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello" + get,
        chunked + b"3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nT: u\r\n\r\n" + get,
        chunked + b"0\r\n\r\n", chunked + b"64\r\n", chunked + b"65\r\n",
        post + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        post + b"Content-Length: 101\r\n\r\n", b"GET / HTTP/2.0\r\n", b"GET http://a/ HTTP/1.1\r\n",
        get + b" folded\r\n", get + b": b\r\n", get + b"a:\r\n" * 101, b"GET / HTTP/1.1\nHost: a\n\n",
    )  # fmt: skip
    for request in requests:
        yield limits + request
    yield bytes([0, 0, 0]) + requests[0]


REPORT_ROWS = (
    b"1700000000,12,web,\r\n1700000001,7,web,\r\n1700000001,123456,web,\r\n",
    b'1700000000,12,"rq:low,slow",\n1700000003,95,"rq:low,slow",\n1699999999,1,"a""b",depth\n',
    b"1700000000,12,web,busy\n1700000000,12,web,mood\n1700000000,12,web,busy\n\n",
    b"1700000000,-3,web,\n1700000000,4294967296,web,\n1700000000,1,rq:a,b,\n",
    "1700000000,1,rq:Grüße,working\n1700000000,1,rq:Grüße,working".encode(),
    b"1,2,web,\n12345678901,3,web,\n1700000000,4294967295,web,slots\n1700000000,x,web,\n",
)


def report_rows() -> Iterator[bytes]:
    for text in REPORT_ROWS:
        yield b"\0" + text
        yield b"\1" + text


def report() -> Iterator[bytes]:
    agents = (b"dynoscale-ruby;2.0.0", b"dynoscale-ruby;1.0.5", b"dynoscale-python;1.2.2")
    for text in REPORT_ROWS:
        for agent in agents:
            yield b"\x0f" + agent + b"\nweb.1\nt=1700000001\n0123456789abcdef\n" + text
        yield b"\x07" + agents[1] + b"\nweb.1\nt=1700003600.5\n" + text
    yield b"\x08key\n"
    yield b"\x00"


def varint(value: int) -> bytes:
    more = bytearray()
    while value >= 0x80:
        more.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(more) + bytes([value])


def two(one: bytes, other: bytes) -> bytes:
    return struct.pack("<H", len(one)) + one + other


def sketch() -> Iterator[bytes]:
    def stored(total: int, most: int, *bins: int) -> bytes:
        return b"\1" + varint(total) + varint(most) + b"".join(map(varint, bins))

    some = (stored(0, 0), stored(12, 9, 3, 1, 5, 1), stored(10**6, 5000, 0, 300, 63, 2, 200, 7),
            stored(2**32, 2**32 - 1, 895, 1), stored(0, 0, *[0, 1] * 896))  # fmt: skip
    for one in some:
        for other in some:
            yield two(one, other)


def part() -> Iterator[bytes]:
    def stored(total: int, most: int, *words: int) -> bytes:
        return b"\1" + varint(total) + varint(most) + b"".join(map(varint, words))

    some = (stored(0, 0), stored(9, 5, 10 << 1, 1 << 1), stored(7, 7, 7 << 1 | 1, 70000, 2000 << 1),
            stored(0, 0, (9 * 1024 + 895) << 1), stored(3, 1, 1 << 1 | 1, 1, 1024 << 1))  # fmt: skip
    for one in some:
        for other in some:
            yield two(one, other)


def rule() -> Iterator[bytes]:
    one = b"processes:\n  web:\n    scaling: on\n    rules:\n      - {%s}\n      - {name: default}\n"
    fields = (
        b"days: [mon, sun]", b"from: '22:00', to: 6:05", b"days: [sat], dynos: {min: 0, max: 1000}",
        b"days: [fri], up: {threshold_ms: 100, step: 2, wait: 60}, down: {threshold_ms: 50}",
        b"to: '24:00', method: steps, statistic: mean, window: 600, drain_by: 60",
        b"days: [tue], queues: ['sidekiq:default', 'a*'], hold_while_jobs_run: off",
        b"days: [wed], automatic: {goal_ms: 250, share: 0.5 %, care: strict}", b"name: \"a\\u00fc\"",
    )  # fmt: skip
    for field in fields:
        yield one % field
    yield b"zone: Asia/Kolkata\n" + one % b", ".join(fields[i] for i in (0, 1, 5))
    yield b'{"zone":"UTC","processes":{"web":{"scaling":true,"rules":[{"name":"\\ud83d\\ude00"}]}}}'
    yield b"processes: {}\n--- a\n"
    yield b"a: &b [*b]"


def tree() -> Iterator[bytes]:
    yield from rule()
    yield from (
        b'{"a": [1, -2.5e3, true, null, "\\u00fc\\n\\/"], "b": {"c": {}}, "": []}', b"[[[[[[[[1]]]]]]]]",
        b"[[[[[[[[[1]]]]]]]]]", b'["\\ud83d"]', b'{"a": "\xc2\x85"}', b"a: |\n  b\n\n  c\n", b"'a': 'it''s'",
        b"? [a]\n: b\n", b"%YAML 1.1\n---\na\n", b"a:\n- b\n-\tc: d\n", b'{"a":1,"a":2}', b"[a, [b: c]]",
    )  # fmt: skip


def body() -> Iterator[bytes]:
    yield b"\0" + (
        b'{"text": "a", "name": "b c", "number": 7, "whole": -12, "moment": "-2h", "yes": true,'
        b' "object": {"a": [1]}, "list": [{}, null]}'
    )
    for text in (b'{"number": 1001}', b'{"moment": 1800000000}', b'{"text": "\\u0000"}', b'{"yes": null}',
                 b'{"a": 1, "a": 2}', b'{"name": " a"}', b"[]", b'{"number": 1e3}', b'{"text": "\\u0085"}'):  # fmt: skip
        yield b"\0" + text
    yield b"\1text=a%20b&name=c+d&number=7&whole=-12&moment=10:42&yes=1"
    for text in (b"text=%00", b"text=%ff", b"number=+7", b"text=a&text=b", b"&&moment=now&", b"yes", b"list=[]"):
        yield b"\1" + text


def zone() -> Iterator[bytes]:
    for name in (b"", b"Europe/Berlin", b"UTC", b"../UTC", b"posix/UTC", b"Etc/GMT+3", b"EST5EDT", b"localtime"):
        for number, moment in ((0, 0), (0x81, 1774746000), (0x85, 1791043200), (0x86, -1), (0x89, 2**62)):
            yield struct.pack("<Bq", number, moment) + name


def week() -> Iterator[bytes]:
    for zone, moment in ((1, 1774748700), (2, 1772947700), (4, 1791043200), (5, 1777000000)):
        for first, last in ((120, 180), (1320, 360), (0, 0)):
            yield struct.pack("<BIBBHHBHH", zone, moment, 2, 127, first, last, 32, 90, 150)


def decide() -> Iterator[bytes]:
    steps = struct.pack("<BBHHBBHHHBB", 1, 9, 50, 50, 0, 0, 60, 300, 50, 3, 1)
    yield steps
    for field in range(54):
        for shape, value in ((0, b"\x02"), (1, b"\x90\x01"), (0x80, b"\x01"), (7, b"\xff" * 7 + b"\x7f")):
            yield steps + bytes([field, shape]) + value
    below = bytes([4, 0, 10, 33 + 3, 1]) + struct.pack("<H", 300)
    for more in (b"", bytes([31, 0, 1, 28, 0, 1]), bytes([10, 0, 14]), bytes([24, 0, 1])):
        yield steps + below + more


def moment() -> Iterator[bytes]:
    texts = (
        b"now", b"1800000000", b"253402300799", b"-2h", b"+30m", b"-999999999d", b"10:42", b"23:59:60",
        b"08:00:00.123456789", b"2027-01-15", b"2027-01-15T08:00:00Z", b"2027-01-15 09:00",
        b"2028-02-29t23:59:59.5+23:59", b"1970-01-01T00:00:00-00:01", b"9999-12-31T23:59:59Z",
        b"2027-02-29", b"2027-01-15T08:00+01:00",
    )  # fmt: skip
    for text in texts:
        yield b"\0" + text
        yield b"\1" + text


def main() -> None:
    harnesses = {
        "answer": answer, "body": body, "decide": decide, "frame": frame, "headers": headers,
        "moment": moment, "part": part, "queue_time": queue_time, "report": report, "report_rows": report_rows,
        "rows": rows_of_csv, "rule": rule, "settings": settings, "sketch": sketch, "tree": tree,
        "url": url, "week": week, "zone": zone,
    }  # fmt: skip
    for name, seeds in harnesses.items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds()):
            (folder / f"seed-{i:03}").write_bytes(seed)


if __name__ == "__main__":
    main()
