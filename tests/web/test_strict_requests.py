"""Requests that a proxy in front could read differently: 400, and the connection ends."""

import re

import h11
import pytest
import trio

from tests.kit.patience import give_up_after
from tests.kit.site import open_site
from web.http1 import Http1

POST = b"POST /api/leases HTTP/1.1\r\nHost: nas\r\nContent-Type: application/json\r\n"
BODY = b'{"kind":"viewer","camera":"gate"}'
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
TE, CL = b"Transfer-Encoding: chunked\r\n", b"Content-Length: %d\r\n"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: nas\r\n\r\n"
"""The request that a smuggler hides: it must never be answered."""

UNCLEAR = {
    "length and coding": (POST + CL % 4 + TE + b"\r\n" + CHUNKED, 400),
    "coding and length": (POST + TE + CL % len(CHUNKED) + b"\r\n" + CHUNKED, 400),
    "coding in HTTP/1.0": (POST.replace(b"1.1", b"1.0") + TE + b"Connection: keep-alive\r\n\r\n" + CHUNKED, 400),
    "two lengths": (POST + CL % 4 + CL % 5 + b"\r\n" + BODY, 400),
    "a list of lengths": (POST + b"Content-Length: 4, 5\r\n\r\n" + BODY, 400),
    "a negative length": (POST + b"Content-Length: -5\r\n\r\n", 400),
    "a signed length": (POST + b"Content-Length: +5\r\n\r\n", 400),
    "another coding": (POST + b"Transfer-Encoding: identity, chunked\r\n\r\n" + CHUNKED, 501),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "a coding twice": (POST + TE + TE + b"\r\n" + CHUNKED, 501),
    "a coding with a vertical tab": (POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + CHUNKED, 400),
    "a folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + CHUNKED, 400),
    "a folded value": (POST + b"X: x\r\n\tContent-Length: 4\r\n\r\n" + BODY, 400),
    "a folded first line": (POST.replace(b"Host", b" Host") + b"\r\n", 400),
    "a space before the colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED, 400),
    "a bare LF in the head": (POST + b"X: x\n" + TE + b"\r\n" + CHUNKED, 400),
    "a head that ends in bare LFs": (POST[:-2] + b"\n\n", 400),
    "a bare CR in the head": (POST + b"X: x\rTransfer-Encoding: chunked\r\n\r\n" + CHUNKED, 400),
    "a NUL": (POST + b"X: \x00\r\n\r\n", 400),
    "two hosts": (POST + b"Host: nas\r\n\r\n", 400),
    "no host": (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
    "a chunk that ends elsewhere": (POST + TE + b"\r\n3\r\nabcde\r\n0\r\n\r\n", 400),
    "a chunk size with a prefix": (POST + TE + b"\r\n0x3\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk size that ends in a bare LF": (POST + TE + b"\r\n3;\nabc\r\n0\r\n\r\n", 400),
    "trailers that end in a bare LF": (POST + TE + b"\r\n0\r\n\n", 400),
    "trailers with a bare LF": (POST + TE + b"\r\n0\r\nX: x\n\n", 400),
    "not HTTP": (b"GARBAGE\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01" * 20, 400),
    "HEAD of HTTP/2": (b"HEAD / HTTP/2.0\r\nHost: nas\r\n\r\n", 505),
    "the target of CONNECT": (b"CONNECT nas:1 HTTP/1.1\r\nHost: nas\r\n\r\n", 400),
    "a target without a slash": (b"GET healthz HTTP/1.1\r\nHost: nas\r\n\r\n", 400),
    "a target of another scheme": (b"GET ftp://nas/healthz HTTP/1.1\r\nHost: nas\r\n\r\n", 400),
}


async def exchange(port: int, data: bytes) -> bytes:
    """All that the server sends until it closes the connection."""
    answer = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(data)
        with give_up_after(10):
            async for part in stream:
                answer += part
    return answer


async def test_unclear_request_is_refused_and_the_connection_ends() -> None:
    """One answer, a problem document that says why, and nothing behind it is read as a request."""
    async with open_site() as site:
        for case, (data, status) in UNCLEAR.items():
            answer = await exchange(site.port, data + SECOND)
            assert re.findall(rb"HTTP/1\.[01] (\d+)", answer) == [b"%d" % status], (case, answer)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b"connection: close" in head.lower(), case
            assert re.search(rb'"detail": ?"[^"]{12,}"', body), (case, body)
        assert not site.core.kernel.state.leases


async def test_request_with_one_length_is_served_and_the_connection_goes_on() -> None:
    """Each form that has one reading, also two equal lengths, with the next request behind it."""
    async with open_site() as site:
        for framed in (CL % len(BODY) + b"\r\n" + BODY, CL % len(BODY) * 2 + b"\r\n" + BODY, TE + b"\r\n" + CHUNKED):
            answer = await exchange(
                site.port, POST + framed + SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
            )
            assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"201", b"200"]


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        (b"http://evil.example/api/cameras", b"127.0.0.1", 421),
        (b"HTTPS://evil.example:8620/api/cameras?x=1", b"127.0.0.1", 421),
        (b"http://evil.example", b"127.0.0.1", 421),
        (b"http://nas@evil.example/api/cameras", b"nas", 400),
        (b"http:///api/cameras", b"nas", 400),
        (b"http://127.0.0.1/api/cameras", b"127.0.0.1", 200),
        (b"http://nas/api/cameras", b"evil.example", 200),
        (b"http://nas/nothing", b"nas", 404),
    ],
)
async def test_authority_of_an_absolute_target_replaces_the_host(target: bytes, host: bytes, status: int) -> None:
    """The host in the target is checked, and the one in `Host` is not looked at."""
    data = b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (target, host)
    async with open_site() as site:
        assert (await exchange(site.port, data)).startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://nas", b"/"), (b"http://nas?a=b", b"/?a=b"), (b"http://nas/x?y=http://z/", b"/x?y=http://z/")],
)
def test_absolute_target_becomes_a_path(target: bytes, path: bytes) -> None:
    """With its query; one without a path means the root."""
    connection = Http1()
    connection.receive_data(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.target, [value for name, value in request.headers if name == b"host"]) == (path, [b"nas"])


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_are_found_in_pieces_of_any_size(size: int) -> None:
    """The end of a head and of trailers may be split between packets."""
    connection, events = Http1(), []
    data = POST + TE + b"\r\n1\r\nx\r\n0\r\nX: x\r\nY: y\r\n\r\n"
    for at in range(0, len(data), size):
        connection.receive_data(data[at : at + size])
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            events.append(type(event))
    assert events == [h11.Request, h11.Data, h11.EndOfMessage]
