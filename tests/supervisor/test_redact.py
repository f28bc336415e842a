"""Secrets stop at the door."""

import pytest

from supervisor.redact import redact


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
    ],
)
def test_passwords_are_hidden_and_the_rest_is_not(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_known_secrets_are_hidden_wherever_they_stand() -> None:
    assert redact("login with hunter2 failed: hunter2", ["hunter2"]) == "login with *** failed: ***"
