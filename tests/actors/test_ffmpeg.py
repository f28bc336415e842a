"""What ffmpeg's last words mean to people."""

import pytest

from actors.child import Ending
from actors.ffmpeg import explain
from supervisor.domain.values import Fault


@pytest.mark.parametrize(
    ("line", "code", "fault"),
    [
        ("[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized", "unauthorized", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 403 Forbidden", "forbidden", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 404 Not Found", "not-found", Fault.FATAL),
        ("[rtsp @ 0x1] method DESCRIBE failed: 404 Stream Not Found", "not-found", Fault.FATAL),
        ("[rtsp @ 0x1] method SETUP failed: 453 Not Enough Bandwidth", "full", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method DESCRIBE failed: 503 Service Unavailable", "full", Fault.TEMPORARY),
        ("[tcp @ 0x1] Connection to tcp://192.0.2.1:554 failed: Connection refused", "unreachable", Fault.TEMPORARY),
        ("[tcp @ 0x1] Connection to tcp://192.0.2.1:554 failed: No route to host", "unreachable", Fault.TEMPORARY),
        ("[tcp @ 0x1] Failed to resolve hostname nowhere: Name or service not known", "unreachable", Fault.TEMPORARY),
        ("pipe:0: Connection timed out", "timeout", Fault.TEMPORARY),
        ("[flv @ 0x1] Video codec hevc not compatible with flv", "unsupported-codec", Fault.FATAL),
        ("[flv @ 0x1] Audio codec opus not compatible with flv", "unsupported-sound", Fault.FATAL),
        ("Output file #0 does not contain any stream", "no-video", Fault.FATAL),
        ("Stream map '0:v:0' matches no streams.", "no-video", Fault.FATAL),
        ("/nowhere.mp4: No such file or directory", "not-found", Fault.FATAL),
        ("Unrecognized option 'nonsense'.", "bad-settings", Fault.FATAL),
        ("pipe:0: Invalid argument", "ended", Fault.TEMPORARY),
        ("clip.mp4: Invalid data found when processing input", "bad-data", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method SETUP failed: 461 Unsupported transport", "unsupported-transport", Fault.FATAL),
        ("[rtsp @ 0x1] method PLAY failed: 454 Session Not Found", "refused", Fault.TEMPORARY),
        ("[rtsp @ 0x1] method PLAY failed: 500 Internal Server Error", "camera-error", Fault.TEMPORARY),
    ],
)
def test_complaints_are_understood(line: str, code: str, fault: Fault) -> None:
    reason = explain(Ending(1, ("something before", line)))
    assert (reason.code, reason.fault) == (code, fault)


def test_the_last_complaint_that_is_understood_counts() -> None:
    lines = ("Connection refused", "[rtsp @ 0x1] method DESCRIBE failed: 401 Unauthorized", "Conversion failed!")
    assert explain(Ending(1, lines)).code == "unauthorized"


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (Ending(-9, ()), "ffmpeg was ended by SIGKILL"),
        (Ending(-11, ()), "ffmpeg was ended by SIGSEGV"),
        (Ending(0, ()), "the stream ended"),
        (Ending(1, ("Something new",)), "ffmpeg ended with 1: Something new"),
        (Ending(1, ()), "ffmpeg ended with 1: it said nothing"),
    ],
)
def test_what_is_not_understood_is_repeated(ending: Ending, text: str) -> None:
    reason = explain(ending)
    assert (reason.text, reason.fault) == (text, Fault.TEMPORARY)
