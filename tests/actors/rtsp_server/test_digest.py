"""Digest as the server of readers checks it: the example of the standard, and each answer that must be refused."""

import pytest

from actors.rtsp_server.digest import NONCE_S, Nonces, Outcome, is_right, read_answer
from actors.sources.rtsp.auth import Authorization, Challenge, Credentials, parse_challenges
from supervisor.domain.digest import ReaderKeys, hashed, reader_keys

NAME, TOKEN = "nvr", "nvr.s3cr-et_"
KEYS = reader_keys(NAME, TOKEN)
URL = "rtsp://192.0.2.1:8554/gate"
NOW = 1000.0


def challenged(nonces: Nonces, algorithm: str = "MD5", now: float = NOW, qop: bool = True) -> Challenge:
    found = list(parse_challenges(nonces.challenges(now, stale=False)))
    challenge = next(each for each in found if each.parameters["algorithm"] == algorithm)
    parameters = {name: value for name, value in challenge.parameters.items() if qop or name != "qop"}
    return Challenge(challenge.scheme, parameters)


def authorization(challenge: Challenge, user: str = NAME, password: str = TOKEN) -> Authorization:
    return Authorization(Credentials(user, password), challenge)


def judged(
    nonces: Nonces, header: str, method: str = "DESCRIBE", url: str = URL, now: float = NOW, keys: object = KEYS
) -> Outcome:
    answer = read_answer([header])
    assert answer is not None
    assert keys is None or isinstance(keys, ReaderKeys)
    return nonces.judge(answer, keys, method, url, now)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_example_of_the_standard_is_right(monkeypatch: pytest.MonkeyPatch, algorithm: str, response: str) -> None:
    """RFC 7616, section 3.9.1, with its realm."""
    monkeypatch.setattr("actors.rtsp_server.digest.REALM", "http-auth@example.org")
    key = hashed(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    answer = read_answer(
        [
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
            f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
            'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
            f'response="{response}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        ]
    )
    assert answer is not None
    keys = ReaderKeys((key, key), (key, key))
    assert is_right(answer, keys, "GET", "http://www.example.org/dir/index.html")
    assert not is_right(answer, keys, "PUT", "http://www.example.org/dir/index.html")


@pytest.mark.parametrize("password", [TOKEN, TOKEN.removeprefix("nvr.")], ids=["token", "part"])
@pytest.mark.parametrize("qop", [True, False])
@pytest.mark.parametrize("algorithm", ["SHA-256", "MD5"])
def test_right_answer_logs_in(algorithm: str, qop: bool, password: str) -> None:
    """With both algorithms, with `qop` and in the old form; the password is the token, or its part behind the name."""
    nonces = Nonces()
    header = authorization(challenged(nonces, algorithm, qop=qop), password=password).header("DESCRIBE", URL)
    assert judged(nonces, header) is Outcome.RIGHT


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/trackID=0", "/gate", "rtsp://other:1/gate?tcp"])
def test_address_in_the_answer_may_be_another_one_of_the_camera(url: str) -> None:
    """Readers name the camera for all requests, or the track, or leave out the host."""
    nonces = Nonces()
    header = authorization(challenged(nonces)).header("SETUP", url)
    assert judged(nonces, header, "SETUP", f"{URL}/trackID=0") is Outcome.RIGHT


def test_wrong_answers_are_refused() -> None:
    """Another password, name, method, camera, realm, algorithm, `qop` or count; and a token that is not for RTSP."""
    nonces = Nonces()
    challenge = challenged(nonces)
    right = authorization(challenge).header("DESCRIBE", URL)
    assert judged(nonces, authorization(challenge, password="nvr.other").header("DESCRIBE", URL)) is Outcome.WRONG
    assert judged(nonces, authorization(challenge, user="nvr2").header("DESCRIBE", URL)) is Outcome.WRONG
    assert judged(nonces, right, keys=None) is Outcome.WRONG
    assert judged(nonces, right, method="SETUP") is Outcome.WRONG
    assert judged(nonces, right, url="rtsp://192.0.2.1:8554/hall") is Outcome.WRONG
    for name, value in (("realm", "another"), ("algorithm", "MD5-sess"), ("algorithm", "SHA-512-256")):
        other = Challenge("digest", {**challenge.parameters, name: value})
        assert judged(nonces, authorization(other).header("DESCRIBE", URL)) is Outcome.WRONG, (name, value)
    assert judged(nonces, right.replace('realm="banken"', 'realm="another"')) is Outcome.WRONG
    said, key = read_answer([right]), KEYS.md5[0]
    assert said is not None
    signed = hashed("MD5", key, said.nonce, said.count, said.cnonce, "auth-int", hashed("MD5", "DESCRIBE", URL))
    other_qop = right.replace("qop=auth", "qop=auth-int").replace(said.response, signed)
    assert judged(nonces, other_qop) is Outcome.WRONG
    assert judged(nonces, right.replace("nc=00000001", "nc=1")) is Outcome.WRONG
    assert judged(nonces, right.replace("nc=00000001", "nc=zzzzzzzz")) is Outcome.WRONG
    assert judged(nonces, right) is Outcome.RIGHT


def test_answer_of_another_connection_is_stale() -> None:
    """A header that somebody has read on the way is worth nothing in a new connection."""
    header = authorization(challenged(Nonces())).header("DESCRIBE", URL)
    assert judged(Nonces(), header) is Outcome.STALE


@pytest.mark.parametrize("nonce", ["", "0" * 44, "z" * 44, "n0nce"])
def test_invented_nonce_is_stale(nonce: str) -> None:
    """Only banken makes nonces."""
    challenge = Challenge("digest", {**challenged(Nonces()).parameters, "nonce": nonce})
    assert judged(Nonces(), authorization(challenge).header("DESCRIBE", URL)) is Outcome.STALE


def test_count_that_was_used_is_stale_also_after_a_newer_nonce() -> None:
    """In one connection an answer counts once."""
    nonces = Nonces()
    first = authorization(challenged(nonces))
    header = first.header("DESCRIBE", URL)
    assert judged(nonces, header) is Outcome.RIGHT
    assert judged(nonces, header) is Outcome.STALE
    second = first.header("DESCRIBE", URL)
    assert judged(nonces, second) is Outcome.RIGHT
    assert judged(nonces, authorization(challenged(nonces, now=NOW + 1)).header("DESCRIBE", URL)) is Outcome.RIGHT
    assert judged(nonces, first.header("DESCRIBE", URL)) is Outcome.STALE


def test_nonce_is_stale_after_five_minutes() -> None:
    """And only for who knows the password."""
    nonces = Nonces()
    challenge = challenged(nonces)
    right, wrong = authorization(challenge), authorization(challenge, password="nvr.other")
    assert judged(nonces, right.header("DESCRIBE", URL), now=NOW + NONCE_S - 1) is Outcome.RIGHT
    assert judged(nonces, right.header("DESCRIBE", URL), now=NOW + NONCE_S + 1) is Outcome.STALE
    assert judged(nonces, wrong.header("DESCRIBE", URL), now=NOW + NONCE_S + 1) is Outcome.WRONG


def test_unknown_name_costs_the_same_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work does not say whether there is such a token."""
    nonces = Nonces()
    header = authorization(challenged(nonces), password="nvr.other").header("DESCRIBE", URL)
    hashes: list[int] = []

    def counted(algorithm: str, *parts: str) -> str:
        hashes.append(len(parts))
        return hashed(algorithm, *parts)

    monkeypatch.setattr("actors.rtsp_server.digest.hashed", counted)
    judged(nonces, header)
    known, hashes[:] = list(hashes), []
    judged(nonces, header, keys=None)
    assert known == hashes


def test_challenges_are_one_header_each_with_the_strongest_first() -> None:
    """Readers that know one algorithm take the last one or look at each; `stale` follows the nonce."""
    sha, md5 = Nonces().challenges(NOW, stale=True)
    assert 'stale=true, algorithm=SHA-256, qop="auth"' in sha
    assert md5.startswith('Digest realm="banken", nonce="') and "algorithm=MD5" in md5


def test_long_answer_is_cut_off_and_further_headers_are_not_read() -> None:
    """16 kB of parameters, or a hundred headers, would take the loop for milliseconds."""
    nonces = Nonces()
    right = authorization(challenged(nonces)).header("DESCRIBE", URL)
    assert judged(nonces, right.replace("Digest ", "Digest " + 'a="b",' * 350)) is Outcome.WRONG
    assert read_answer(["Basic bnZyOm52cg==", right]) is None


@pytest.mark.parametrize("header", ["", "Basic bnZyOm52cg==", "Bearer nvr.s3cr-et_", "Digest", '"', "Digest ="])
def test_header_without_an_answer_by_digest_is_no_login(header: str) -> None:
    """Basic and Bearer show the token to everybody on the way."""
    found = read_answer([header])
    assert found is None or Nonces().judge(found, KEYS, "DESCRIBE", URL, NOW) is Outcome.WRONG
