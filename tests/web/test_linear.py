"""What a client sends to the web server costs time in proportion to its length.

Each input is made at one length and at twice the length; the doubled one may take 2.2 times as long (and a little for
the clock). The shortest of several runs is compared, and a bad comparison is repeated: a busy machine fails no test.
"""

import time
from collections.abc import Callable
from typing import Any

import h11
import pytest
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_accept_header, parse_cookie, parse_list_header, parse_options_header, parse_range_header
from werkzeug.test import create_environ
from werkzeug.wrappers import Request
from wsproto.connection import Connection, ConnectionType

from tests.kit.hostile.web import frame
from web import http1
from web.bodies import parse as parse_json
from web.cross_site import OURS
from web.hosts import is_ours
from web.http1 import Http1

GROWTH = 2.2
SMALLEST_S = 0.0005
"""Below this a comparison says more about the clock than about the parser."""
Parse = Callable[[bytes], object]


def parse_head(data: bytes) -> object:
    """A head of at most 64 kB; a larger one is refused, which costs time, too."""
    connection = Http1()
    connection.receive_data(data)
    try:
        return connection.next_event()
    except h11.RemoteProtocolError as error:
        return error


def parse_in_pieces(data: bytes) -> object:
    """As slices of a connection come."""
    connection, event = Http1(), None
    for at in range(0, len(data), 512):
        connection.receive_data(data[at : at + 512])
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return error
    return event


def read_frames(data: bytes) -> object:
    connection = Connection(ConnectionType.SERVER)
    connection.receive_data(data)
    return list(connection.events())


def read_json(data: bytes) -> object:
    try:
        return parse_json(data)
    except BadRequest as error:
        return error


def read_cookie(data: bytes) -> object:
    try:
        return parse_cookie(data.decode("latin-1"))
    except UnicodeDecodeError as error:
        return error


def parse_trailers(data: bytes) -> object:
    """Behind a chunked body."""
    connection = Http1()
    connection.receive_data(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + data + b"\r\n\r\n"
    )
    try:
        return [connection.next_event() for _ in range(2)]
    except h11.RemoteProtocolError as error:
        return error


def query(data: bytes) -> object:
    return list(Request(create_environ("/", query_string=data.decode("latin-1"))).args.items())


def head(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + value + b"\r\n\r\n"


def text(parse: Callable[[str], Any]) -> Parse:
    return lambda data: parse(data.decode("latin-1"))


LINE = http1.MAX_LINE // 2 - 100
"""Doubled, it is just short enough for one header line."""
UNITS = [
    b"a",
    b" ",
    b",",
    b";",
    b"=",
    b'"',
    b"\\",
    b"a,",
    b"a=",
    b'a="b",',
    b";q=0.1,",
    b"%",
    b"&a=",
    b"\t ",
    b"(",
    b"\xff",
]
PARSERS: dict[str, tuple[Parse, int]] = {
    "head": (lambda data: parse_head(head(b"X: " + data)), LINE),
    "head that ends badly": (lambda data: parse_head(head(b"X: " + data + b"\x00")), LINE),
    "trailer": (lambda data: parse_trailers(b"X: " + data), LINE),
    "trailer that ends badly": (lambda data: parse_trailers(b"X: " + data + b"\x00"), LINE),
    "chunk's head": (lambda data: parse_trailers(data), LINE),
    "name": (lambda data: parse_head(head(data)), LINE),
    "connection": (lambda data: parse_head(head(b"Connection: " + data)), LINE),
    "upgrade": (lambda data: parse_head(head(b"Upgrade: " + data)), LINE),
    "target": (lambda data: parse_head(b"GET /" + data + b" HTTP/1.1\r\nHost: x\r\n\r\n"), LINE),
    "pieces": (lambda data: parse_in_pieces(head(b"X: " + data)), LINE),
    "host": (text(lambda value: is_ours(value, ["https://wall.example"])), LINE),
    "fetch site": (text(lambda value: value.strip().lower() in OURS), LINE),
    "accept": (text(parse_accept_header), LINE),
    "list": (text(parse_list_header), LINE),
    "options": (text(parse_options_header), LINE),
    "options value": (text(lambda value: parse_options_header(f"a; b={value}")), LINE),
    "cookie": (read_cookie, LINE),
    "range": (text(lambda value: parse_range_header(f"bytes={value}")), LINE),
    "query": (query, LINE),
    "query value": (lambda data: query(b"a=" + data), LINE),
    "json": (read_json, 100_000),
    "json string": (lambda data: read_json(b'"' + data), 100_000),
    "one frame": (lambda data: read_frames(frame(1, data)), 30_000),
    "fragments": (lambda data: read_frames(b"".join(frame(0, data[n : n + 1], fin=False) for n in range(400))), 400),
}
NESTED = [b"[", b'{"a":', b"[[],", b"-", b"1", b"1e", b'"\\u', b"\\", b"[1,", b'{"a":1,']


def shortest_s(parse: Parse, data: bytes, runs: int) -> float:
    best = float("inf")
    for _ in range(runs):
        began = time.process_time()
        parse(data)
        best = min(best, time.process_time() - began)
    return best


def grows_too_fast(parse: Parse, unit: bytes, size: int) -> str:
    """Why it is worse than linear; nothing when it is not. Several attempts."""
    said = ""
    for runs in (2, 5, 20):
        once, twice = (shortest_s(parse, unit * (n * size // len(unit)), runs) for n in (1, 2))
        if twice <= GROWTH * once + SMALLEST_S:
            return ""
        said = f"{unit!r}: {once * 1000:.2f} ms, doubled {twice * 1000:.2f} ms"
    return said


@pytest.mark.parametrize(("parse", "size"), PARSERS.values(), ids=PARSERS)
def test_parser_of_the_web_takes_twice_the_time_for_twice_the_input(parse: Parse, size: int) -> None:
    """For repeated bytes of each kind, and for JSON for nested forms."""
    units = NESTED if size == 100_000 else UNITS
    assert [why for unit in units if (why := grows_too_fast(parse, unit, size))] == []


def test_measure_sees_what_is_quadratic() -> None:
    """The comparison itself: a search from the beginning for each byte is found out."""
    assert grows_too_fast(lambda data: [data.rfind(b"b", 0, at) for at in range(0, len(data), 4)], b"a", 40_000)


def test_whole_head_is_parsed_within_some_milliseconds() -> None:
    """The worst head that is not refused: 128 lines, 64 kB. (Alone, it takes 2 ms.)"""
    lines = [b"X%d: " % number + b"a," * 250 for number in range(120)]
    assert shortest_s(parse_head, head(b"\r\n".join(lines)), 5) < 0.05
