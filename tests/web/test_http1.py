"""HTTP/1.1 only, with bounded heads: what the parser refuses before anything is served."""

import json
import re
from typing import Any

import h11
import pytest
import trio
from h11._abnf import header_field
from hypothesis import given
from hypothesis import strategies as st

from tests.kit.patience import give_up_after
from tests.kit.site import Site, open_site
from web import http1
from web.http1 import Http1
from web.security_headers import HEADERS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
SETTINGS = b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


def head(*lines: bytes, target: bytes = b"/healthz") -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: x", *lines, b"", b""))


H2C = head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", SETTINGS.strip())


async def talk(site: Site, *parts: bytes, until: bytes = b"") -> bytes:
    """Send `parts`, each as a separate packet. Returns the answer up to `until` or the end of the connection."""
    answer = b""
    async with await trio.open_tcp_stream("127.0.0.1", site.port) as stream:
        stream.setsockopt(6, 1, 1)  # TCP_NODELAY
        for part in parts:
            await stream.send_all(part)
            await trio.testing.wait_all_tasks_blocked()
        with give_up_after(10):
            try:
                while not (until and until in answer) and (part := await stream.receive_some()):
                    answer += part
            except trio.BrokenResourceError:
                pass
    return answer


@pytest.fixture
def no_http2(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The HTTP/2 protocols that are made: each one would be a way past the proxy."""
    made: list[object] = []

    def note(self: object, *arguments: Any) -> None:
        made.append(self)

    monkeypatch.setattr("hypercorn.protocol.h2.H2Protocol.__init__", note)
    monkeypatch.setattr("h2.connection.H2Connection.__init__", note)
    return made


async def test_names_of_headers_are_written_as_clients_that_compare_by_case_expect() -> None:
    """Those that a route sets, and those that every answer carries."""
    async with open_site() as site:
        answer = await talk(site, head(b"Connection: close"))
        names = [line.partition(b":")[0] for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]]
        assert {b"Content-Type", b"Content-Length", b"Date", b"X-Content-Type-Options"} <= {*names}
        assert names == [name.title() for name in names]
        made = http1.spell.cache_info().misses
        await talk(site, head(b"Connection: close"))
        assert http1.spell.cache_info().misses == made, "each name is spelled once"
        assert http1.spell.cache_info().hits >= len(HEADERS)


@pytest.mark.parametrize(
    "upgrade",
    [
        (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", SETTINGS.strip()),
        (b"connection: upgrade", b"UPGRADE: H2C"),
        (b"Connection: Upgrade", b"Upgrade:\t h2c \t", SETTINGS.strip()),
        (b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c", SETTINGS.strip()),
        (b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
        (b"Connection: Upgrade", b"Upgrade: h2c/14"),
        (b"Connection: Upgrade", b"Upgrade: h2"),
        (b"Connection: Upgrade", b"Upgrade: TLS/1.2, h2c"),
        (b"Upgrade: h2c",),
    ],
    ids=["usual", "case", "spaces", "two lines", "list", "draft", "h2", "tls", "alone"],
)
async def test_h2c_upgrade_is_served_as_http_1(upgrade: tuple[bytes, ...], no_http2: list[object]) -> None:
    """No form of `Upgrade: h2c` is answered with 101; the request and the one behind it are served as HTTP/1.1."""
    async with open_site() as site:
        if b"websocket" in b"".join(upgrade):  # a WebSocket was asked for, too, but without a key
            assert (await talk(site, head(*upgrade))).startswith(b"HTTP/1.1 400")
            answer = await talk(site, head(*upgrade, KEY.strip(), target=b"/ws/events"), until=b"hello")
            assert answer.startswith(b"HTTP/1.1 101")
            assert b"upgrade: WebSocket" in answer
        else:
            answer = await talk(site, head(*upgrade), head(b"Connection: close"))
            assert (answer.count(b"HTTP/1.1 200"), answer.count(b'{"alive":true}')) == (2, 2)
            assert b" 101 " not in answer
    assert no_http2 == []


@pytest.mark.parametrize("cut", [1, 5, 14, 18, 24, 30, 60, 100, 120])
async def test_h2c_upgrade_in_two_packets_is_served_as_http_1(cut: int, no_http2: list[object]) -> None:
    """It does not matter how the request is cut into packets."""
    async with open_site() as site:
        answer = await talk(site, H2C[:cut], H2C[cut:], until=b"alive")
        assert answer.startswith(b"HTTP/1.1 200")
    assert no_http2 == []


async def test_h2c_upgrade_behind_other_requests_is_served_as_http_1(no_http2: list[object]) -> None:
    """Pipelined, alone in the last packet, or with a body."""
    posted = H2C.replace(b"GET /healthz", b"POST /whep/gate").replace(b"Host: x", b"Host: x\r\nContent-Length: 3")
    async with open_site() as site:
        answer = await talk(site, head() * 2 + H2C + posted + b"v=0" + head(b"Connection: close"))
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
        assert statuses == [b"200", b"200", b"200", b"415", b"200"]
    assert no_http2 == []


@pytest.mark.parametrize("cut", [0, 1, 3, 10, 16, 18, 20, 24])
@pytest.mark.parametrize("first", [b"", head()], ids=["first", "second"])
async def test_http_2_preface_is_refused(first: bytes, cut: int, no_http2: list[object]) -> None:
    """With or without an HTTP/1.1 request before it, in one packet or two: 400 and the end, no frame of HTTP/2."""
    async with open_site() as site:
        answer = await talk(site, first, PREFACE[:cut], PREFACE[cut:])
        assert answer.rpartition(b"HTTP/1.1 ")[2].startswith(b"400")
        assert b"\x00\x00" not in answer
        assert (await site.get("/healthz")).status == 200
    assert no_http2 == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"PRI * HTTP/1.1", b"400"),
        (b"PRI /healthz HTTP/2.0", b"400"),
        (b"GET / HTTP/2.0", b"505"),
        (b"GET / HTTP/0.9", b"505"),
        (b"GET / HTTP/3.0", b"505"),
        (b"get / http/1.1", b"400"),
        (b"GET / HTTP/1.1 HTTP/2.0", b"400"),
    ],
)
async def test_another_version_of_http_is_refused(line: bytes, status: bytes) -> None:
    """The version in the request line decides, whatever the method."""
    async with open_site() as site:
        assert (await talk(site, line + b"\r\nHost: x\r\n\r\n")).startswith(b"HTTP/1.1 " + status)


def parse(data: bytes) -> int:
    """The status with which a head is refused; 200 when it is not."""
    connection = Http1()
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return error.error_status_hint
    assert isinstance(event, h11.Request) or event is h11.NEED_DATA
    return 200


FULL = b"X: " + b"x" * (http1.MAX_LINE - 5)
"""A header line that is just short enough, its end included."""


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([FULL], 200),
        ([FULL + b"x" * 10], 431),
        ([FULL] * 7, 200),
        ([FULL] * 8, 431),
        ([b"X: x"] * (http1.MAX_LINES - 2), 200),
        ([b"X: x"] * http1.MAX_LINES, 431),
    ],
    ids=["a line that fits", "a long line", "a head that fits", "a long head", "lines", "many lines"],
)
@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n"], ids=["whole", "unfinished"])
def test_large_head_is_refused_before_it_is_parsed(lines: list[bytes], status: int, end: bytes) -> None:
    """8 kB a line, 64 kB in all, 128 lines: beyond, 431, whether the head has ended or not."""
    data = b"\r\n".join((b"GET / HTTP/1.1", b"Host: x", *lines)) + end
    assert parse(data) == status


def test_long_request_line_is_refused() -> None:
    """414 for a target of more than 8 kB."""
    assert parse(head(target=b"/" + b"x" * 8000)) == 200
    assert parse(head(target=b"/" + b"x" * 8192)) == 414
    assert parse(b"x" * 8193) in (400, 414)


@pytest.mark.parametrize(
    "name",
    [
        *(b"Accept", b"ACCEPT-Language", b"Connection", b"Content-Type", b"Content-Length", b"Expect", b"Forwarded"),
        *(b"If-None-Match", b"Range", b"Sec-WebSocket-Protocol", b"TE", b"Transfer-Encoding", b"Upgrade"),
    ],
)
def test_lists_of_many_items_are_refused_before_they_are_parsed(name: bytes) -> None:
    """431 for more than 1 kB, in one line or in several of any names; other headers may be long."""
    line = name + b": "
    for lines in ([line + b"a," * 520], [line + b"a," * 15] * 40, [line + b"a," * 400, b"Accept: " + b"a," * 110]):
        assert parse(head(*lines)) == 431
    assert (
        parse(head(b"Cookie: " + b"a=b; " * 180, b"X-Forwarded-For: " + b"192.0.2.1, " * 200, b"X: " + b"," * 7000))
        == 200
    )


def test_long_query_is_refused() -> None:
    """414 for more than 2 kB behind the question mark, however long the path may be."""
    assert parse(head(target=b"/" + b"x" * 6000 + b"?" + b"a&" * 1000)) == 200
    assert parse(head(target=b"/?" + b"a&" * 1050)) == 414


@given(
    st.lists(
        st.sampled_from([b"X", b":", b" ", b"\t", b"x", b"\x00", b"\r", b"\x0b", b"\xff", b";", b"("]), max_size=12
    )
)
def test_header_lines_are_read_as_h11_reads_them(parts: list[bytes]) -> None:
    """The linear expression accepts the same lines, and finds the same name and value in them."""
    line = b"".join(parts)
    theirs, ours = re.fullmatch(header_field.encode(), line), http1._FIELD.fullmatch(line)
    assert (theirs and theirs.groupdict()) == (ours and ours.groupdict())


async def test_large_trailers_are_refused() -> None:
    """Trailers of a chunked body are bounded as the head is."""
    chunked = head(b"Transfer-Encoding: chunked").replace(b"GET", b"POST") + b"1\r\nx\r\n0\r\n"
    async with open_site() as site:
        fits = await talk(site, chunked + b"X: x\r\n" * 100 + b"\r\n" + head(b"Connection: close"))
        assert fits.count(b"HTTP/1.1") == 2
    connection = Http1()
    connection.receive_data(chunked)
    events = [connection.next_event() for _ in range(2)]
    assert isinstance(events[1], h11.Data)
    for _ in range(7):
        connection.receive_data(b"X: x\r\n" * 180)
        assert connection.next_event() is h11.NEED_DATA
    connection.receive_data(b"X: x\r\n" * 180)
    with pytest.raises(h11.RemoteProtocolError) as refused:
        connection.next_event()
    assert refused.value.error_status_hint == 431


async def test_refusal_of_the_server_is_a_problem_document_with_security_headers() -> None:
    """Also what no route has answered, and what is refused before a WebSocket is accepted."""
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", KEY.strip())
    asked = {
        b"431": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: x\r\n" * 180 + b"\r\n",
        b"400": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"403": head(*upgrade, b"Origin: http://evil.example", target=b"/ws/events"),
        b"404": head(*upgrade, target=b"/ws/nothing"),
        b"200": head(b"Connection: close", target=b"/"),
        b"426": head(b"Connection: close", target=b"/ws/events"),
    }
    async with open_site() as site:
        for status, data in asked.items():
            if data:
                answer = await talk(site, data, until=b"" if status != b"200" else b"</html>")
                assert answer.startswith(b"HTTP/1.1 " + status), answer
                fields = answer.partition(b"\r\n\r\n")[0].lower()
                for name, value in HEADERS.items():
                    assert f"{name}: {value}".lower().encode() in fields, (status, name)
                assert fields.count(b"content-security-policy:") == 1
                if status != b"200":
                    assert b"application/problem+json" in fields
                    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]
