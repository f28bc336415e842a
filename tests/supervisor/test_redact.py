"""Secrets stop at the door."""

import pytest

from supervisor.redact import redact, tell_secrets


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
    ],
)
def test_passwords_are_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_known_secrets_are_hidden_wherever_they_stand() -> None:
    assert redact("login with hunter2 failed: hunter2", ["hunter2"]) == "login with *** failed: ***"


@pytest.mark.parametrize(
    ("arguments", "tell"),
    [
        (["-i", "http://user:pa55@host"], True),
        (["-headers", "Authorization: Basic bWU6cGE1NQ==", "-i", "http://host"], True),
        (["-decryption_key", "0123456789abcdef", "-i", "http://host"], True),
        (["-i", "srt://host?passphrase=pa55"], True),
        (["-i", "http://host", "-pass", "1", "-metadata", "author=me"], False),
    ],
)
def test_arguments_that_everybody_could_read(arguments: list[str], tell: bool) -> None:
    assert tell_secrets(arguments) is tell
