"""The web server parses any input in time proportional to its length.

`tests/kit/growth.py` compares one length with eight times that length; a busy machine fails no test.
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

from tests.kit.growth import FACTOR, MOST, growth
from tests.kit.hostile.web import frame
from web import http1
from web.bodies import parse as parse_json
from web.cross_site import OURS
from web.hosts import is_ours
from web.http1 import Http1

pytestmark = pytest.mark.paired

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
    """Byte by byte, as the worst client sends it."""
    connection, event = Http1(), None
    for at in range(len(data)):
        connection.receive_data(data[at : at + 1])
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
    connection.receive_data(chunked(data))
    try:
        return [connection.next_event() for _ in range(2)]
    except h11.RemoteProtocolError as error:
        return error


def query(data: bytes) -> object:
    return list(Request(create_environ("/", query_string=data.decode("latin-1"))).args.items())


def head(value: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + value + b"\r\n\r\n"


def chunked(trailers: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailers + b"\r\n\r\n"


def text(parse: Callable[[str], Any]) -> Parse:
    return lambda data: parse(data.decode("latin-1"))


LINE = (http1.MAX_LINE - 100) // FACTOR
"""The longer one is just short enough for one header line."""
JSON = 25_000
LINES = (http1.MAX_HEAD - 4000) // FACTOR
"""The longer one is just short enough for a head."""
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
    "trailers in pieces": (
        lambda data: parse_in_pieces(chunked(b"X: " + data)),
        LINE,
    ),
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
    "json": (read_json, JSON),
    "json string": (lambda data: read_json(b'"' + data), JSON),
    "one frame": (lambda data: read_frames(frame(1, data)), 8_000),
    "fragments": (lambda data: read_frames(b"".join(frame(0, b"x", fin=False) for _ in data)), 50),
}
NESTED = [b"[", b'{"a":', b"[[],", b"-", b"1", b"1e", b'"\\u', b"\\", b"[1,", b'{"a":1,']


def work_of(parse: Parse, unit: bytes) -> Callable[[int], Callable[[], object]]:
    def work(size: int) -> Callable[[], object]:
        data = unit * (size // len(unit))
        return lambda: parse(data)

    return work


@pytest.mark.parametrize(("parse", "size"), PARSERS.values(), ids=PARSERS)
def test_parser_of_the_web_takes_time_in_proportion_to_the_input(parse: Parse, size: int) -> None:
    """For repeated bytes of each kind, and for JSON for nested forms."""
    units = NESTED if size == JSON else UNITS
    found = {unit: growth(work_of(parse, unit), size) for unit in units}
    assert {unit: ratio for unit, ratio in found.items() if ratio > MOST} == {}


@pytest.mark.parametrize("line", [b"X: " + b"a" * 1000 + b"\r\n", b"X: " + b"a" * 7000 + b"\n"])
def test_head_in_pieces_of_one_byte_takes_time_in_proportion_to_its_length(line: bytes) -> None:
    """Nothing of it is read again when more arrives."""
    first = b"GET / HTTP/1.1\r\nHost: x\r\n"

    def work(size: int) -> Callable[[], object]:
        data = first + (line * (size // len(line) + 1))[:size]
        return lambda: parse_in_pieces(data)

    assert growth(work, LINES) <= MOST


def test_whole_head_is_parsed_within_some_milliseconds() -> None:
    """The worst head that is not refused: 128 lines, 64 kB. (Alone, it takes 2 ms.)"""
    data, best = head(b"\r\n".join(b"X%d: " % number + b"a," * 250 for number in range(120))), float("inf")
    for _ in range(5):
        began = time.process_time()
        parse_head(data)
        best = min(best, time.process_time() - began)
    assert best < 0.05
