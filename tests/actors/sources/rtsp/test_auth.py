"""Who we are: the examples of the standards, and what cameras make of them."""

import pytest

from actors.sources.rtsp.auth import Authorization, Challenge, Credentials, choose, parse_challenges

MUFASA = Credentials("Mufasa", "Circle of Life")
REALM = 'realm="http-auth@example.org", qop="auth, auth-int"'
NONCE = 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
MD5, SHA = (f"Digest {REALM}, algorithm={name}, {NONCE}" for name in ("MD5", "SHA-256"))
BASIC = 'Basic realm="a"'


def answered(*challenges: str, credentials: Credentials = MUFASA, method: str = "GET") -> str:
    challenge = choose(challenges)
    assert challenge is not None
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    return Authorization(credentials, challenge, lambda: cnonce).header(method, "/dir/index.html")


@pytest.mark.parametrize(
    ("challenge", "response"),
    [
        (MD5, "8ca523f5e9506fed4657c9700eebdbec"),
        (SHA, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_standard(challenge: str, response: str) -> None:
    """RFC 7616, section 3.9.1."""
    (found,) = parse_challenges([answered(challenge)])
    said = found.parameters
    assert (said["response"], said["username"], said["nc"], said["qop"]) == (response, "Mufasa", "00000001", "auth")
    assert said["opaque"] == "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def test_a_camera_without_qop_is_answered_as_of_old() -> None:
    """RFC 2069, section 2.4, as its erratum 749 corrects it."""
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    header = answered(challenge, credentials=Credentials("Mufasa", "CircleOfLife"))
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "cnonce" not in header


def test_basic_is_the_last_choice() -> None:
    assert answered(BASIC, credentials=Credentials("Aladdin", "open sesame")) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert [choose(offered).algorithm for offered in ([BASIC, MD5, SHA], [f"{BASIC}, {MD5}"])] == ["sha-256", "md5"]  # type: ignore[union-attr]


def test_each_request_under_one_nonce_has_its_number() -> None:
    challenge = choose([MD5])
    assert challenge is not None
    authorization = Authorization(MUFASA, challenge)
    first, second = (authorization.header("PLAY", "rtsp://h/") for _ in range(2))
    assert "nc=00000001" in first
    assert "nc=00000002" in second


@pytest.mark.parametrize(
    "header",
    ["", "Digest", 'Digest realm="a"', 'Digest realm="a", nonce="b", algorithm=SHA-1',
     'Digest nonce="b", qop="auth-int"', "Bearer", 'NTLM abc=="'],
)  # fmt: skip
def test_what_cannot_be_answered_is_not(header: str) -> None:
    assert choose([header]) is None


def test_quotes_and_stale_nonces_are_understood() -> None:
    (challenge,) = parse_challenges(['digest realm="a \\"b\\", c", Stale=TRUE,nonce=xyz'])
    assert challenge == Challenge("digest", {"realm": 'a "b", c', "stale": "TRUE", "nonce": "xyz"})
    assert challenge.is_stale
    header = Authorization(Credentials('us"er', "p"), challenge).header("PLAY", "rtsp://h/")
    assert 'username="us\\"er"' in header


def test_a_session_has_a_secret_of_its_own() -> None:
    assert "algorithm=MD5-sess" in answered(MD5.replace("MD5", "MD5-sess"))


def test_a_password_is_not_shown() -> None:
    assert "Circle" not in repr(MUFASA)
