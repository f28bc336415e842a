"""Authentication: the examples of the standards, and the variants of cameras."""

import hashlib

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


def hashed(*parts: str) -> str:
    return hashlib.new("sha512_256", ":".join(parts).encode()).hexdigest()


def test_sha_512_256_is_answered() -> None:
    """The response is that of RFC 7616, section 3.4.1, with SHA-512-256; also without `qop`."""
    secret, request = hashed("Mufasa", "IPC", "Circle of Life"), hashed("GET", "/dir/index.html")
    plain = 'Digest realm="IPC", nonce="n0nce", algorithm=SHA-512-256, stale="FALSE"'
    header = answered(plain)
    assert f'response="{hashed(secret, "n0nce", request)}"' in header
    assert "algorithm=SHA-512-256" in header
    (found,) = parse_challenges([answered(f'{plain}, qop="auth-int,auth"')])
    said = found.parameters
    assert said["response"] == hashed(secret, "n0nce", said["nc"], said["cnonce"], "auth", request)


@pytest.mark.parametrize(
    "name", ["sha256", "SHA-256", "Sha-256-Sess", "SHA512-256", "sha-512-256-sess", "md5", "MD5-sess"]
)
def test_algorithm_is_repeated_as_the_camera_writes_it(name: str) -> None:
    """Cameras compare it as text; quoted or not, it is read in any form."""
    for written in (name, f'"{name}"'):
        assert f"algorithm={name}" in answered(f'Digest realm="a", nonce="b", algorithm={written}')


@pytest.mark.parametrize("parameters", ['qop=""', "qop=", 'algorithm=""'])
def test_empty_parameter_is_one_that_is_missing(parameters: str) -> None:
    """The answer is that of RFC 2069, with MD5."""
    plain = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert answered(f"{plain}, {parameters}") == answered(plain)


@pytest.mark.parametrize(
    ("offered", "digest_only", "refused", "chosen"),
    [
        ([BASIC, MD5], True, (), "md5"),
        ([BASIC], True, (), None),
        ([MD5, SHA], False, ("sha256",), "md5"),
        ([SHA, BASIC], False, ("sha256",), ""),
        ([f"{SHA}, {MD5}, {BASIC}"], False, (), "sha256"),
        ([MD5, SHA.replace("256", "512-256")], False, (), "sha512256"),
    ],
)
def test_refused_algorithms_and_a_forbidden_basic_are_left_out(
    offered: list[str], digest_only: bool, refused: tuple[str, ...], chosen: str | None
) -> None:
    """The strongest of the remaining ones is chosen, also within one header."""
    found = choose(offered, digest_only, refused)
    assert (found and (found.algorithm if found.scheme == "digest" else "")) == chosen


def test_a_camera_without_qop_is_answered_as_of_old() -> None:
    """The response is that of RFC 2069, section 2.4, as corrected by erratum 749."""
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    header = answered(challenge, credentials=Credentials("Mufasa", "CircleOfLife"))
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "cnonce" not in header


def test_basic_is_the_last_choice() -> None:
    """SHA-256 is preferred to MD5, and MD5 to Basic, also within one header."""
    assert answered(BASIC, credentials=Credentials("Aladdin", "open sesame")) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert [choose(offered).algorithm for offered in ([BASIC, MD5, SHA], [f"{BASIC}, {MD5}"])] == ["sha256", "md5"]  # type: ignore[union-attr]


def test_each_request_under_one_nonce_has_its_number() -> None:
    """A server may reject a repeated `nc` as a replay."""
    challenge = choose([MD5])
    assert challenge is not None
    authorization = Authorization(MUFASA, challenge)
    first, second = (authorization.header("PLAY", "rtsp://h/") for _ in range(2))
    assert "nc=00000001" in first
    assert "nc=00000002" in second


@pytest.mark.parametrize(
    "header",
    ["", "Digest", 'Digest realm="a"', 'Digest realm="a", nonce="b", algorithm=SHA-1',
     "Bearer", 'NTLM abc=="'],
)  # fmt: skip
def test_challenge_that_cannot_be_answered_is_not_chosen(header: str) -> None:
    """No nonce, or an unknown algorithm or scheme: no challenge is chosen."""
    assert choose([header]) is None


@pytest.mark.parametrize("more", ['nonce="n", qop="auth-int"', 'nonce=""'])
def test_digest_with_another_qop_or_an_empty_nonce_is_answered_without_qop(more: str) -> None:
    """The answer is that of RFC 2069; a challenge with `auth` is preferred, and Basic is not."""
    odd = f'Digest realm="r", {more}'
    (found,) = parse_challenges([answered(BASIC, odd)])
    (asked,) = parse_challenges([odd])
    secret, request = (
        hashlib.md5(part.encode()).hexdigest() for part in ("Mufasa:r:Circle of Life", "GET:/dir/index.html")
    )
    assert found.parameters["response"] == hashlib.md5(f"{secret}:{asked.nonce}:{request}".encode()).hexdigest()
    assert "qop" not in found.parameters
    assert choose(['Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth-int"', MD5]) == choose([MD5])


def test_quotes_and_stale_nonces_are_understood() -> None:
    """Escaped quotes are read and written, and `Stale=TRUE` counts in any case."""
    (challenge,) = parse_challenges(['digest realm="a \\"b\\", c", Stale=TRUE,nonce=xyz'])
    assert challenge == Challenge("digest", {"realm": 'a "b", c', "stale": "TRUE", "nonce": "xyz"})
    assert challenge.is_stale
    header = Authorization(Credentials('us"er', "p"), challenge).header("PLAY", "rtsp://h/")
    assert 'username="us\\"er"' in header


def test_session_variant_of_md5_hashes_the_secret_again() -> None:
    """The answer names `MD5-sess`, the algorithm of the challenge."""
    assert "algorithm=MD5-sess" in answered(MD5.replace("MD5", "MD5-sess"))


def test_a_password_is_not_shown() -> None:
    """The `repr` of credentials may be logged."""
    assert "Circle" not in repr(MUFASA)


def test_challenge_with_semicolons_is_read() -> None:
    """Instead of commas, which the standard wants."""
    (challenge,) = parse_challenges(['Digest realm="a;b"; nonce=n;qop="auth"'])
    assert challenge.parameters == {"realm": "a;b", "nonce": "n", "qop": "auth"}
