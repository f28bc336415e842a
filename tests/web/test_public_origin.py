"""The origin to which a login provider sends a browser back: from the checked `Host`, and from no header that lies."""

from types import SimpleNamespace
from typing import Any

import pytest

from web.public_origin import public_origin


def asked(host: str, scheme: str = "http", **headers: str) -> Any:
    fields = [(b"host", host.encode()), *((name.encode(), value.encode()) for name, value in headers.items())]
    scope = {"scheme": scheme, "http_version": "1.1", "headers": fields, "state": {}}
    return SimpleNamespace(scope=scope, headers=dict(headers))


@pytest.mark.parametrize(
    ("host", "scheme", "origin"),
    [
        ("127.0.0.1:8620", "http", "http://127.0.0.1:8620"),
        ("localhost:8620", "http", "http://localhost:8620"),
        ("[::1]:8620", "http", "http://[::1]:8620"),
        ("nvr.local:8620", "https", "https://nvr.local:8620"),
        ("192.0.2.7:8620", "https", "https://192.0.2.7:8620"),
        ("cams.example", "http", "https://cams.example"),
        ("CAMS.example", "http", "https://cams.example"),
        ("cams.example:8443", "http", None),
        ("nvr.local:8620", "http", None),
        ("192.0.2.7:8620", "http", None),
    ],
)
def test_origin_is_https_or_loopback(host: str, scheme: str, origin: str | None) -> None:
    """A proxy with TLS is known by `web.allow_origins`."""
    assert public_origin(asked(host, scheme), ("https://cams.example", "http://nvr.local:8620")) == origin


def test_headers_of_a_proxy_change_nothing() -> None:
    """A client may send them, too."""
    lies = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example", "forwarded": "proto=https;host=evil"}
    assert public_origin(asked("192.0.2.7", **lies), ()) is None
    assert public_origin(asked("localhost", **lies), ()) == "http://localhost"
