"""Which address ffmpeg reads from its standard input, and what is left for everybody to read."""

import pytest

from supervisor.base.ffmpeg_stdin import hand_over, shows_secrets

SECRET = "http://192.0.2.1/x?user=me&loginpas=pa55"


@pytest.mark.parametrize(
    "address", [SECRET, "HTTPS://u:pa55@192.0.2.1/x", "http://192.0.2.1/pa55", "http://192.0.2.1/x?uid=it's"]
)
def test_secret_address_at_the_beginning_is_read_from_standard_input(address: str) -> None:
    """The rest stays as it is; a quote in the address ends no quoted text of the playlist."""
    arguments, stdin = hand_over(["-i", address, "-an", "-c:v", "copy"], ["pa55", "uid="])
    assert arguments[-5:] == ("-i", "pipe:0", "-an", "-c:v", "copy")
    assert "192.0.2.1" not in " ".join(arguments)
    assert stdin.decode().splitlines()[1] == "file '" + address.replace("'", "'\\''") + "'"


@pytest.mark.parametrize(
    ("arguments", "shows"),
    [
        (("-i", "http://192.0.2.1/x"), False),
        (("-f", "mjpeg", "-i", SECRET), True),
        (("-i", "rtmp://192.0.2.1/live?token=pa55"), True),
        (("-i", "http://192.0.2.1/x", "-i", SECRET), True),
        (("-headers", "X-My-Login: pa55", "-i", "http://192.0.2.1/x"), True),
        (("-i", "http://192.0.2.1/x", "-password", "pa55"), True),
        (("-i",), False),
    ],
)
def test_other_arguments_are_left_and_judged(arguments: tuple[str, ...], shows: bool) -> None:
    """An option in front of an address would apply to the playlist."""
    assert hand_over(arguments) == (arguments, b"")
    assert shows_secrets(arguments) is shows


def test_handed_over_values_show_no_secret() -> None:
    """A second secret beside it does."""
    assert not shows_secrets(["-i", SECRET])
    assert shows_secrets(["-i", SECRET, "-i", SECRET])
