"""Errors of the server and of its libraries, in plain words."""

import pytest

from tests.kit.site import open_site


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/ws/events", 426, "open a WebSocket"),
        ("/ws/signaling", 426, "open a WebSocket"),
        ("/api/nothing", 404, "there is nothing at this path"),
        ("/api/cameras/", 404, "there is nothing at this path"),
        ("/api/config/reload", 405, "this path takes OPTIONS, POST"),
    ],
)
async def test_error_of_a_library_has_plain_words(path: str, status: int, words: str) -> None:
    """Its own text is for the person at a browser; a WebSocket names the protocol to change to."""
    async with open_site() as site:
        answer = await site.get(path)
        assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
        assert words in answer.json["detail"]
        assert answer.headers.get("Upgrade") == ("websocket" if status == 426 else None)


async def test_websocket_to_a_plain_path_is_refused() -> None:
    """400, as the path has no WebSocket."""
    async with open_site() as site:
        assert (await site.handshake(path="/api/cameras")).status == 400
