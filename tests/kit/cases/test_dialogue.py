"""The camera of a case answers by the first rule that fits, and takes requests apart as they come."""

import hashlib

import pytest

from .dialogue import Digest, Request, RequestError, Rule, choose, proves, take_request, write_reply

PORT = 8554


def asked(method: str = "PLAY", url: str = "rtsp://127.0.0.1:8554/stream", **headers: str) -> Request:
    return Request(method, url, headers)


def test_requests_are_taken_one_by_one_and_interleaved_packets_are_skipped() -> None:
    """Half a request waits for the rest; a body belongs to its request."""
    buffer = bytearray(b"$\x01\0\x02abOPTIONS rtsp://x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 2\r\n\r\n")
    assert take_request(buffer) is None
    buffer += b"okPLAY rtsp://x RTSP/1.0\r\nSession:  4711 \r\n\r\n$\x00"
    assert take_request(buffer) == Request("OPTIONS", "rtsp://x", {"cseq": "1", "content-length": "2"})
    assert take_request(buffer) == Request("PLAY", "rtsp://x", {"session": "4711"})
    assert take_request(buffer) is None
    assert buffer == b"$\x00"


def test_answers_to_requests_of_the_camera_are_skipped() -> None:
    """Half an answer waits for the rest; the request behind it is taken."""
    buffer = bytearray(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
    assert take_request(buffer) is None
    buffer += b"\r\nPLAY rtsp://x RTSP/1.0\r\nCSeq: 2\r\n\r\n"
    assert take_request(buffer) == Request("PLAY", "rtsp://x", {"cseq": "2"})


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", bytes(70_000)])
def test_bytes_that_are_no_request_are_an_error(data: bytes) -> None:
    """Another protocol, no protocol, and no end."""
    with pytest.raises(RequestError):
        take_request(bytearray(data))


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (Rule(), True),
        (Rule(method=""), True),
        (Rule(method="SETUP"), False),
        (Rule(url="rtsp://127.0.0.1:{port}/stream"), True),
        (Rule(url="rtsp://127.0.0.1:{port}/other"), False),
        (Rule(has=("range",)), True),
        (Rule(has=("session",)), False),
        (Rule(lacks=("range",)), False),
        (Rule(header={"range": "npt=0-"}), True),
        (Rule(header={"range": "npt"}), False),
        (Rule(contains={"range": "npt"}), True),
        (Rule(contains={"session": "4"}), False),
    ],
)
def test_rule_fits_by_every_field_that_it_has(rule: Rule, fits: bool) -> None:
    """A field that is left out asks for nothing."""
    assert (choose((rule,), asked(range="npt=0-"), PORT) is rule) == fits


def test_first_rule_that_fits_is_taken() -> None:
    """Order decides; without a rule there is no answer."""
    rules = (Rule(method="SETUP"), Rule(method="PLAY", reply=("first",)), Rule(reply=("second",)))
    assert choose(rules, asked(), PORT) is rules[1]
    assert choose(rules[:1], asked(), PORT) is None


def test_answer_is_filled_in() -> None:
    """Numbers of the request and of the camera, also padded; the length of the body is added."""
    rule = Rule(reply=("RTSP/1.0 200 OK", "CSeq: {cseq-1:03d}", "At: {port}"), body=("v=0", "a={cseq}"))
    reply = write_reply(rule, asked(cseq="8"), PORT)
    assert reply == b"RTSP/1.0 200 OK\r\nCSeq: 007\r\nAt: 8554\r\nContent-Length: 10\r\n\r\nv=0\r\na=8\r\n"
    assert write_reply(Rule(), asked(), PORT) == b""
    assert write_reply(Rule(reply=("a", "b"), line_end="\n"), asked(), PORT) == b"a\nb\n\n"


def test_ports_of_datagrams_are_filled_in_for_a_rule_with_udp() -> None:
    """Those that the request names, and the camera's own."""
    request = asked("SETUP", transport="RTP/AVP;unicast;client_port=5000-5001")
    rule = Rule(reply=("{client_port} {server_port}",), udp=True)
    assert write_reply(rule, request, PORT, 6000) == b"5000-5001 6000-6001\r\n\r\n"
    assert write_reply(Rule(reply=("{client_port}",)), request, PORT) == b"\r\n\r\n"


@pytest.mark.parametrize(("algorithm", "name"), [("MD5", "md5"), ("SHA-256", "sha256"), ("SHA-512-256", "sha512_256")])
def test_rule_fits_no_request_that_proves_the_password(algorithm: str, name: str) -> None:
    """With each algorithm; a wrong password proves nothing."""

    def hashed(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    def request(password: str) -> Request:
        answer = hashed(f"{hashed(f'admin:IPC:{password}')}:n0:{hashed('DESCRIBE:rtsp://x')}")
        return asked("DESCRIBE", authorization=f'Digest username="admin", uri="rtsp://x", response="{answer}"')

    wanted = Digest("admin", "secret", "IPC", "n0", algorithm)
    rule = Rule(unless_digest=wanted)
    assert proves(wanted, request("secret"))
    assert choose((rule,), request("secret"), PORT) is None
    assert choose((rule,), request("wrong"), PORT) is rule
    assert choose((rule,), asked("DESCRIBE"), PORT) is rule
