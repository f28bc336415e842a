"""Secrets stop at the door."""

import time

import pytest

from supervisor.base.redact import forms_of, redact, redact_words, tell_secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://viewer:pa55@192.0.2.1/main", "rtsp://viewer:***@192.0.2.1/main"),
        ("rtsp://viewer:p@55/w@192.0.2.1/main", "rtsp://viewer:***@192.0.2.1/main"),
        ("rtsp://viewer@192.0.2.1/main", "rtsp://viewer:***@192.0.2.1/main"),
        ("failed: 'http://a:b@host' and https://c:d@host", "failed: 'http://a:***@host' and https://c:***@host"),
        ("http://host/video?user=me&password=pa55&x=1", "http://host/video?user=me&password=***&x=1"),
        ("http://host/video?access_token=abc", "http://host/video?access_token=***"),
        ("rtsp://192.0.2.1/main?channel=1", "rtsp://192.0.2.1/main?channel=1"),
        ("mail me@example.org", "mail me@example.org"),
        ("-headers Authorization: Basic bWU6cGE1NQ==", "-headers Authorization: ***"),
        ("GET / \r\nCookie: id=pa55\r\nHost: x", "GET / \r\nCookie: ***\r\nHost: x"),
        ("-passphrase pa55 -i srt://host", "-passphrase *** -i srt://host"),
        ("401 Unauthorized (authorization failed)", "401 Unauthorized (authorization failed)"),
        ("http://h/livestream.cgi?loginuse=a&loginpas=b", "http://h/livestream.cgi?loginuse=a&loginpas=***"),
        ("http://h/cgi-bin/CGIProxy.fcgi?usr=a&usrPwd=b", "http://h/cgi-bin/CGIProxy.fcgi?usr=a&usrPwd=***"),
        ("http://h/?usr=a&pwd=b", "http://h/?usr=a&pwd=***"),
        ("rtsp://h/Streaming/channels/101?auth=YWRtaW46", "rtsp://h/Streaming/channels/101?auth=***"),
        ("http://h/flv?app=bcs&token=abc&user=me", "http://h/flv?app=bcs&token=***&user=me"),
        ("rtsp://h/cam/realmonitor?authbasic=abc", "rtsp://h/cam/realmonitor?authbasic=***"),
        ("http://h/x;jsessionid=0A1B?y=1", "http://h/x;jsessionid=***"),
        ("http://h/stok=0a1b/ds", "http://h/stok=***"),
        ("http://h/x?key=abc&sig=d&sid=e&sign=f", "http://h/x?key=***&sig=***&sid=***&sign=***"),
        ("http://h/x?pass%77ord=abc", "http://h/x?pass%77ord=***"),
        ("token=abc at the beginning", "token=*** at the beginning"),
        ("author=me; keyint=50; monitor=1", "author=me; keyint=50; monitor=1"),
        ('{"user": "me", "password": "a b"}', '{"user": "me", "password": "***"}'),
        ("X-Camera-Token: abc, def", "X-Camera-Token: ***"),
        ("X-My-Login: abc", "X-My-Login: ***"),
        ("X-Loading: abc, X-Pinhole: def", "X-Loading: abc, X-Pinhole: def"),
        ("offered Basic dXNlcjpwYXNz", "offered Basic ***"),
        ("offered Bearer 0123456789abcdef", "offered Bearer ***"),
        ("Basic authentication is asked for", "Basic authentication is asked for"),
        ("RTMP://u:p@h/live/key", "RTMP://u:***@h/live/key"),
        ("@ and http://h/a rtsp://u:p@h", "@ and http://h/a rtsp://u:***@h"),
        ("rtsp://h/user=me_password=pa_55=x_channel=1", "rtsp://h/user=me_password=***"),
        ("rtsp://h/user=me&channel=1_stream=0.sdp", "rtsp://h/user=me&channel=1_stream=0.sdp"),
        ("http://h/?a=b=c_d=e", "http://h/?a=b=c_d=e"),
    ],
)
def test_passwords_are_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    """In addresses, queries, headers, options and JSON; a word such as `author` or `monitor` stays."""
    assert redact(text) == shown


def test_known_secrets_are_hidden_wherever_they_stand() -> None:
    """A secret from the configuration is replaced also where no key or header precedes it."""
    assert redact("login with hunter2 failed: hunter2", ["hunter2"]) == "login with *** failed: ***"


@pytest.mark.parametrize("secret", ["pa%2Fss", "pa/ss"])
@pytest.mark.parametrize("said", ["pa/ss", "pa%2Fss", "pa%252Fss"])
def test_secret_is_hidden_in_each_form_of_quoting(secret: str, said: str) -> None:
    """As the configuration has it, unquoted, and quoted once and twice, as an address within an address is."""
    assert redact(f"src={said}@192.0.2.1", forms_of([secret])) == "src=***@192.0.2.1"


def test_a_secret_within_another_hides_the_longer_one_whole() -> None:
    """In any order of the secrets."""
    assert redact("rtmp://h/live/abc123", ["abc", "abc123"]) == "rtmp://h/live/***"


def test_a_name_of_the_operator_hides_what_follows_it() -> None:
    """Names end in = or :, as they stand in the text."""
    assert redact("http://h/x?uid=77&y=1 X-Door: 4711", ["uid=", "X-Door:"]) == "http://h/x?uid=***&y=1 X-Door:***"


@pytest.mark.parametrize(
    "piece",
    [
        "a", "a.", "://", "a://", "a://@", "passpass", "x-auth", "x-auth:", "x-auth :\n", ";a", "-password ",
        '"a":', '"', "basic ", "bearer\n", "authorization ", "@", "?k=", "a:b@", "=", "%", "'", "pass=",
        " ", "foo:", "uid= ",
    ],
)  # fmt: skip
def test_redaction_takes_time_linear_in_the_text(piece: str) -> None:
    """Eight times the text takes less than twenty times the time; a quadratic pattern would take sixty-four times."""

    def cost(length: int) -> float:
        text = f"@ x{piece * (length // len(piece))}!"
        begin = time.process_time()
        redact(text, ("abc", "uid="))
        return time.process_time() - begin

    small = min(cost(16_000) for _ in range(3))
    assert min(cost(128_000) for _ in range(2)) < 20 * small + 0.02


@pytest.mark.parametrize(
    ("arguments", "tell"),
    [
        (["-i", "http://user:pa55@host"], True),
        (["-headers", "Authorization: Basic bWU6cGE1NQ==", "-i", "http://host"], True),
        (["-decryption_key", "0123456789abcdef", "-i", "http://host"], True),
        (["-i", "srt://host?passphrase=pa55"], True),
        (["-i", "http://host", "-pass", "1", "-metadata", "author=me"], False),
        (["-i", "http://host/x?loginpas=b"], False),
        (["-headers", "X-Camera-Token: abc", "-i", "http://host"], False),
        (["-x264-params", "pass=1:key=2", "-i", "http://host/x?key=abc"], False),
    ],
)
def test_passwords_among_arguments_are_refused(arguments: list[str], tell: bool) -> None:
    """No more is refused than version 0.1.0 refused: names that are known since then are hidden only."""
    assert tell_secrets(arguments) is tell


def test_words_of_a_stranger_are_searched_in_any_case() -> None:
    """A camera that was given the password may write it in small or large letters."""
    said = "HUNTER2SECRET hunter2secret Hunter2Secret hunter"
    assert redact_words(said, ["Hunter2Secret"]) == "*** *** *** hunter"
